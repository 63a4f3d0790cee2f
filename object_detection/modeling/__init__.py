"""The network as Keras layers."""
