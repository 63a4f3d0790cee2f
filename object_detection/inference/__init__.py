"""Holds the one command that TFOD has under this path."""
