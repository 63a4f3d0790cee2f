"""ResNet v1 (He et al. 2015) as TFOD's TF2 extractors have it: the first 1x1 strides.

`ResNetV1` gives the outputs of its stages, {2: C2, ..., 5: C5}; a C4 detector uses only stage 5
on the crops. Basic blocks make the small ResNet-18 of our own.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from object_detection.modeling.conv_block import ConvBlock, Hyperparams, Norm
from object_detection.modeling.recomputation import Segmented

DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
STAGE_FILTERS = {2: 64, 3: 128, 4: 256, 5: 512}

INITIALIZER = "lecun_normal"  # of TFOD's TF2 extractors

RGB_MEANS = (123.68, 116.779, 103.939)


def subtract_means(pixels):
    """[B, H, W, 3] in 0..255 -> zero-centered by the means of ImageNet, RGB order kept (TFOD)."""
    return pixels - tf.constant(RGB_MEANS, pixels.dtype)


def pyramid_penalty(kernel):
    """The regularization loss of a kernel in the base network of TFOD's pyramids.

    Only these have one: TFOD gives its C4 extractors a weight decay of 0, and forgets to here.
    """
    return 1e-4 * tf.reduce_sum(tf.square(kernel))


class BlockStyle(NamedTuple):
    """What all convolutions of a ResNet share."""

    hyperparams: Hyperparams = Hyperparams()
    norm: Norm = Norm()
    activation: str = "relu"


def conv_unit(style, filters, kernel_size, **kwargs):
    """A `ConvBlock` in a `BlockStyle`; never with a bias, not even without a norm (TFOD)."""
    kwargs = {"activation": style.activation, "use_bias": False, **kwargs}
    return ConvBlock(filters, kernel_size, norm=style.norm, hyperparams=style.hyperparams, **kwargs)


class Bottleneck(keras.layers.Layer):
    """1x1 (with the stride), 3x3, 1x1 convolutions and a shortcut (ResNet fig. 5, right).

    Args:
        filters: of the inner convolutions; the output has 4 times as many.
        strides: of the first convolution and of the shortcut.
        project: whether the shortcut is a convolution.
    """

    def __init__(self, style, filters, *, strides=1, project=False, **kwargs):
        super().__init__(**kwargs)
        self.filters = 4 * filters
        self.activation = style.activation
        self.conv1 = conv_unit(style, filters, 1, strides=strides, name="conv1")
        self.conv2 = conv_unit(style, filters, 3, name="conv2")
        self.conv3 = conv_unit(style, 4 * filters, 1, name="conv3")
        self.shortcut = None
        if project:
            self.shortcut = conv_unit(
                style, 4 * filters, 1, strides=strides, activation=None, name="shortcut"
            )

    def build(self, input_shape):
        self.conv1.build(input_shape)
        self.conv2.build((None, None, None, self.conv1.filters))
        self.conv3.build((None, None, None, self.conv2.filters))
        if self.shortcut is not None:
            self.shortcut.build(input_shape)

    def call(self, x, training=False):
        shortcut = x if self.shortcut is None else self.shortcut(x, training=training)
        y = self.conv2(self.conv1(x, training=training), training=training)
        return self.conv3(y, training=training, residual=shortcut)


class BasicBlock(keras.layers.Layer):
    """Two 3x3 convolutions and a shortcut (ResNet fig. 5, left)."""

    def __init__(self, style, filters, *, strides=1, project=False, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.conv1 = conv_unit(style, filters, 3, strides=strides, padding="fixed", name="conv1")
        self.conv2 = conv_unit(style, filters, 3, name="conv2")
        self.shortcut = None
        if project:
            self.shortcut = conv_unit(
                style, filters, 1, strides=strides, activation=None, name="shortcut"
            )

    def build(self, input_shape):
        self.conv1.build(input_shape)
        self.conv2.build((None, None, None, self.filters))
        if self.shortcut is not None:
            self.shortcut.build(input_shape)

    def call(self, x, training=False):
        shortcut = x if self.shortcut is None else self.shortcut(x, training=training)
        return self.conv2(self.conv1(x, training=training), training=training, residual=shortcut)


class Stage(Segmented):
    """The blocks of one stage; the first one strides and projects.

    Args:
        style: `BlockStyle`.
        block: `Bottleneck` or `BasicBlock`.
        filters, num_blocks, strides: of the stage.
        project: whether the first block's shortcut is a convolution.
    """

    def __init__(self, style, block, filters, num_blocks, *, strides, project=True, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [
            block(
                style,
                filters,
                strides=strides if i == 0 else 1,
                project=project and i == 0,
                name=f"block{i + 1}",
            )
            for i in range(num_blocks)
        ]
        self.filters = self.blocks[-1].filters
        self.strides = strides

    def compute_output_shape(self, input_shape):
        height, width = (None if s is None else -(-s // self.strides) for s in input_shape[1:3])
        return (None, height, width, self.filters)

    def build(self, input_shape):
        for block in self.blocks:
            block.build(input_shape)
            input_shape = (None, None, None, self.filters)

    def call(self, x, training=False):
        return self.in_turn(self.blocks, x, training)


def stage_of(depth, number, style, **kwargs):
    """Stage `number` (2..5) of ResNet-`depth`."""
    block = BasicBlock if depth < 50 else Bottleneck
    return Stage(
        style,
        block,
        STAGE_FILTERS[number],
        DEPTHS[depth][number - 2],
        strides=1 if number == 2 else 2,
        project=number > 2 or block is Bottleneck,
        name=f"conv{number}",
        **kwargs,
    )


class ResNetV1(keras.layers.Layer):
    """Stem and stages up to `last_stage`.

    Args:
        depth: 18, 50, 101 or 152.
        last_stage: 2..5.
        style: `BlockStyle`.

    Call arguments:
        pixels: [B, H, W, 3] float, preprocessed.

    Returns:
        {2: [B, H/4, W/4, C], 3: ..., last_stage: ...}, sizes rounded up.
    """

    def __init__(self, depth, last_stage, style, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = conv_unit(style, 64, 7, strides=2, padding="fixed", name="conv1")
        self.stages = [stage_of(depth, number, style) for number in range(2, last_stage + 1)]
        self.channels = {i + 2: stage.filters for i, stage in enumerate(self.stages)}

    def build(self, input_shape):
        self.conv1.build(input_shape)
        channels = 64
        for stage in self.stages:
            stage.build((None, None, None, channels))
            channels = stage.filters

    def call(self, pixels, training=False):
        x = self.conv1(pixels, training=training)
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        features = {}
        for level, stage in enumerate(self.stages, start=2):
            x = features[level] = stage(x, training=training)
        return features
