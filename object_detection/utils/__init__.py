"""Import paths that TFOD's users know."""
