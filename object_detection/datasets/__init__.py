"""Floor 4: readers of labeling formats and the record writer."""
