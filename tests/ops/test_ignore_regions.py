import numpy as np
import tensorflow as tf

from object_detection.ops import ignore_regions
from object_detection.structures.batch import IgnoreRegions


def ground(rows, columns, shape=(8, 10), true_shape=(16, 20)):
    """`IgnoreRegions` of one image, a rectangle of the stored mask; the image is twice as large."""
    area = np.zeros([1, 9, 12], np.uint8)  # padded to another image of the batch
    area[0, rows, columns] = 1
    return IgnoreRegions(tf.constant(area), tf.constant([shape]), tf.constant([true_shape]))


def test_shares_of_boxes_are_exact_between_pixels_too():
    # The first four columns of the mask are ignored: in the resized image x from 0 to 8.
    left = ground(slice(0, 8), slice(0, 4))
    boxes = tf.constant([[0.0, 0, 16, 20], [0, 4, 16, 12], [3, 6.5, 5, 9.5], [0, 12, 4, 20]])
    # 8 of 20 columns; 4 of 8; 1.5 of 3; none
    np.testing.assert_allclose(
        ignore_regions.ignored_share(boxes, left)[0], [0.4, 0.5, 0.5, 0.0], atol=1e-6
    )
    np.testing.assert_array_equal(ignore_regions.mostly_ignored(boxes, left)[0], [False] * 4)
    np.testing.assert_array_equal(
        ignore_regions.mostly_ignored(tf.constant([[[0.0, 4, 16, 11.9]]]), left), [[True]]
    )


def test_boxes_without_area_and_beyond_the_image():
    all_of_it = ground(slice(0, 8), slice(0, 10))
    boxes = tf.constant([[3.0, 3, 3, 3], [-16, 0, 16, 20], [100, 100, 120, 120]])
    np.testing.assert_allclose(ignore_regions.ignored_share(boxes, all_of_it)[0], [0.0, 0.5, 0.0])


def test_points_of_a_mask_that_read_a_ignored_pixel():
    left = ground(slice(0, 8), slice(0, 4))
    box = tf.constant([[0.0, 0.0, 16.0, 20.0]])
    touched = ignore_regions.touched_points(left, (16, 20), box, tf.constant([0]), (4, 20))
    # 20 points over 20 columns of the resized image, of which 8 are ignored.
    assert touched[0, 1, :7].numpy().all()
    assert not touched[0, :, 9:].numpy().any()
