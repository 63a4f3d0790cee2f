"""Frozen norms folded into the convolutions before them, once and for all.

`conv(x, w) * s + b = conv(x, w * s) + b`: exact but for rounding. `ConvBlock` folds on the fly, in
every call; with the weights folded nothing is left to do but convolve and add, which TensorFlow
fuses into one operation. It fuses none that has no bias to add, and a bias of zeros it takes out
before: such a bias is made the least number that is not taken for zero.
"""

import numpy as np
import tensorflow as tf

from object_detection.modeling.conv_block import ConvBlock, DenseBlock, SeparableConvBlock

# Of float32 and of bfloat16 the least that is not denormal. Added to anything that counts (above
# 1e-30) it changes nothing.
_LEAST = np.finfo(np.float32).tiny


def fold(network):
    """Folds the batch norms of a network's convolutions, in place; it can't be trained any more.

    Biases that are nothing but zeros become `_LEAST`.

    Group norms, which hang on the features, and the norm after a dense layer's activation stay.

    Returns:
        How many were folded.
    """
    layers = list(network._flatten_layers(include_self=False))
    blocks = [
        layer
        for layer in layers
        if isinstance(layer, ConvBlock) and layer.norm is not None and layer.norm.kind != "group"
    ]
    for block in blocks:
        _fold(block)
    for layer in layers:
        if isinstance(layer, ConvBlock | DenseBlock) and layer.bias is not None:
            _keep_alive(layer.bias)
    return len(blocks)


def _keep_alive(bias):
    if not np.any(bias):
        bias.assign(np.full(bias.shape, _LEAST))


def _fold(block):
    scale, shift = block.folded_norm()
    kernel = block.pointwise_kernel if isinstance(block, SeparableConvBlock) else block.kernel
    # A gain multiplies the kernel, and inside `folded_norm` the bias; the norm comes after it.
    kernel.assign(tf.convert_to_tensor(kernel) * scale * block.gain)
    # A variable that the network has already: it is saved with it.
    block.moving_mean.assign(shift)
    block.bias = block.moving_mean
    block.gain = 1.0
    block.norm = None
