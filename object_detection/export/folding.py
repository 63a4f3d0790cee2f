"""Frozen norms folded into the convolutions before them, once and for all.

`conv(x, w) * s + b = conv(x, w * s) + b`: exact but for rounding. `ConvBlock` folds on the fly, in
every call; with the weights folded nothing is left to do but convolve and add, which TensorFlow
fuses into one operation.
"""

import tensorflow as tf

from object_detection.modeling.conv_block import ConvBlock, SeparableConvBlock


def fold(network):
    """Folds the batch norms of a network's convolutions, in place; it can't be trained any more.

    Group norms, which hang on the features, and the norm after a dense layer's activation stay.

    Returns:
        How many were folded.
    """
    blocks = [
        layer
        for layer in network._flatten_layers(include_self=False)
        if isinstance(layer, ConvBlock) and layer.norm is not None and layer.norm.kind != "group"
    ]
    for block in blocks:
        _fold(block)
    return len(blocks)


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
