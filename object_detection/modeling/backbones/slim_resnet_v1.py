"""ResNet v1 (He et al. 2015) as TFOD's TF1 extractors have it: slim's network.

It differs from the one of the TF2 extractors (`resnet_v1`) in where it strides: in the 3x3 of the
*last* unit of a block, whose shortcut takes every second pixel. So weights of the one do not serve
the other. Where the wanted stride is reached, later blocks dilate instead (atrous convolution).
"""

import keras
import tensorflow as tf

from object_detection.modeling.backbones.resnet_v1 import DEPTHS, conv_unit
from object_detection.modeling.recomputation import Segmented

# Inner filters and nominal stride of each block.
BLOCKS = {1: (64, 2), 2: (128, 2), 3: (256, 2), 4: (512, 1)}
STEM_STRIDE = 4  # of the first convolution and the pooling together


def atrous_plan(numbers, strides_left):
    """Where a network strides and where it dilates to keep an overall stride.

    Args:
        numbers: how many units each block has; the last of each has the block's stride.
        strides_left: what the strides of the blocks may multiply to.

    Returns:
        For each block a list of (stride, dilation), one pair a unit. A unit whose stride is
        withheld has the dilation of the units before it; the ones after it dilate by its stride.
    """
    plan, reached, rate = [], 1, 1
    for (_, nominal), count in zip(BLOCKS.values(), numbers, strict=False):
        units = []
        for index in range(count):
            stride = nominal if index == count - 1 else 1
            if reached == strides_left:
                units.append((1, rate))
                rate *= stride
            else:
                units.append((stride, 1))
                reached *= stride
        plan.append(units)
    return plan


class Unit(keras.layers.Layer):
    """1x1, 3x3 (with stride and dilation), 1x1 convolutions and a shortcut (ResNet fig. 5).

    Args:
        style: `BlockStyle`.
        filters: of the inner convolutions; the output has 4 times as many.
        strides, dilation: of the 3x3.
        project: whether the shortcut is a convolution.
    """

    def __init__(self, style, filters, *, strides=1, dilation=1, project=False, **kwargs):
        super().__init__(**kwargs)
        self.filters = 4 * filters
        self.strides = strides
        self.conv1 = conv_unit(style, filters, 1, name="conv1")
        self.conv2 = conv_unit(
            style,
            filters,
            3,
            strides=strides,
            dilation=dilation,
            padding="same" if strides == 1 else "fixed",
            name="conv2",
        )
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
        if self.shortcut is not None:
            shortcut = self.shortcut(x, training=training)
        else:
            shortcut = x[:, :: self.strides, :: self.strides]
        y = self.conv2(self.conv1(x, training=training), training=training)
        return self.conv3(y, training=training, residual=shortcut)


class Block(Segmented):
    """The units of block `number`; the first one projects.

    Args:
        style: `BlockStyle`.
        number: 1..4.
        plan: (stride, dilation) of each unit.
    """

    def __init__(self, style, number, plan, **kwargs):
        super().__init__(name=f"block{number}", **kwargs)
        filters = BLOCKS[number][0]
        self.filters = 4 * filters
        self.units = [
            Unit(
                style,
                filters,
                strides=strides,
                dilation=dilation,
                project=index == 0,
                name=f"unit_{index + 1}",
            )
            for index, (strides, dilation) in enumerate(plan)
        ]

    def build(self, input_shape):
        for unit in self.units:
            unit.build(input_shape)
            input_shape = (None, None, None, unit.filters)

    def call(self, x, training=False):
        return self.in_turn(self.units, x, training)


class SlimResNetV1(keras.layers.Layer):
    """Stem and blocks 1 to 3: the first stage of a detector.

    TFOD's graph and checkpoints also hold a block 4 here that nothing reads; it is left out.

    Args:
        depth: 50, 101 or 152.
        stride: 8 or 16, of the features.
        style: `BlockStyle`.

    Call arguments:
        pixels: [B, H, W, 3] float, preprocessed.

    Returns:
        {log2(stride): [B, H/stride, W/stride, 1024]}, sizes rounded up.
    """

    def __init__(self, depth, stride, style, **kwargs):
        super().__init__(**kwargs)
        self.level = stride.bit_length() - 1
        self.conv1 = conv_unit(style, 64, 7, strides=2, padding="fixed", name="conv1")
        plan = atrous_plan(DEPTHS[depth][:3], stride // STEM_STRIDE)
        self.blocks = [Block(style, i, units) for i, units in enumerate(plan, start=1)]
        self.channels = {self.level: self.blocks[-1].filters}

    def build(self, input_shape):
        self.conv1.build(input_shape)
        channels = 64
        for block in self.blocks:
            block.build((None, None, None, channels))
            channels = block.filters

    def call(self, pixels, training=False):
        x = self.conv1(pixels, training=training)
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        for block in self.blocks:
            x = block(x, training=training)
        return {self.level: x}


class SlimBoxTrunk(keras.layers.Layer):
    """Block 4 on the crops, all of its strides 1: [n, s, s, 1024] -> [n, s, s, 2048].

    Args:
        depth: 50, 101 or 152.
        style: `BlockStyle`.
    """

    def __init__(self, depth, style, **kwargs):
        super().__init__(**kwargs)
        self.block = Block(style, 4, [(1, 1)] * DEPTHS[depth][3])
        self.filters = self.block.filters

    def build(self, input_shape):
        self.block.build(input_shape)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], self.filters)

    def call(self, crops, training=False):
        return self.block(crops, training=training)
