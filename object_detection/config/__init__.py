"""Pipeline files and their checks."""
