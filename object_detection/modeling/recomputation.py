"""Gradient checkpointing (Chen et al. 2016): activations are computed again instead of being kept.

A training step keeps what every convolution gave until its gradient has been taken. With
checkpointing a segment, that is a few blocks of a network, keeps only its input, and the backward
pass runs it once more to have the rest: a third more arithmetic, for less memory. Losses and
gradients are the same.
"""

import contextlib
import functools
import threading

import keras
import tensorflow as tf

_LAYERS = 4  # of a segment, at most: about the square root of the blocks of the deepest networks

_of_this_thread = threading.local()  # the replicas of a strategy are threads


class Segmented(keras.layers.Layer):
    """A layer that may compute what is in it again in the backward pass; see `turn_on`.

    Args:
        is_segmented: False for a layer that is always part of another's segment.
    """

    def __init__(self, *, is_segmented=True, **kwargs):
        super().__init__(**kwargs)
        self.is_segmented = is_segmented
        self.is_recomputed = False

    def in_turn(self, layers, x, training):
        """`x` through layers one after another, a few of them a segment."""
        if not (self.is_recomputed and training):
            return _in_turn(layers, x, training)
        segment = []
        for layer in layers:
            if getattr(layer, "is_recomputed", False):  # it has segments of its own
                x, segment = self.recomputed(segment, x), []
                x = layer(x, training=training)
                continue
            segment.append(layer)
            if len(segment) == _LAYERS:
                x, segment = self.recomputed(segment, x), []
        return self.recomputed(segment, x)

    def recomputed(self, layers, x):
        """`x` through layers that are one segment of a training step."""
        return recompute(functools.partial(_in_turn, layers, training=True), x) if layers else x


def _in_turn(layers, x, training):
    for layer in layers:
        x = layer(x, training=training)
    return x


def turn_on(network):
    """Makes every training step that is traced from now on compute activations again.

    Args:
        network: a layer or model, of any depth.
    """
    for layer in network._flatten_layers():
        if isinstance(layer, Segmented):
            layer.is_recomputed = layer.is_segmented


def recompute(function, x):
    """Run `function(x)` so that the backward pass keeps only x, and runs it again.

    Args:
        function: float tensor -> tensor; the same at every call. What it reads besides, weights
            too, is kept as it is; what it changes must stay unchanged if `is_again`.
        x: float tensor.
    """
    calls = 0

    def run(x):
        nonlocal calls
        calls += 1
        with _again(calls > 1):
            return function(x)

    return tf.recompute_grad(run)(x)


def is_again():
    """Whether what runs is a segment's second run, which has no further effect."""
    return getattr(_of_this_thread, "again", False)


@contextlib.contextmanager
def _again(value):
    before = is_again()
    _of_this_thread.again = value or before
    try:
        yield
    finally:
        _of_this_thread.again = before
