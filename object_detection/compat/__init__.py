"""Everything whose only reason is TFOD."""
