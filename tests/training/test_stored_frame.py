"""From padded batches in the resized frame to images in the stored frame."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import truth_of

from object_detection.structures.batch import (
    Batch,
    CroppedMasks,
    Detections,
    GroundTruth,
    IgnoreRegions,
    Images,
)
from object_detection.training.stored_frame import images_of

# Two images padded to 8 x 10. The first is 4 x 10 of a stored 8 x 40: rows twice, columns four
# times as large. The second is 8 x 5 of a stored 4 x 5: rows half as large.
BATCH = Batch(
    Images(tf.zeros([2, 8, 10, 3]), tf.constant([[4, 10], [8, 5]])),
    GroundTruth(
        boxes=tf.constant(
            [[[1.0, 2, 3, 4], [0, 0, 4, 10], [0, 0, 0, 0]], [[2.0, 1, 8, 5], [0] * 4, [0] * 4]]
        ),
        classes=tf.constant([[3, 1, 0], [2, 0, 0]]),
        valid=tf.constant([[True, True, False], [True, False, False]]),
        weights=tf.ones([2, 3]),
        crowd=tf.constant([[False, True, False], [False, False, False]]),
        difficult=tf.zeros([2, 3], tf.bool),
        area=tf.constant([[5.0, 6, 0], [7, 0, 0]]),
        masks=CroppedMasks(
            tf.cast(tf.reshape(tf.range(2 * 2 * 8 * 40) % 2, [2, 2, 8, 40]), tf.uint8),
            tf.constant([[8, 40], [4, 5]]),
        ),
    ),
    tf.constant([b"a", "é".encode()]),
    tf.constant([[8, 40], [4, 5]]),
    tf.cast(tf.random.uniform([2, 8, 40, 3], 0, 256, tf.int32), tf.uint8),
)
FOUND = Detections(
    boxes=tf.constant([[[1.0, 1, 2, 2], [0] * 4], [[4.0, 0, 8, 5], [0] * 4]]),
    scores=tf.constant([[0.9, 0.0], [0.8, 0.0]]),
    classes=tf.constant([[1, 0], [2, 0]]),
    valid=tf.constant([[True, False], [True, False]]),
    masks=tf.ones([2, 2, 3, 3]),
)


def test_boxes_are_scaled_by_stored_over_true_shape():
    first, second = images_of(BATCH, FOUND)
    assert first.truth.boxes.tolist() == [[2, 8, 6, 16], [0, 0, 8, 40]]
    assert second.truth.boxes.tolist() == [[1, 1, 4, 5]]
    assert first.detections.boxes.tolist() == [[2, 4, 4, 8]]
    assert second.detections.boxes.tolist() == [[2, 0, 4, 5]]


def test_padding_is_left_out():
    first, second = images_of(BATCH, FOUND)
    assert first.truth.classes.tolist() == [3, 1] and second.truth.classes.tolist() == [2]
    assert first.truth.crowd.tolist() == [False, True]
    assert first.truth.area.tolist() == [5, 6]
    assert len(first.detections.scores) == len(first.detections.masks) == 1
    assert (first.height, first.width) == (8, 40) and (second.height, second.width) == (4, 5)
    assert second.pixels.shape == (4, 5, 3)
    np.testing.assert_array_equal(second.pixels, BATCH.source_pixels[1, :4, :5])


def test_masks_are_cut_to_their_own_size():
    first, second = images_of(BATCH, FOUND)
    assert first.truth.masks.to_dense().shape == (2, 8, 40)
    np.testing.assert_array_equal(
        second.truth.masks.to_dense(), BATCH.truth.masks.pixels[1, :1, :4, :5]
    )


def test_masks_that_travel_as_crops_are_the_same():
    masks = np.zeros([2, 2, 8, 40], np.uint8)
    masks[0, 0, 2:6, 30:40] = masks[1, 0, 1:4, 2:5] = 1
    crops = np.zeros([2, 2, 4, 10], np.uint8)  # padded to the largest: beyond the second image
    crops[0, 0] = crops[1, 0, :3, :3] = 1
    origin = tf.constant([[[2, 30], [0, 0]], [[1, 2], [0, 0]]])
    shape = BATCH.truth.masks.shape
    whole = BATCH.truth._replace(masks=CroppedMasks(tf.constant(masks), shape))
    cut = BATCH.truth._replace(masks=CroppedMasks(tf.constant(crops), shape, origin))

    first, second = (images_of(BATCH._replace(truth=truth), FOUND) for truth in (whole, cut))
    for one, other in zip(first, second, strict=True):
        assert one.truth.masks.to_rle() == other.truth.masks.to_rle()


def test_an_image_whose_masks_are_not_known_has_none():
    # What is beyond the objects of an image is padding, whatever it says.
    present = tf.constant([[True, True], [False, False]])
    truth = BATCH.truth._replace(masks=BATCH.truth.masks._replace(present=present))
    first, second = images_of(BATCH._replace(truth=truth), FOUND)
    assert len(first.truth.masks) == 2
    assert second.truth.masks is None and second.truth.classes.tolist() == [2]


def test_ids_are_text():
    assert [image.image_id for image in images_of(BATCH, FOUND)] == ["a", "é"]


def test_without_masks_and_pixels():
    truth = BATCH.truth._replace(masks=None)
    batch = BATCH._replace(truth=truth, source_pixels=None)
    first, _ = images_of(batch, FOUND._replace(masks=None))
    assert first.truth.masks is None and first.detections.masks is None and first.pixels is None


def test_what_lies_on_ignore_regions_is_left_out():
    # The left half of the image is ignored. Detections: two there, of which one has found the
    # judged object that reaches into it; one on the right. The second object lies on it.
    area = np.zeros([1, 20, 40], np.uint8)
    area[0, :, :20] = 1
    ground = IgnoreRegions(tf.constant(area), tf.constant([[20, 40]]), tf.constant([[20, 40]]))
    truth = truth_of([[[0, 8, 10, 33], [0, 0, 10, 18]]])._replace(
        classes=tf.constant([[1, 1]]), masks=None, ignore=ground
    )
    images = Images(tf.zeros([1, 20, 40, 3]), tf.constant([[20, 40]]))
    batch = Batch(images, truth, tf.constant([b"a"]), tf.constant([[20, 40]]))
    found = [[0, 8, 10, 30], [10, 0, 20, 19], [10, 20, 20, 40]]
    detections = Detections(
        tf.constant([found], tf.float32),
        tf.constant([[0.9, 0.8, 0.7]]),
        tf.constant([[1, 1, 1]]),
        tf.constant([[True] * 3]),
    )
    (image,) = images_of(batch, detections)
    assert image.detections.scores.tolist() == pytest.approx([0.9, 0.7])
    assert image.truth.boxes.tolist() == [[0, 8, 10, 33]]
