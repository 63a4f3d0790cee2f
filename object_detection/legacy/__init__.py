"""The commands of TFOD's first release, for the tutorials that still name them."""
