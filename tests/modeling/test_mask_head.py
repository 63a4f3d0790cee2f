"""The mask head's two exact rewrites equal the plain path; TFOD's depth rule."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.modeling.conv_block import Hyperparams, Norm
from object_detection.modeling.mask_head import (
    MaskHead,
    MaskSettings,
    align_corners_resize,
    auto_depth,
    convolution_of_class,
    nearest_upsample,
    resized_convolution,
)
from object_detection.modeling.rewrites import FAST, PLAIN

SETTINGS = MaskSettings(
    height=15,
    width=13,
    conv_depth=8,
    num_conv_layers=3,
    class_agnostic=False,
    convolve_then_upsample=False,
    spatial=False,
    crop_size=14,
    loss_per_replica=False,
)


@pytest.mark.parametrize("h, w, size", [(4, 4, (33, 33)), (7, 5, (15, 14)), (1, 1, (28, 28))])
def test_resize_and_convolution_commute(h, w, size):
    x = tf.random.stateless_normal([3, h, w, 16], [1, 2])
    kernel = tf.random.stateless_normal([3, 3, 16, 8], [3, 4])

    plain = tf.nn.conv2d(align_corners_resize(x, size), kernel, 1, "SAME")

    np.testing.assert_allclose(resized_convolution(x, kernel, size=size), plain, atol=2e-5)


def test_convolution_of_class_picks_its_channel():
    x = tf.random.stateless_normal([4, 6, 5, 3], [1, 2])
    kernel, bias = tf.random.stateless_normal([3, 3, 3, 7], [3, 4]), tf.range(7.0)
    index = tf.constant([0, 6, 3, 3])

    every = tf.nn.conv2d(x, kernel, 1, "SAME") + bias

    own = tf.gather(tf.transpose(every, [0, 3, 1, 2]), index, batch_dims=1)
    np.testing.assert_allclose(convolution_of_class(x, kernel, bias, index), own, atol=1e-5)


@pytest.mark.parametrize("norm", [None, Norm()])
@pytest.mark.parametrize("upsample_late", [False, True])
def test_fast_path_equals_plain_path_with_its_gradient(norm, upsample_late):
    size = {"height": 14, "width": 14} if upsample_late else {}
    settings = SETTINGS._replace(convolve_then_upsample=upsample_late, **size)
    head = MaskHead(5, settings, Hyperparams(norm=norm))
    head.build((None, 7, 7, 16))
    x = tf.random.stateless_normal([3, 7, 7, 16], [5, 6])
    classes = tf.constant([1, 5, 2])

    results = []
    for head.rewrites in (FAST, PLAIN):
        with tf.GradientTape() as tape:
            logits = head(x, classes)
            loss = tf.reduce_sum(tf.square(logits))
        results.append((logits, tape.gradient(loss, head.trainable_variables)))

    (fast, fast_gradient), (plain, plain_gradient) = results
    np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5)
    for got, want in zip(fast_gradient, plain_gradient, strict=True):
        got, want = tf.convert_to_tensor(got), tf.convert_to_tensor(want)
        np.testing.assert_allclose(got, want, atol=1e-4 * float(tf.reduce_max(tf.abs(want))))


def test_all_classes_where_none_is_asked_for():
    head = MaskHead(5, SETTINGS)
    head.build((None, 7, 7, 16))
    x = tf.random.stateless_normal([2, 7, 7, 16], [5, 6])

    every = head(x)

    assert every.shape == (2, 5, 15, 13)
    own = tf.gather(every, [0, 4], batch_dims=1)
    np.testing.assert_allclose(head(x, tf.constant([1, 5])), own, rtol=1e-4, atol=1e-5)


def test_class_agnostic_masks_have_one_channel():
    head = MaskHead(5, SETTINGS._replace(class_agnostic=True))
    head.build((None, 7, 7, 16))
    x = tf.random.stateless_normal([2, 7, 7, 16], [5, 6])

    np.testing.assert_array_equal(head(x, tf.constant([1, 5])), head(x, tf.constant([3, 2])))


def test_auto_depth_of_tfod():
    assert auto_depth(2048, 5) == 64  # (2 * 11 + 3 * 2.32) / 5 = 5.79 -> 2 ** 6
    assert auto_depth(2048, 90) == 256  # (22 + 3 * 6.49) / 5 = 8.29 -> 2 ** 8


def test_nearest_upsample_repeats_cells():
    x = tf.reshape(tf.constant([1.0, 2.0]), [1, 1, 2, 1])
    assert nearest_upsample(x, (2, 4))[0, :, :, 0].numpy().tolist() == [[1, 1, 2, 2]] * 2
