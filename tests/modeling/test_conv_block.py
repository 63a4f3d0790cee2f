"""Convolution units: folding is exact, live statistics move, penalties count kernels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.modeling.conv_block import (
    ConvBlock,
    DenseBlock,
    Hyperparams,
    Norm,
    SeparableConvBlock,
)


def _built(block, channels=3):
    block.build((None, None, None, channels))
    generator = np.random.default_rng(0)
    for variable in block.variables:
        variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return block


def test_folded_norm_equals_convolution_then_norm():
    block = _built(ConvBlock(4, 3, norm=Norm(epsilon=1e-3), use_bias=True, activation=None))
    x = tf.random.stateless_normal([2, 5, 6, 3], [1, 2])

    y = tf.nn.conv2d(x, tf.convert_to_tensor(block.kernel), 1, "SAME") + block.bias
    scaled = (y - block.moving_mean) / tf.sqrt(block.moving_variance + 1e-3)
    plain = scaled * block.gamma + block.beta

    np.testing.assert_allclose(block(x), plain, rtol=1e-4, atol=1e-4)


def test_frozen_norm_still_trains_gamma_and_beta():
    block = _built(ConvBlock(4, 3, norm=Norm()))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(tf.ones([1, 4, 4, 3]), training=True))
    names = {v.path.split("/")[-1] for v in block.trainable_variables}

    assert names == {"kernel", "gamma", "beta"}
    assert all(g is not None for g in tape.gradient(loss, block.trainable_variables))


def test_live_norm_moves_its_statistics_only_while_training():
    block = ConvBlock(2, 1, norm=Norm(live=True, momentum=0.9), activation=None)
    block.build((None, None, None, 1))
    block.kernel.assign([[[[1.0, 2.0]]]])
    x = tf.reshape(tf.constant([1.0, 3.0]), [1, 1, 2, 1])

    block(x, training=False)
    np.testing.assert_array_equal(block.moving_mean, [0.0, 0.0])
    y = block(x, training=True)

    # The channels' means are 2 and 4; a tenth of them enters the moving mean.
    np.testing.assert_allclose(block.moving_mean, [0.2, 0.4], rtol=1e-6)
    np.testing.assert_allclose(tf.reduce_mean(y, [0, 1, 2]), [0.0, 0.0], atol=1e-6)


def test_group_norm_makes_each_group_zero_mean_unit_variance():
    block = ConvBlock(64, 1, norm=Norm(kind="group", epsilon=0.0), activation=None)
    block.build((None, None, None, 3))
    y = block(tf.random.stateless_normal([2, 4, 4, 3], [3, 4]))
    grouped = tf.reshape(y, [2, 4, 4, 32, 2])

    np.testing.assert_allclose(tf.reduce_mean(grouped, [1, 2, 4]), np.zeros([2, 32]), atol=1e-5)
    np.testing.assert_allclose(
        tf.math.reduce_variance(grouped, [1, 2, 4]), np.ones([2, 32]), rtol=1e-4
    )


@pytest.mark.parametrize("size, expected", [(7, 4), (8, 4), (9, 5)])
def test_fixed_padding_does_not_hang_on_the_size(size, expected):
    # 3x3, stride 2, one zero before and one after: (size + 2 - 3) // 2 + 1
    block = ConvBlock(1, 3, strides=2, padding="fixed")
    block.build((None, None, None, 1))
    assert block(tf.zeros([1, size, size, 1])).shape[1] == expected


def test_kernels_may_be_oblong():
    block = ConvBlock(1, (1, 3), norm=None, activation=None)
    block.build((None, None, None, 1))
    block.kernel.assign([[[[1.0]], [[10.0]], [[100.0]]]])
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])[tf.newaxis, :, :, tf.newaxis]

    # a row (a, b) becomes (10 a + 100 b, a + 10 b)
    np.testing.assert_allclose(block(x)[0, :, :, 0], [[210.0, 21.0], [430.0, 43.0]])


@pytest.mark.parametrize("kernel_size, padding", [(3, "same"), ((1, 7), "same"), (3, "fixed")])
def test_dilation_is_a_kernel_with_zeros_between(kernel_size, padding):
    kwargs = {"norm": None, "activation": None, "padding": padding}
    block = _built(ConvBlock(4, kernel_size, dilation=2, **kwargs))
    height, width = (2 * side - 1 for side in block.kernel_size)
    whole = _built(ConvBlock(4, (height, width), **kwargs))
    spread = np.zeros(whole.kernel.shape, np.float32)
    spread[::2, ::2] = block.kernel
    whole.kernel.assign(spread)
    whole.bias.assign(block.bias)
    x = tf.random.stateless_normal([2, 9, 12, 3], [1, 2])

    np.testing.assert_allclose(block(x), whole(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", [None, Norm(), Norm(live=True)])
def test_a_gain_is_a_factor_on_the_convolution(norm):
    x = tf.random.stateless_normal([2, 5, 6, 3], [1, 2])
    kwargs = {"norm": norm, "use_bias": True, "activation": None}
    plain, scaled = (_built(ConvBlock(4, 3, **kwargs, gain=gain)) for gain in (1.0, 0.1))
    plain.kernel.assign(0.1 * plain.kernel)
    plain.bias.assign(0.1 * plain.bias)

    np.testing.assert_allclose(scaled(x, training=True), plain(x, training=True), rtol=1e-5)


@pytest.mark.parametrize("norm", [None, Norm()])
def test_a_separable_convolution_is_its_two_steps(norm):
    block = _built(SeparableConvBlock(5, 3, multiplier=2, strides=2, norm=norm, activation=None))
    x = tf.random.stateless_normal([2, 5, 6, 3], [1, 2])
    y = tf.nn.separable_conv2d(
        x,
        tf.convert_to_tensor(block.depthwise_kernel),
        tf.convert_to_tensor(block.pointwise_kernel),
        [1, 2, 2, 1],
        "SAME",
    )
    if norm is None:
        y = y + block.bias
    else:
        y = (y - block.moving_mean) / tf.sqrt(block.moving_variance + norm.epsilon)
        y = y * block.gamma + block.beta

    np.testing.assert_allclose(block(x), y, rtol=1e-4, atol=1e-4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(x))
    assert all(g is not None for g in tape.gradient(loss, block.trainable_variables))


def test_penalty_of_a_separable_convolution_reads_both_kernels():
    hyperparams = Hyperparams(penalty=lambda kernel: tf.reduce_sum(kernel))
    block = SeparableConvBlock(1, 1, multiplier=1, norm=None, hyperparams=hyperparams)
    block.build((None, None, None, 1))
    block.depthwise_kernel.assign([[[[3.0]]]])
    block.pointwise_kernel.assign([[[[4.0]]]])
    assert block.penalty() == 7.0


def test_penalty_reads_the_kernel_alone():
    hyperparams = Hyperparams(penalty=lambda kernel: 0.5 * tf.nn.l2_loss(kernel))
    block = ConvBlock(2, 1, norm=None, hyperparams=hyperparams)
    block.build((None, None, None, 1))
    block.kernel.assign([[[[3.0, 4.0]]]])
    block.bias.assign([100.0, 100.0])

    assert float(block.penalty()) == 6.25  # 0.5 * (9 + 16) / 2
    assert ConvBlock(2, 1).penalty() is None


def test_dense_block_normalizes_after_its_activation():
    block = DenseBlock(1, activation="relu", norm=Norm(epsilon=0.0))
    block.build((None, 1))
    block.kernel.assign([[1.0]])
    block.norm_layer.moving_mean.assign([1.0])

    # relu(-5) = 0, then 0 - 1; the other order would give 0.
    np.testing.assert_allclose(block(tf.constant([[-5.0]])), [[-1.0]], atol=1e-6)
    assert isinstance(block.norm_layer, keras.layers.BatchNormalization)
