"""What the Inception networks are made of: branches of convolutions and pools, side by side.

A module is a tuple of branches, a branch a tuple of rows. The row of a convolution is its name in
slim and its filters, `("conv2d_0b_1x7", 160)`: the name ends in the size of the kernel. The row of
a pool is `MAX` or `AVERAGE`.
"""

import keras
import tensorflow as tf

from object_detection.modeling.conv_block import ConvBlock
from object_detection.modeling.recomputation import Segmented

MAX = "max"
AVERAGE = "average"
_POOLS = {MAX: tf.nn.max_pool2d, AVERAGE: tf.nn.avg_pool2d}


def scale_pixels(pixels):
    """[B, H, W, 3] in 0..255 -> -1..1."""
    return (2.0 / 255.0) * pixels - 1.0


def conv_of(style, name, filters, **kwargs):
    """The convolution of a row.

    Args:
        style: `BlockStyle`.
        name: ends in "_" and the kernel's height x width.
        kwargs: of `ConvBlock`.
    """
    kernel_size = tuple(int(side) for side in name.rsplit("_", 1)[1].split("x"))
    kwargs = {"activation": style.activation, "norm": style.norm, **kwargs}
    return ConvBlock(filters, kernel_size, hyperparams=style.hyperparams, name=name, **kwargs)


def begins_with_products(part):
    """Whether a part of a network takes its first products cell by cell, in 1x1 convolutions."""
    if isinstance(part, ConvBlock):
        return part.kernel_size == (1, 1) and part.strides == 1
    return getattr(part, "begins_with_products", False)


def same_size(size, strides):
    """Side of what a SAME convolution leaves of `size`, None where that is not known."""
    return None if size is None else -(-size // strides)


class Pool(keras.layers.Layer):
    """3x3 pooling; an average counts only pixels of the map.

    Args:
        kind: `MAX` or `AVERAGE`.
        padding: "same" or "valid".
    """

    def __init__(self, kind, strides, *, padding="same", **kwargs):
        super().__init__(**kwargs)
        self.kind = kind
        self.strides = strides
        self.padding = padding
        self.filters = None

    def build(self, input_shape):
        self.filters = input_shape[-1]

    def call(self, x, training=False):
        return _POOLS[self.kind](x, 3, self.strides, self.padding.upper())


class Chain(Segmented):
    """Layers one after another; each has `filters` after it is built.

    Call arguments:
        convolve: as in `ConvBlock`, for the 1x1 convolutions that read x itself; needed where they
            can be had cheaper than from x.
    """

    def __init__(self, parts, **kwargs):
        super().__init__(**kwargs)
        self.parts = list(parts)
        self.filters = None

    def build(self, input_shape):
        for part in self.parts:
            part.build(input_shape)
            input_shape = (None, None, None, part.filters)
        self.filters = input_shape[-1]

    @property
    def begins_with_products(self):
        """Whether a 1x1 convolution reads the input itself."""
        return begins_with_products(self.parts[0])

    def call(self, x, training=False, convolve=None):
        parts = self.parts
        if convolve is not None and self.begins_with_products:
            x, parts = parts[0](x, training=training, convolve=convolve), parts[1:]
        return self.in_turn(parts, x, training)


class Mixed(keras.layers.Layer):
    """Branches side by side, their channels joined.

    Args:
        style: `BlockStyle`.
        branches: tuples of rows.
        strides, padding: of the last row of every branch; all others have stride 1 and SAME.
        dilation: of all convolutions.
    """

    def __init__(self, style, branches, *, strides=1, padding="same", dilation=1, **kwargs):
        super().__init__(**kwargs)
        self.branches = []
        for number, rows in enumerate(branches):
            parts = []
            for place, row in enumerate(rows, start=1):
                step = {"strides": 1, "padding": "same"}
                if place == len(rows):
                    step = {"strides": strides, "padding": padding}
                if row in _POOLS:
                    parts.append(Pool(row, **step, name="pool"))
                else:
                    parts.append(conv_of(style, *row, dilation=dilation, **step))
            self.branches.append(Chain(parts, name=f"branch_{number}", is_segmented=False))
        self.filters = None

    def build(self, input_shape):
        for branch in self.branches:
            branch.build(input_shape)
        self.filters = sum(branch.filters for branch in self.branches)

    @property
    def begins_with_products(self):
        """Whether a branch begins with a 1x1 convolution."""
        return any(branch.begins_with_products for branch in self.branches)

    def call(self, x, training=False, convolve=None):
        branches = [branch(x, training=training, convolve=convolve) for branch in self.branches]
        return tf.concat(branches, -1)


class Residual(Mixed):
    """Branches that are brought back to the input's channels and added to it.

    Args:
        gain: factor on what is added.
        activation: after the addition.
    """

    def __init__(self, style, branches, *, gain, activation="relu", **kwargs):
        super().__init__(style, branches, **kwargs)
        self.style = style
        self.gain = gain
        self.activation = activation
        self.up = None

    def build(self, input_shape):
        super().build(input_shape)
        joined, self.filters = self.filters, input_shape[-1]
        kwargs = {"norm": None, "activation": self.activation, "gain": self.gain}
        self.up = conv_of(self.style, "conv2d_1x1", self.filters, **kwargs)
        self.up.build((None, None, None, joined))

    def call(self, x, training=False, convolve=None):
        return self.up(super().call(x, training=training, convolve=convolve), residual=x)


class Network(Chain):
    """A chain of parts as the backbone of a single level.

    Args:
        level: log2 of the stride.

    Call arguments:
        pixels: [B, H, W, 3] float, preprocessed.

    Returns:
        {level: [B, h, w, filters]}, sizes rounded up.
    """

    def __init__(self, parts, level, **kwargs):
        super().__init__(parts, **kwargs)
        self.level = level

    def call(self, pixels, training=False):
        return {self.level: super().call(pixels, training=training)}
