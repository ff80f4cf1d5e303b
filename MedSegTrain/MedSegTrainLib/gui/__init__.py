"""The module's window in Qt: shows what the presenters say, and hands on what the user does."""
