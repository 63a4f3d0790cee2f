"""Checks of an installation, which `doctor` runs."""
