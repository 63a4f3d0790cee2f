"""Slim's ResNet: where it strides and dilates, what shapes come out, what trains."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.modeling.backbones import BACKBONES, ExtractorSpec
from object_detection.modeling.backbones.resnet_v1 import BlockStyle
from object_detection.modeling.backbones.slim_resnet_v1 import (
    Block,
    SlimBoxTrunk,
    SlimResNetV1,
    Unit,
    atrous_plan,
)
from object_detection.modeling.conv_block import Norm

FROZEN = BlockStyle(norm=Norm())


def _random(layer, shape, seed=0):
    """Builds a layer and gives its variables random values, norms included."""
    layer.build(shape)
    generator = np.random.default_rng(seed)
    for v in layer.variables:
        values = generator.normal(0.0, 0.1, v.shape)
        v.assign(np.abs(values) + 0.5 if v.path.endswith(("variance", "gamma")) else values)
    return layer


def _pixels(*shape):
    return tf.constant(np.random.default_rng(1).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize(
    ("strides_left", "plan"),
    [
        # Stride 16 = 4 * 4: blocks 1 and 2 stride, and that is enough: block 3 does not.
        (4, [[(1, 1), (2, 1)], [(1, 1), (2, 1)], [(1, 1), (1, 1)]]),
        # Stride 8 = 4 * 2: reached with block 1. Block 2 withholds its stride in its last unit,
        # so what follows it, block 3, dilates by 2.
        (2, [[(1, 1), (2, 1)], [(1, 1), (1, 1)], [(1, 2), (1, 2)]]),
    ],
)
def test_plan_of_two_units_a_block(strides_left, plan):
    assert atrous_plan((2, 2, 2), strides_left) == plan


@pytest.mark.parametrize(("stride", "expected"), [(16, (5, 7)), (8, (9, 13))])
def test_sizes_round_up(stride, expected):
    """65 x 97: 33 x 49 after the first convolution, 17 x 25 pooled, 9 x 13, 5 x 7."""
    network = SlimResNetV1(50, stride, FROZEN)
    network.build((None, None, None, 3))
    (features,) = network(_pixels(1, 65, 97, 3)).values()

    assert features.shape == (1, *expected, 1024)
    assert network.channels == {network.level: 1024}
    assert 2**network.level == stride


def test_a_strided_unit_reads_the_corner():
    """Shortcut and 3x3 both centre on pixels 0, 2, 4, whether the side is odd or even.

    All kernels 0 but the shortcut's way: the unit returns every second pixel of its input.
    """
    unit = Unit(FROZEN, 1, strides=2)
    unit.build((None, None, None, 4))
    for v in unit.variables:
        v.assign(tf.zeros_like(v))
    for side in (5, 6):
        x = tf.abs(_pixels(1, side, side, 4))
        np.testing.assert_allclose(unit(x), x[:, ::2, ::2])


@pytest.mark.parametrize("side", [8, 9])
def test_a_strided_unit_is_the_dense_one_subsampled(side):
    """Padding is explicit, so the stride changes which pixels come out and not their values."""
    dense = _random(Unit(FROZEN, 2, strides=1), (None, None, None, 8))
    strided = _random(Unit(FROZEN, 2, strides=2), (None, None, None, 8))
    x = _pixels(1, side, side, 8)

    np.testing.assert_allclose(strided(x), dense(x)[:, ::2, ::2], atol=1e-5)


def test_withheld_strides_give_the_same_features_more_densely():
    """What atrous convolution is for: every second cell is what the striding network gives."""
    shape = (None, None, None, 8)
    numbers = (3, 2)

    def blocks(plan):
        first = _random(Block(FROZEN, 1, plan[0]), shape)
        return [first, _random(Block(FROZEN, 2, plan[1]), (None, None, None, first.filters))]

    x = _pixels(1, 13, 16, 8)
    coarse, dense = x, x
    strided, dilated = (atrous_plan(numbers, strides) for strides in (4, 1))
    assert dilated == [[(1, 1)] * 3, [(1, 2)] * 2]
    for block in blocks([strided[0], [(1, 1)] * 2]):
        coarse = block(coarse)
    for block in blocks(dilated):
        dense = block(dense)

    np.testing.assert_allclose(coarse, dense[:, ::2, ::2], rtol=1e-4, atol=1e-4)


def test_box_trunk_keeps_the_size():
    trunk = SlimBoxTrunk(50, FROZEN)
    trunk.build((None, 7, 7, 1024))

    assert trunk(_pixels(2, 7, 7, 1024)).shape == (2, 7, 7, 2048)
    assert trunk.compute_output_shape((None, 7, 7, 1024)) == (None, 7, 7, 2048)


@pytest.mark.parametrize("live", [False, True])
def test_only_a_live_norm_moves_its_statistics(live):
    block = _random(
        Block(BlockStyle(norm=Norm(live=live)), 1, [(1, 1), (2, 1)]), (None, None, None, 8)
    )
    still = [v for v in block.variables if "moving" in v.path]
    before = [v.numpy() for v in still]
    x = _pixels(2, 8, 8, 8)
    block(x)
    for v, value in zip(still, before, strict=True):
        np.testing.assert_array_equal(v, value)
    block(x, training=True)
    moved = [bool(np.any(v != value)) for v, value in zip(still, before, strict=True)]

    assert len(still) == 2 * 7  # 3 + 3 convolutions and one projection
    assert moved == [live] * len(moved)


def test_gamma_and_beta_train_under_a_frozen_norm():
    """TFOD freezes the statistics alone."""
    block = _random(Block(FROZEN, 1, [(1, 1)]), (None, None, None, 8))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(block(_pixels(1, 6, 6, 8), training=True)))
    gradients = tape.gradient(loss, block.trainable_variables)

    assert len(gradients) == 3 * 4  # kernel, gamma and beta of 4 convolutions
    assert all(float(tf.norm(g)) > 0 for g in gradients)


@pytest.mark.parametrize("stride", [8, 16])
def test_row_of_the_table(stride):
    row = BACKBONES["faster_rcnn_resnet50"]
    extractor = row.build(ExtractorSpec(stride=stride))
    extractor.features.build((None, None, None, 3))
    paths = {v.path for v in extractor.features.variables}

    assert row.strides == (8, 16) and row.tfod
    assert "backbone/resnet_v1_50/block3/unit_6/conv2/kernel" in paths
    assert not any("block4" in path for path in paths)
    (level,) = extractor.features(_pixels(1, 64, 64, 3)).values()
    assert level.shape == (1, 64 // stride, 64 // stride, 1024)
