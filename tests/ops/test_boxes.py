"""Geometry of boxes: numbers worked by hand, properties, and TFOD's box list operations."""

import numpy as np
import tensorflow as tf
from random_boxes import random_boxes
from reference import blocks, needs_reference

from object_detection.ops import boxes

GOLDEN = blocks("box_list_ops_misc")
COORDINATES = blocks("coordinates")


def test_area_is_height_times_width():
    found = boxes.area(tf.constant([[1.0, 2.0, 4.0, 7.0], [5.0, 5.0, 5.0, 9.0]]))
    assert found.numpy().tolist() == [15.0, 0.0]  # 3 x 5, and a box without height


def test_a_box_turned_inside_out_has_no_area():
    found = boxes.area(tf.constant([[4.0, 2.0, 1.0, 7.0], [4.0, 7.0, 1.0, 2.0]]))
    assert found.numpy().tolist() == [0.0, 0.0]


def test_iou_by_hand():
    # 4 x 4 against 4 x 4 shifted by (2, 1): they share 2 x 3 = 6 of 16 + 16 - 6 = 26.
    found = boxes.iou(tf.constant([[0.0, 0.0, 4.0, 4.0]]), tf.constant([[2.0, 1.0, 6.0, 5.0]]))
    np.testing.assert_allclose(found, [[6 / 26]], rtol=1e-6)


def test_boxes_that_touch_or_have_no_area_have_no_iou():
    found = boxes.iou(
        tf.constant([[0.0, 0.0, 4.0, 4.0], [1.0, 1.0, 1.0, 1.0]]),
        tf.constant([[4.0, 0.0, 8.0, 4.0], [1.0, 1.0, 1.0, 1.0]]),
    )
    assert found.numpy().tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_iou_is_symmetric_and_of_itself_one():
    one, other = random_boxes(0, 2, 5), random_boxes(1, 2, 7)
    found = boxes.iou(one, other)
    assert found.shape == (2, 5, 7)
    np.testing.assert_array_equal(found, tf.transpose(boxes.iou(other, one), [0, 2, 1]))
    np.testing.assert_allclose(tf.linalg.diag_part(boxes.iou(one, one)), np.ones((2, 5)), rtol=1e-6)


def test_iou_with_no_ground_truth_is_empty():
    assert boxes.iou(tf.constant(random_boxes(0, 2, 5)), tf.zeros([2, 0, 4])).shape == (2, 5, 0)


def test_clip_leaves_a_box_outside_without_area():
    window = tf.constant([0.0, 0.0, 10.0, 20.0])
    inside, across, outside = tf.unstack(
        boxes.clip(
            tf.constant([[1.0, 2.0, 3.0, 4.0], [-5.0, 15.0, 5.0, 25.0], [11.0, 2.0, 15.0, 4.0]]),
            window,
        )
    )
    assert inside.numpy().tolist() == [1.0, 2.0, 3.0, 4.0]
    assert across.numpy().tolist() == [0.0, 15.0, 5.0, 20.0]
    assert outside.numpy().tolist() == [10.0, 2.0, 10.0, 4.0]


def test_each_image_is_clipped_to_its_own_window():
    window = tf.constant([[[0.0, 0.0, 5.0, 5.0]], [[0.0, 0.0, 9.0, 9.0]]])
    found = boxes.clip(tf.fill([2, 3, 4], 7.0), window)
    assert found[:, 0, 0].numpy().tolist() == [5.0, 7.0]


def test_a_box_on_the_border_is_inside():
    found = boxes.inside(
        tf.constant([[0.0, 0.0, 10.0, 10.0], [-0.1, 0.0, 5.0, 5.0], [0.0, 0.0, 5.0, 10.1]]),
        tf.constant([0.0, 0.0, 10.0, 10.0]),
    )
    assert found.numpy().tolist() == [True, False, False]


def test_normalized_and_back():
    pixels = tf.constant([[10.0, 20.0, 50.0, 100.0]])
    normalized = boxes.to_normalized(pixels, 100, 200)
    np.testing.assert_allclose(normalized, [[0.1, 0.1, 0.5, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(boxes.from_normalized(normalized, 100, 200), pixels, rtol=1e-6)


def test_each_image_is_normalized_by_its_own_size():
    sizes = tf.constant([[[100, 200]], [[50, 400]]])
    found = boxes.to_normalized(tf.fill([2, 3, 4], 10.0), sizes[..., 0], sizes[..., 1])
    np.testing.assert_allclose(found[:, 1], [[0.1, 0.05, 0.1, 0.05], [0.2, 0.025, 0.2, 0.025]])


def test_normalizing_multiplies_by_the_reciprocal():
    # 41 / 41 is 1, but 41 * (1 / 41) in float32 is the next number below: TFOD's.
    found = boxes.to_normalized(tf.constant([0.0, 0.0, 41.0, 41.0]), 41, 41)
    assert found[2].numpy() == np.float32(41) * (np.float32(1) / np.float32(41)) < 1


def test_change_frame_puts_the_window_at_zero_and_one():
    window = tf.constant([10.0, 20.0, 50.0, 100.0])
    found = boxes.change_frame(
        tf.constant([[10.0, 20.0, 50.0, 100.0], [30.0, 60.0, 90.0, 20.0]]), window
    )
    np.testing.assert_allclose(found, [[0, 0, 1, 1], [0.5, 0.5, 2.0, 0.0]], rtol=1e-6)


@needs_reference
def test_box_list_operations_as_in_tfod():
    window = tf.constant(GOLDEN["window"])
    clipped = boxes.clip(GOLDEN["boxes"], window)
    np.testing.assert_array_equal(clipped, GOLDEN["clipped_nofilter"])
    np.testing.assert_array_equal(clipped[boxes.area(clipped) > 0], GOLDEN["clipped"])
    inside = boxes.inside(GOLDEN["boxes"], window)
    np.testing.assert_array_equal(tf.where(inside)[:, 0], GOLDEN["pruned_idx"])
    np.testing.assert_array_equal(GOLDEN["boxes"][inside], GOLDEN["pruned"])
    np.testing.assert_array_equal(boxes.iou(GOLDEN["boxes"], GOLDEN["boxes2"]), GOLDEN["iou"])
    np.testing.assert_array_equal(boxes.area(GOLDEN["boxes2"]), GOLDEN["area"])
    np.testing.assert_allclose(
        boxes.change_frame(GOLDEN["boxes2"], tf.constant([10.0, 20.0, 90.0, 80.0])),
        GOLDEN["change_frame"],
        rtol=1e-5,
        atol=1e-7,
    )


@needs_reference
def test_coordinates_as_in_tfod():
    np.testing.assert_array_equal(
        boxes.to_normalized(COORDINATES["to_norm_in"], 100, 200), COORDINATES["to_norm"]
    )
    _, height, width, _ = COORDINATES["image_shape"]
    np.testing.assert_array_equal(
        boxes.from_normalized(COORDINATES["normalized"], height, width), COORDINATES["image"]
    )
