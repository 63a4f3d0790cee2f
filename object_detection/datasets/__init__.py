"""Floor 4: readers of labelling formats and the record writer."""
