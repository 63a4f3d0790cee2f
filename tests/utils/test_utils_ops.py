"""TFOD's `utils.ops` by its own names."""

import numpy as np
import pytest
import tensorflow as tf
from reference import blocks, needs_reference

from object_detection.utils import ops

GOLDEN = blocks("reframe_masks")


@needs_reference
@pytest.mark.parametrize("convert", [np.asarray, tf.constant])
@pytest.mark.parametrize(
    ("masks", "arguments", "image_masks"),
    [
        ("box_masks", (), "image_masks"),
        ("box_masks", ("nearest",), "image_masks_nearest"),
        ("box_masks_uint8", (), "image_masks_uint8"),
    ],
)
def test_masks_are_reframed_as_in_tfod(convert, masks, arguments, image_masks):
    got = ops.reframe_box_masks_to_image_masks(
        convert(GOLDEN[masks]), convert(GOLDEN["boxes"]), *GOLDEN["image_hw"], *arguments
    )

    np.testing.assert_allclose(got, GOLDEN[image_masks], atol=1e-5)
    assert got.dtype == GOLDEN[image_masks].dtype


def test_masks_are_reframed_in_a_graph_of_unknown_sizes():
    specs = [tf.TensorSpec([None, None, None]), tf.TensorSpec([None, 4])]
    specs += [tf.TensorSpec([], tf.int64)] * 2
    traced = tf.function(ops.reframe_box_masks_to_image_masks, input_signature=specs)
    # The box is the right half of a 2 x 4 image.
    masks, boxes = tf.ones([1, 3, 3]), tf.constant([[0.0, 0.5, 1.0, 1.0]])

    assert traced(masks, boxes, tf.constant(2, tf.int64), tf.constant(4, tf.int64)).shape == (
        1,
        2,
        4,
    )
    assert traced(
        masks[:0], boxes[:0], tf.constant(2, tf.int64), tf.constant(4, tf.int64)
    ).shape == (
        0,
        2,
        4,
    )


def test_a_wrong_method_is_reported():
    with pytest.raises(ValueError, match="resize_method is 'cubic'; allowed: bilinear, nearest"):
        ops.reframe_box_masks_to_image_masks(np.ones([1, 2, 2]), np.ones([1, 4]), 2, 2, "cubic")


def test_boxes_in_pixels():
    # 0.5 of 40 rows, 0.25 of 80 columns
    got = ops.normalized_to_image_coordinates([[[0.5, 0.25, 1.0, 1.0]]], [1, 40, 80, 3])

    assert got.numpy().tolist() == [[[20.0, 20.0, 40.0, 80.0]]]


def test_one_hot_rows_with_a_background_column():
    got = ops.padded_one_hot_encoding(tf.constant([1, 0]), depth=2, left_pad=1)

    assert got.numpy().tolist() == [[0, 0, 1], [0, 1, 0]]
    with pytest.raises(ValueError, match="left_pad must be a whole number"):
        ops.padded_one_hot_encoding([1], 2, -1)
