"""Floor 1: pure functions on tensors."""
