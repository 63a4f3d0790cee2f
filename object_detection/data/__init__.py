"""Floor 4: records to batches."""
