"""Masks of TFOD's programs: of the image, or of the padded image."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from object_detection.compat.detection_model import DetectionModel
from object_detection.compat.groundtruth_lists import GroundTruthLists


def lists_with(masks):
    return GroundTruthLists(
        {
            "groundtruth_boxes_list": [tf.constant([[0.0, 0, 1, 1]])],
            "groundtruth_classes_list": [tf.constant([[1.0, 0]])],
            "groundtruth_masks_list": [masks],
        }
    )


def test_masks_as_large_as_the_padded_image_lose_their_padding():
    canvas = np.zeros((1, 8, 10), np.float32)
    canvas[:, :4, :10] = 1
    truth = lists_with(canvas).to_ground_truth(tf.constant([[4, 10]]), tf.constant([8, 10]))

    assert truth.masks.shape.numpy().tolist() == [[4, 10]]
    np.testing.assert_array_equal(truth.masks.pixels, np.ones((1, 1, 4, 10)))


def test_masks_of_another_size_cover_the_true_image():
    stored = np.ones((1, 16, 40), np.float32)
    truth = lists_with(stored).to_ground_truth(tf.constant([[4, 10]]), tf.constant([8, 10]))

    assert truth.masks.shape.numpy().tolist() == [[16, 40]]
    np.testing.assert_array_equal(truth.masks.pixels, stored[np.newaxis])


# The arguments of TFOD 2.8's `DetectionModel.provide_groundtruth`, in its order.
ORDER = (
    "boxes masks:2 mask_weights:3 keypoints:4 densepose_num_points:6 track_ids:9 weights:12 "
    "confidences:13 is_crowd:14 group_of:15 area:16 is_annotated:17 keypoint_depths:21"
)


def test_arguments_by_position_are_tfods():
    model = DetectionModel.__new__(DetectionModel)
    boxes, classes, masks = [tf.zeros([1, 4])], [tf.ones([1, 1])], [tf.ones([1, 8, 8])]
    model.provide_groundtruth(boxes, classes, masks)
    assert model.groundtruth_lists("masks") is masks
    assert not model.groundtruth_has_field("mask_weights")

    values = [boxes, classes, *([k] for k in range(2, 25))]
    model.provide_groundtruth(*values)
    for word in ORDER.split():
        field, _, place = word.partition(":")
        assert model.groundtruth_lists(field) is values[int(place or 0)], field
    assert model.groundtruth_lists("training_step") == [24]


def test_arguments_that_are_too_many_or_twice():
    model = DetectionModel.__new__(DetectionModel)
    masks = [tf.ones([1, 8, 8])]
    with pytest.raises(TypeError, match="groundtruth_masks_list is given twice"):
        model.provide_groundtruth([1], [1], masks, groundtruth_masks_list=masks)
    with pytest.raises(TypeError, match="takes 25 arguments, got 26"):
        model.provide_groundtruth(*[[1]] * 26)
    with pytest.raises(TypeError, match="has no argument groundtruth_mask_list"):
        model.provide_groundtruth([1], [1], groundtruth_mask_list=masks)
    assert list(inspect.signature(model.provide_groundtruth).parameters)[:2] == [
        "groundtruth_boxes_list",
        "groundtruth_classes_list",
    ]


def test_rows_of_several_classes_and_of_none_stay_what_they_are():
    rows = [[0.0, 0, 0], [0, 1, 0], [0, 1, 1]]
    lists = GroundTruthLists(
        {
            "groundtruth_boxes_list": [tf.constant([[0.0, 0, 1, 1]] * 3)],
            "groundtruth_classes_list": [tf.constant(rows)],
        }
    )
    truth = lists.to_ground_truth(tf.constant([[4, 10]]))

    np.testing.assert_array_equal(truth.class_targets, [rows])
    assert truth.classes.numpy().tolist() == [[0, 2, 2]]  # argmax behind a column of background
    assert truth.valid.numpy().tolist() == [[True] * 3]
