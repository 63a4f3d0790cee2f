"""First 1x1 convolutions taken on the whole map and cropped equal those taken on the crops."""

from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from object_detection.export.portable import PortableCropper
from object_detection.modeling.backbones.inception_parts import MAX, Chain, Mixed, conv_of
from object_detection.modeling.backbones.resnet_v1 import BlockStyle
from object_detection.modeling.conv_block import Norm
from object_detection.modeling.rewrites import FAST, use_rewrites
from object_detection.modeling.roi_stage import CropSettings, RoiCropper, RoiStage

BRANCHES = (
    (("conv2d_0a_1x1", 4), ("conv2d_1a_3x3", 5)),
    (("conv2d_1a_3x3", 3),),
    (MAX,),
)
WITHOUT = FAST._replace(convolution_before_crop=False)
SIZE = 5
IMAGE = (64, 80)


class _Head(tf.keras.layers.Layer):
    """Stands where the box head does."""


def stage_of(*, live=False, pool=1, matmul=False, portable=False):
    """A second stage on crops of 5 x 5 whose trunk is one Inception module and a convolution."""
    style = BlockStyle(norm=Norm(live=live))
    module = Mixed(style, BRANCHES, strides=2, name="mixed")
    trunk = Chain([module, conv_of(style, "conv2d_1x1", 7)], name="trunk")
    settings = CropSettings(SIZE, pool, pool, matmul=matmul, paper_levels=False)
    cropper = (PortableCropper if portable else RoiCropper)(settings)
    keywords = ("sampling", "detection", "classification_loss")
    stage = RoiStage(trunk, _Head(), cropper, **dict.fromkeys(keywords))
    trunk.build((None, SIZE, SIZE, 6))
    generator = np.random.default_rng(0)
    for variable in stage.variables:
        shift = 0.5 * variable.path.endswith(("gamma", "moving_variance"))
        variable.assign(shift + generator.uniform(0.1, 1.0, variable.shape))
    return stage


def results(stage, rewrites, training=False):
    """The trunk's features, and gradients of the map and of the trunk."""
    use_rewrites(stage, rewrites)
    cells = tf.random.stateless_normal([2, 8, 10, 6], [1, 2])
    boxes = tf.random.stateless_uniform([2, 20, 4], [3, 4], -20.0, 100.0)  # many reach outside
    with tf.GradientTape() as tape:
        tape.watch(cells)
        features = stage.trunk_features({3: cells}, boxes, IMAGE, training=training)
        loss = tf.reduce_sum(tf.square(features))
    return features, tape.gradient(loss, [cells, *stage.trunk.trainable_variables])


def convolved_sizes(stage):
    """Heights and widths of what 1x1 convolutions of the map's channels read."""
    with mock.patch.object(tf.nn, "conv2d", wraps=tf.nn.conv2d) as convolve:
        results(stage, FAST)
    return {
        tuple(call.args[0].shape[1:3])
        for call in convolve.call_args_list
        if tuple(call.args[1].shape[:3]) == (1, 1, 6)
    }


@pytest.mark.parametrize(
    "kind",
    [{}, {"live": True}, {"matmul": True}, {"portable": True}],
    ids=["frozen norm", "live norm", "fading crops", "portable crops"],
)
def test_equal_with_gradients(kind):
    stage = stage_of(**kind)
    live = kind.get("live", False)
    fast, fast_gradients = results(stage, FAST, training=live)
    plain, plain_gradients = results(stage, WITHOUT, training=live)

    assert np.abs(plain).max() > 0.5
    np.testing.assert_allclose(fast, plain, atol=1e-5 * np.abs(plain).max())
    for got, want in zip(fast_gradients, plain_gradients, strict=True):
        got, want = tf.convert_to_tensor(got), tf.convert_to_tensor(want)
        np.testing.assert_allclose(got, want, atol=1e-4 * float(tf.reduce_max(tf.abs(want))))


def test_the_map_is_convolved_and_no_crop():
    assert convolved_sizes(stage_of()) == {(8, 10)}


def test_a_pool_between_keeps_the_order():
    assert convolved_sizes(stage_of(pool=2)) == {(2, 2)}


def test_few_rois_are_convolved_as_crops():
    stage = stage_of()
    assert stage._convolves_before_crop({3: tf.zeros([1, 8, 10, 6])}, rois=4)  # 100 cells for 80
    assert not stage._convolves_before_crop({3: tf.zeros([1, 8, 10, 6])}, rois=3)
    assert not stage._convolves_before_crop({2: None, 3: None}, rois=100)  # a pyramid
