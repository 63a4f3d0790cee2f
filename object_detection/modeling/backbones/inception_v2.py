"""Inception v2 (Ioffe & Szegedy 2015) as TFOD's TF1 extractor has it: slim's network.

Up to the module 4e it is the first stage, stride 16; modules 5a to 5c work on the crops.
"""

from object_detection.modeling.backbones.inception_parts import (
    AVERAGE,
    MAX,
    Chain,
    Mixed,
    Network,
    Pool,
    conv_of,
    same_size,
)
from object_detection.modeling.conv_block import Norm, SeparableConvBlock

NORM = Norm(momentum=0.9997, epsilon=1e-3)
LEVEL = 4
CHANNELS = 576  # of the first stage's features

# Figure 5 of the paper: filters of the 1x1; the 3x3 and the 1x1 before it; the double 3x3 and the
# 1x1 before it; the kind of pool and the 1x1 after it.
WIDE = {
    "mixed_3b": (64, (64, 64), (64, 96), (AVERAGE, 32)),
    "mixed_3c": (64, (64, 96), (64, 96), (AVERAGE, 64)),
    "mixed_4b": (224, (64, 96), (96, 128), (AVERAGE, 128)),
    "mixed_4c": (192, (96, 128), (96, 128), (AVERAGE, 128)),
    "mixed_4d": (160, (128, 160), (128, 160), (AVERAGE, 96)),
    "mixed_4e": (96, (128, 192), (160, 192), (AVERAGE, 96)),
    "mixed_5b": (352, (192, 320), (160, 224), (AVERAGE, 128)),
    "mixed_5c": (352, (192, 320), (192, 224), (MAX, 128)),
}
# The same of the modules that halve the map: no 1x1, nothing after the pool.
HALVING = {
    "mixed_4a": ((128, 160), (64, 96)),
    "mixed_5a": ((128, 192), (192, 256)),
}


def module(style, name):
    """The module `name` of the tables."""
    if name in HALVING:
        single, double = HALVING[name]
        branches = (
            (("conv2d_0a_1x1", single[0]), ("conv2d_1a_3x3", single[1])),
            (
                ("conv2d_0a_1x1", double[0]),
                ("conv2d_0b_3x3", double[1]),
                ("conv2d_1a_3x3", double[1]),
            ),
            (MAX,),
        )
        return Mixed(style, branches, strides=2, name=name)
    straight, single, double, (pool, projection) = WIDE[name]
    branches = (
        (("conv2d_0a_1x1", straight),),
        (("conv2d_0a_1x1", single[0]), ("conv2d_0b_3x3", single[1])),
        (
            ("conv2d_0a_1x1", double[0]),
            ("conv2d_0b_3x3", double[1]),
            ("conv2d_0c_3x3", double[1]),
        ),
        (pool, ("conv2d_0b_1x1", projection)),
    )
    return Mixed(style, branches, name=name)


def first_stage(style):
    """Pixels -> {4: [B, h, w, 576]}.

    TFOD takes `first_stage_features_stride` 8 too, and changes nothing for it.
    """
    stem = SeparableConvBlock(
        64,
        7,
        multiplier=8,
        strides=2,
        norm=style.norm,
        activation=style.activation,
        hyperparams=style.hyperparams,
        name="conv2d_1a_7x7",
    )
    names = ("3b", "3c", "4a", "4b", "4c", "4d", "4e")
    parts = (
        stem,
        Pool(MAX, 2, name="maxpool_2a_3x3"),
        conv_of(style, "conv2d_2b_1x1", 64),
        conv_of(style, "conv2d_2c_3x3", 192),
        Pool(MAX, 2, name="maxpool_3a_3x3"),
        *(module(style, f"mixed_{name}") for name in names),
    )
    return Network(parts, LEVEL, name="inception_v2")


class InceptionV2Trunk(Chain):
    """Modules 5a to 5c on the crops: [n, s, s, 576] -> [n, s / 2, s / 2, 1024].

    Args:
        style: `BlockStyle`.
    """

    def __init__(self, style, **kwargs):
        names = ("mixed_5a", "mixed_5b", "mixed_5c")
        super().__init__((module(style, name) for name in names), **kwargs)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(same_size(side, 2) for side in input_shape[1:3]), 1024)
