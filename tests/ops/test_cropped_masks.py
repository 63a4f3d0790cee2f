"""Masks of which only a part is there give the targets of whole ones."""

import numpy as np
import pytest
import tensorflow as tf
from random_boxes import random_boxes
from targets_of_rois import mask_targets

from object_detection.data.mask_decoder import crop_masks
from object_detection.ops import masks
from object_detection.structures.batch import CroppedMasks

SIZE = (33, 33)


def stored_masks(rng, count, shape):
    """Noise in a random rectangle each; the last is empty."""
    whole = np.zeros((count, *shape), np.uint8)
    for mask in whole[:-1]:
        (top, bottom), (left, right) = (np.sort(rng.integers(0, side + 1, 2)) for side in shape)
        mask[top:bottom, left:right] = rng.random((bottom - top, right - left)) < 0.5
    return whole


def targets(stored, true_shape, boxes, gt_index):
    image_shape = tuple(np.max(true_shape, axis=0))
    true_shape = tf.constant(true_shape, tf.int32)
    return mask_targets(
        *(stored.pixels, stored.shape, true_shape, image_shape, boxes, gt_index, SIZE),
        origin=stored.origin,
    ).numpy()


@pytest.mark.parametrize("seed", range(20))
def test_targets_are_equal_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    shapes = rng.integers(4, 90, (2, 2))
    true_shape = rng.integers(8, 120, (2, 2))
    whole = [stored_masks(rng, 4, shape) for shape in shapes]
    cut = [crop_masks(tf.constant(one)) for one in whole]
    padded = np.zeros((2, 4, *shapes.max(axis=0)), np.uint8)
    parts = np.zeros((2, 4, *np.max([one.pixels.shape[1:] for one in cut], axis=0)), np.uint8)
    for b in range(2):
        padded[b, :, : shapes[b, 0], : shapes[b, 1]] = whole[b]
        height, width = cut[b].pixels.shape[1:]
        parts[b, :, :height, :width] = cut[b].pixels
    boxes = random_boxes(seed, 2, 12, side=np.max(true_shape))
    boxes = tf.constant(boxes, tf.float32)
    gt_index = tf.constant(rng.integers(0, 4, (2, 12)), tf.int32)
    shape = tf.constant(shapes, tf.int32)
    crops = CroppedMasks(tf.constant(parts), shape, tf.stack([one.origin for one in cut]))

    found = targets(crops, true_shape, boxes, gt_index)

    expected = targets(CroppedMasks(tf.constant(padded), shape), true_shape, boxes, gt_index)
    np.testing.assert_array_equal(found, expected)
    assert expected.any()
    whole = masks.whole_masks(crops)
    np.testing.assert_array_equal(whole.pixels, padded)
    assert whole.origin is None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cropped", [False, True])
def test_masks_resized_to_the_image_give_the_same(seed, cropped):
    rng = np.random.default_rng(seed)
    shapes = tf.constant([[40, 30], [0, 0]])  # the second image has no mask
    true_shape, image_shape = tf.constant([[70, 64], [50, 80]]), (72, 80)
    stored = np.zeros((2, 3, 40, 30), np.uint8)
    stored[0, :, 3:35, 5:25] = rng.random((3, 32, 20)) < 0.5
    stored = CroppedMasks(tf.constant(stored), shapes)
    if cropped:
        origin = tf.zeros([2, 3, 2], tf.int32) + [3, 5]
        stored = CroppedMasks(stored.pixels[:, :, 3:35, 5:25], shapes, origin)
    boxes = tf.constant(random_boxes(seed, 1, 12, side=80)[0], tf.float32)
    owner, gt_index = tf.range(12) // 10, tf.constant(rng.integers(0, 5, 12), tf.int32)
    given = (stored, true_shape, image_shape, boxes, owner, gt_index, SIZE)

    found = masks.resized_mask_target_rows(*given)

    assert found.numpy().any()
    np.testing.assert_array_equal(found, masks.mask_target_rows(*given))


def test_a_crop_may_reach_out_of_its_mask():
    """Padding does; it holds zeros, and nobody reads it."""
    part = tf.constant([[[[1, 0], [0, 0]]]], tf.uint8)
    origin, shape = tf.constant([[[2, 2]]]), tf.constant([[3, 3]])
    whole = masks.whole_masks(CroppedMasks(part, shape, origin)).pixels
    assert whole[0, 0].numpy().tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    box, gt_index = tf.constant([[[0.0, 0.0, 3.0, 3.0]]]), tf.constant([[0]])
    found = mask_targets(part, shape, shape, (3, 3), box, gt_index, (3, 3), origin=origin)
    np.testing.assert_array_equal(found[0, 0], whole[0, 0])


def test_images_without_a_mask():
    pixels, origin = tf.zeros([1, 0, 1, 1], tf.uint8), tf.zeros([1, 0, 2], tf.int32)
    box, gt_index = tf.constant([[[0.0, 0.0, 3.0, 3.0]]]), tf.constant([[0]])
    shape = tf.constant([[5, 5]])
    found = mask_targets(pixels, shape, shape, (5, 5), box, gt_index, SIZE, origin=origin)
    assert found.shape == (1, 1, *SIZE) and not found.numpy().any()
    whole = masks.whole_masks(CroppedMasks(pixels, shape, origin))
    assert whole.pixels.shape == (1, 0, 5, 5)


def test_cuts_by_hand():
    whole = np.zeros((3, 6, 8), np.uint8)
    whole[0, 1:3, 4:7] = 1
    whole[1, 5, 7] = 1
    cut = crop_masks(tf.constant(whole))
    assert cut.pixels.shape == (3, 2, 3)
    assert cut.origin.numpy().tolist() == [[1, 4], [4, 5], [0, 0]]
    assert cut.shape.numpy().tolist() == [6, 8]
    assert cut.pixels[0].numpy().all() and cut.pixels[1].numpy().sum() == 1
    assert not cut.pixels[2].numpy().any()
    assert crop_masks(tf.zeros([0, 6, 8], tf.uint8)).pixels.shape == (0, 1, 1)
