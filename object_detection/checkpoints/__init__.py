"""Checkpoints: weights of any format and naming scheme, found, opened, restored and saved."""
