"""Masks of which only a part is there give the targets of whole ones."""

import numpy as np
import pytest
import tensorflow as tf
from random_boxes import random_boxes

from object_detection.data.mask_decoder import cut_masks
from object_detection.ops import masks

SIZE = (33, 33)


def stored_masks(rng, count, shape):
    """Noise in a random rectangle each; the last is empty."""
    whole = np.zeros((count, *shape), np.uint8)
    for mask in whole[:-1]:
        (top, bottom), (left, right) = (np.sort(rng.integers(0, side + 1, 2)) for side in shape)
        mask[top:bottom, left:right] = rng.random((bottom - top, right - left)) < 0.5
    return whole


def targets(stored, mask_shape, true_shape, boxes, gt_index):
    shapes = (tf.constant(mask_shape, tf.int32), tf.constant(true_shape, tf.int32))
    image_shape = tuple(np.max(true_shape, axis=0))
    return masks.mask_targets(stored, *shapes, image_shape, boxes, gt_index, SIZE).numpy()


@pytest.mark.parametrize("seed", range(20))
def test_targets_are_equal_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    shapes = rng.integers(4, 90, (2, 2))
    true_shape = rng.integers(8, 120, (2, 2))
    whole = [stored_masks(rng, 4, shape) for shape in shapes]
    cut = [cut_masks(tf.constant(one)) for one in whole]
    padded = np.zeros((2, 4, *shapes.max(axis=0)), np.uint8)
    parts = np.zeros((2, 4, *np.max([one.masks.shape[1:] for one in cut], axis=0)), np.uint8)
    for b in range(2):
        padded[b, :, : shapes[b, 0], : shapes[b, 1]] = whole[b]
        height, width = cut[b].masks.shape[1:]
        parts[b, :, :height, :width] = cut[b].masks
    boxes = random_boxes(seed, 2, 12, side=np.max(true_shape))
    boxes = tf.constant(boxes, tf.float32)
    gt_index = tf.constant(rng.integers(0, 4, (2, 12)), tf.int32)
    crops = masks.Crops(tf.constant(parts), tf.stack([one.origin for one in cut]))

    found = targets(crops, shapes, true_shape, boxes, gt_index)

    expected = targets(tf.constant(padded), shapes, true_shape, boxes, gt_index)
    np.testing.assert_array_equal(found, expected)
    assert expected.any()
    shape = tf.constant(shapes, tf.int32)
    np.testing.assert_array_equal(masks.whole_masks(crops.masks, shape, crops.origin), padded)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cropped", [False, True])
def test_masks_resized_to_the_image_give_the_same(seed, cropped):
    rng = np.random.default_rng(seed)
    shapes = tf.constant([[40, 30], [0, 0]])  # the second image has no mask
    true_shape, image_shape = tf.constant([[70, 64], [50, 80]]), (72, 80)
    stored = np.zeros((2, 3, 40, 30), np.uint8)
    stored[0, :, 3:35, 5:25] = rng.random((3, 32, 20)) < 0.5
    stored, origin = tf.constant(stored), tf.zeros([2, 3, 2], tf.int32)
    if cropped:
        stored = masks.Crops(stored[:, :, 3:35, 5:25], origin + [3, 5])
    boxes = tf.constant(random_boxes(seed, 1, 12, side=80)[0], tf.float32)
    owner, gt_index = tf.range(12) // 10, tf.constant(rng.integers(0, 5, 12), tf.int32)
    given = (stored, shapes, true_shape, image_shape, boxes, owner, gt_index, SIZE)

    found = masks.resized_mask_target_rows(*given)

    assert found.numpy().any()
    np.testing.assert_array_equal(found, masks.mask_target_rows(*given))


def test_a_crop_may_reach_out_of_its_mask():
    """Padding does; it holds zeros, and nobody reads it."""
    part = tf.constant([[[[1, 0], [0, 0]]]], tf.uint8)
    origin, shape = tf.constant([[[2, 2]]]), tf.constant([[3, 3]])
    whole = masks.whole_masks(part, shape, origin)
    assert whole[0, 0].numpy().tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    box, gt_index = tf.constant([[[0.0, 0.0, 3.0, 3.0]]]), tf.constant([[0]])
    found = masks.mask_targets(
        masks.Crops(part, origin), shape, shape, (3, 3), box, gt_index, (3, 3)
    )
    np.testing.assert_array_equal(found[0, 0], whole[0, 0])


def test_images_without_a_mask():
    nothing = masks.Crops(tf.zeros([1, 0, 1, 1], tf.uint8), tf.zeros([1, 0, 2], tf.int32))
    box, gt_index = tf.constant([[[0.0, 0.0, 3.0, 3.0]]]), tf.constant([[0]])
    shape = tf.constant([[5, 5]])
    found = masks.mask_targets(nothing, shape, shape, (5, 5), box, gt_index, SIZE)
    assert found.shape == (1, 1, *SIZE) and not found.numpy().any()
    assert masks.whole_masks(*nothing[:1], shape, nothing.origin).shape == (1, 0, 5, 5)


def test_cuts_by_hand():
    whole = np.zeros((3, 6, 8), np.uint8)
    whole[0, 1:3, 4:7] = 1
    whole[1, 5, 7] = 1
    cut = cut_masks(tf.constant(whole))
    assert cut.masks.shape == (3, 2, 3)
    assert cut.origin.numpy().tolist() == [[1, 4], [4, 5], [0, 0]]
    assert cut.shape.numpy().tolist() == [6, 8]
    assert cut.masks[0].numpy().all() and cut.masks[1].numpy().sum() == 1
    assert not cut.masks[2].numpy().any()
    assert cut_masks(tf.zeros([0, 6, 8], tf.uint8)).masks.shape == (0, 1, 1)
