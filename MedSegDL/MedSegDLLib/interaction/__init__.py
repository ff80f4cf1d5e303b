"""What the windows do, without windows: presenters that decide, and the sentences that the user reads."""
