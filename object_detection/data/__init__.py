"""Records to batches: the input pipeline."""
