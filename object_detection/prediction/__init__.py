"""Floor 8: predictions for people."""
