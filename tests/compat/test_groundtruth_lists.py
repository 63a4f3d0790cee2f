"""Masks of TFOD's programs: of the image, or of the padded image."""

import numpy as np
import tensorflow as tf

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
    truth = lists_with(canvas).as_structure(tf.constant([[4, 10]]), tf.constant([8, 10]))

    assert truth.mask_shape.numpy().tolist() == [[4, 10]]
    np.testing.assert_array_equal(truth.masks, np.ones((1, 1, 4, 10)))


def test_masks_of_another_size_cover_the_true_image():
    stored = np.ones((1, 16, 40), np.float32)
    truth = lists_with(stored).as_structure(tf.constant([[4, 10]]), tf.constant([8, 10]))

    assert truth.mask_shape.numpy().tolist() == [[16, 40]]
    np.testing.assert_array_equal(truth.masks, stored[np.newaxis])
