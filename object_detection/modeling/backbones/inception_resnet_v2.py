"""Inception-ResNet v2 (Szegedy et al. 2016), cut in two for a detector.

The first stage ends with the seventeens (`block17`), the second stage begins at `mixed_7a`. TFOD's
TF1 and TF2 extractors share this network and differ in one thing, the padding of `mixed_7a`.
"""

from object_detection.modeling.backbones.inception_parts import (
    AVERAGE,
    MAX,
    Chain,
    Mixed,
    Network,
    Pool,
    Residual,
    conv_of,
    same_size,
)
from object_detection.modeling.conv_block import Norm

NORM = Norm(momentum=0.9997, epsilon=1e-3, scale=False)
CHANNELS = 1088  # of the first stage's features

MIXED_5B = (
    (("conv2d_1x1", 96),),
    (("conv2d_0a_1x1", 48), ("conv2d_0b_5x5", 64)),
    (("conv2d_0a_1x1", 64), ("conv2d_0b_3x3", 96), ("conv2d_0c_3x3", 96)),
    (AVERAGE, ("conv2d_0b_1x1", 64)),
)
BLOCK35 = (  # figure 16 of the paper
    (("conv2d_1x1", 32),),
    (("conv2d_0a_1x1", 32), ("conv2d_0b_3x3", 32)),
    (("conv2d_0a_1x1", 32), ("conv2d_0b_3x3", 48), ("conv2d_0c_3x3", 64)),
)
MIXED_6A = (  # figure 7
    (("conv2d_1a_3x3", 384),),
    (("conv2d_0a_1x1", 256), ("conv2d_0b_3x3", 256), ("conv2d_1a_3x3", 384)),
    (MAX,),
)
BLOCK17 = (  # figure 17
    (("conv2d_1x1", 192),),
    (("conv2d_0a_1x1", 128), ("conv2d_0b_1x7", 160), ("conv2d_0c_7x1", 192)),
)
MIXED_7A = (  # figure 18
    (("conv2d_0a_1x1", 256), ("conv2d_1a_3x3", 384)),
    (("conv2d_0a_1x1", 256), ("conv2d_1a_3x3", 288)),
    (("conv2d_0a_1x1", 256), ("conv2d_0b_3x3", 288), ("conv2d_1a_3x3", 320)),
    (MAX,),
)
BLOCK8 = (  # figure 19
    (("conv2d_1x1", 192),),
    (("conv2d_0a_1x1", 192), ("conv2d_0b_1x3", 224), ("conv2d_0c_3x1", 256)),
)


def repeat(style, name, block, count, *, branches, gain, dilation=1):
    """`count` residual blocks, named `block` and their number from 1."""
    blocks = (
        Residual(style, branches, gain=gain, dilation=dilation, name=f"{block}_{number}")
        for number in range(1, count + 1)
    )
    return Chain(blocks, name=name)


def first_stage(style, stride):
    """Pixels -> {log2(stride): [B, h, w, 1088]}; all padding is SAME.

    Args:
        style: `BlockStyle`.
        stride: 8 or 16. With 8, `mixed_6a` does not stride and the blocks after it dilate by 2.
            (TFOD's Keras extractor picks the layers that dilate by their number of filters; beside
            those of `block17` it picks only 1x1 ones, for which dilation means nothing.)
    """
    parts = (
        conv_of(style, "conv2d_1a_3x3", 32, strides=2),
        conv_of(style, "conv2d_2a_3x3", 32),
        conv_of(style, "conv2d_2b_3x3", 64),
        Pool(MAX, 2, name="maxpool_3a_3x3"),
        conv_of(style, "conv2d_3b_1x1", 80),
        conv_of(style, "conv2d_4a_3x3", 192),
        Pool(MAX, 2, name="maxpool_5a_3x3"),
        Mixed(style, MIXED_5B, name="mixed_5b"),
        repeat(style, "repeat", "block35", 10, branches=BLOCK35, gain=0.17),
        Mixed(style, MIXED_6A, strides=stride // 8, name="mixed_6a"),
        repeat(
            style, "repeat_1", "block17", 20, branches=BLOCK17, gain=0.10, dilation=16 // stride
        ),
    )
    return Network(parts, level=stride.bit_length() - 1, name="inception_resnet_v2")


class InceptionResNetV2Trunk(Chain):
    """`mixed_7a` and all after it on the crops: [n, s, s, 1088] -> [n, s', s', 1536].

    Args:
        style: `BlockStyle`.
        padding: of the strided rows of `mixed_7a`. "valid" (TF1) leaves 8 x 8 of a 17 x 17 crop,
            "same" (TF2) 9 x 9.
    """

    def __init__(self, style, padding, **kwargs):
        parts = (
            Mixed(style, MIXED_7A, strides=2, padding=padding, name="mixed_7a"),
            repeat(style, "repeat", "block8", 9, branches=BLOCK8, gain=0.20),
            Residual(style, BLOCK8, gain=1.0, activation=None, name="block8"),
            conv_of(style, "conv2d_7b_1x1", 1536),
        )
        super().__init__(parts, **kwargs)
        self.padding = padding

    def compute_output_shape(self, input_shape):
        sides = input_shape[1:3]
        if self.padding == "valid":
            sides = [None if side is None else side - 2 for side in sides]
        return (input_shape[0], *(same_size(side, 2) for side in sides), 1536)
