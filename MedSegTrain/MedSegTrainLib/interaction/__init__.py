"""What the module's window does, without a window: presenters, what they show, and every sentence."""
