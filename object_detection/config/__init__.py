"""Floor 5: pipeline files and their checks."""
