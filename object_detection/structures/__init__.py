"""The types that pass between packages: tensors of a batch, and the objects of one image."""
