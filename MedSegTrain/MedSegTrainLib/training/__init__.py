"""From prepared cases to a bundle."""
