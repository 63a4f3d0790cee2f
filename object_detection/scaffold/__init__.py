"""Floor 9: the first hour: is this environment sound, and what config fits this data set."""
