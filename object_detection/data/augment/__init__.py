"""Data augmentation: steps `(Example, seed) -> Example` of the input pipeline."""
