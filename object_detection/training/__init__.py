"""Floor 7: the loops."""
