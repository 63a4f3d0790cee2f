"""Folded convolutions give the numbers of those with norms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.export import preparation
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

    assert preparation.fold_norms(model) == 1
    after = block(x, training=False).numpy()
    np.testing.assert_allclose(after, before, rtol=2e-6, atol=2e-5)
    assert np.abs(before).max() > 1
    assert preparation.fold_norms(model) == 0  # a second time there is nothing to do
    np.testing.assert_array_equal(block(x).numpy(), after)


def test_biases_of_zeros_stay_in_the_graph():
    """TensorFlow takes them out, and fuses no convolution without one."""
    blocks = [_randomized(ConvBlock(4, 3, norm=norm, activation=None)) for norm in (Norm(), None)]
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    blocks[0].moving_mean.assign(zeros)
    blocks[0].beta.assign(zeros)
    blocks[1].bias.assign(ones * [0, 0, 2, 0])
    (
        preparation.fold_norms(keras.Sequential(blocks[:1])),
        preparation.fold_norms(keras.Sequential(blocks[1:])),
    )

    assert 0 < blocks[0].bias.numpy().max() < 1e-37
    np.testing.assert_array_equal(ones * 1e-30 + blocks[0].bias, ones * 1e-30)
    rounded = tf.cast(blocks[0].bias, tf.bfloat16)
    assert (tf.cast(rounded, tf.float32).numpy() > 0).all()
    np.testing.assert_array_equal(blocks[1].bias, [0, 0, 2, 0])


def test_norms_that_hang_on_the_features_stay():
    block = _randomized(ConvBlock(32, 1, norm=Norm("group")))
    assert preparation.fold_norms(keras.Sequential([block])) == 0
    assert block.norm is not None
