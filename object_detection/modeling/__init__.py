"""Floor 2: the network as Keras layers."""
