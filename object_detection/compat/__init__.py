"""Floor 3: everything whose only reason is TFOD."""
