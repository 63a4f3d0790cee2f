"""Convolutions of enlarged maps."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.ops.convolution import convolve_repeated


def test_a_cell_twice_wide_and_high():
    # The map [[1]] becomes 2 x 2 ones; each pixel sees four of the nine taps, in its corner.
    kernel = tf.reshape(tf.range(1.0, 10.0), [3, 3, 1, 1])

    y = convolve_repeated(tf.ones([1, 1, 1, 1]), kernel, scale=(2, 2)).joined()

    # 5+6+8+9, 4+5+7+8, 2+3+5+6, 1+2+4+5
    assert y[0, :, :, 0].numpy().tolist() == [[28, 24], [16, 12]]


@pytest.mark.parametrize("scale", [(1, 1), (2, 2), (3, 2), (4, 1)])
def test_it_is_the_convolution_of_the_repeated_map(scale):
    generator = np.random.default_rng(0)
    x = tf.constant(generator.standard_normal((3, 5, 4, 6), np.float32))
    kernel = tf.constant(generator.standard_normal((3, 3, 6, 7), np.float32))

    def plain(x, kernel):
        repeated = tf.repeat(tf.repeat(x, scale[0], 1), scale[1], 2)
        return tf.nn.conv2d(repeated, kernel, 1, "SAME")

    def results(function):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = function(x, kernel)
            loss = tf.reduce_sum(tf.sin(y))
        return y, *tape.gradient(loss, [x, kernel])

    found = results(lambda x, kernel: convolve_repeated(x, kernel, scale=scale).joined())

    for ours, theirs in zip(found, results(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4 * np.abs(theirs).max())
