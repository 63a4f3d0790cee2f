"""Folded convolutions give the numbers of those with norms."""

import keras
import numpy as np
import pytest

from object_detection.export import folding
from object_detection.modeling.conv_block import ConvBlock, Norm, SeparableConvBlock


def _randomized(block):
    block.build((None, None, None, 3))
    generator = np.random.default_rng(0)
    for variable in block.variables:
        variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return block


@pytest.mark.parametrize(
    "block",
    [
        ConvBlock(4, 3, norm=Norm()),
        ConvBlock(4, 3, norm=Norm(), use_bias=True, gain=0.3, activation=None),
        ConvBlock(4, 1, norm=Norm("sync", center=False, scale=False), strides=2),
        SeparableConvBlock(4, 3, norm=Norm(), multiplier=2),
    ],
    ids=["plain", "bias and gain", "without gamma and beta", "separable"],
)
def test_a_folded_convolution_gives_the_same(block):
    model = keras.Sequential([_randomized(block)])
    x = np.random.default_rng(1).normal(size=(2, 8, 9, 3)).astype(np.float32)
    before = block(x, training=False).numpy()

    assert folding.fold(model) == 1
    after = block(x, training=False).numpy()
    np.testing.assert_allclose(after, before, rtol=2e-6, atol=2e-5)
    assert np.abs(before).max() > 1
    assert folding.fold(model) == 0  # a second time there is nothing to do
    np.testing.assert_array_equal(block(x).numpy(), after)


def test_norms_that_hang_on_the_features_stay():
    block = _randomized(ConvBlock(32, 1, norm=Norm("group")))
    assert folding.fold(keras.Sequential([block])) == 0
    assert block.norm is not None
