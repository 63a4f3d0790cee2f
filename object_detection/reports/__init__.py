"""Reports for people: what lies in record files, and what a model is given of it."""
