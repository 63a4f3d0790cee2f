"""Mask targets against the plain way, to the last bit, and masks pasted into images."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from random_boxes import random_boxes
from reference import blocks, needs_reference
from targets_of_rois import mask_targets

from object_detection.ops import boxes as box_ops
from object_detection.ops import masks
from object_detection.structures.batch import CroppedMasks

GOLDEN = blocks("reframe_masks")
# The common ones, and 1, which TensorFlow computes in another way. In a graph it divides by
# 14, 27 and 32 (one less) each in its own way.
SIZES = ((33, 33), (15, 28), (1, 2))


def plain_targets(stored, mask_shape, true_shape, image_shape, boxes, gt_index, size):
    """TFOD's way for one image: resize each mask, pad it, gather one for each roi, crop it."""
    own = stored[:, : mask_shape[0], : mask_shape[1], np.newaxis].astype(np.float32)
    resized = tf.compat.v1.image.resize_nearest_neighbor(own, true_shape)
    padding = np.subtract(image_shape, true_shape)
    padded = tf.pad(resized, [[0, 0], [0, padding[0]], [0, padding[1]], [0, 0]])
    normalized = box_ops.to_normalized(boxes, *image_shape)
    rows = tf.range(len(boxes))
    return tf.image.crop_and_resize(tf.gather(padded, gt_index), normalized, rows, size)[..., 0]


def random_case(seed):
    """Masks, shapes and boxes of one image, of every kind that training meets."""
    rng = np.random.default_rng(seed)
    mask_shape, true_shape = rng.integers(1, 90, 2), rng.integers(1, 120, 2)
    image_shape = true_shape + rng.integers(0, 40, 2) * rng.integers(0, 2)
    stored_shape = mask_shape + rng.integers(0, 9, 2)
    stored = (rng.random((3, *stored_shape)) < 0.5).astype(np.uint8)
    corners = np.sort(rng.uniform(-0.1, 1.1, (6, 2, 2)), axis=1) * image_shape
    if rng.random() < 0.5:  # most proposals are clipped to the true image
        corners = np.clip(corners, 0, true_shape)
    corners[5] = rng.uniform(0, 1, (1, 2)) * image_shape  # without area
    boxes = corners.reshape(6, 4).astype(np.float32)
    size = SIZES[seed % len(SIZES)]
    return stored, mask_shape, true_shape, image_shape, boxes, rng.integers(0, 3, 6), size


@tf.function(reduce_retracing=True)
def targets_of(stored, mask_shape, true_shape, image_shape, boxes, gt_index, size):
    return mask_targets(stored, mask_shape, true_shape, image_shape, boxes, gt_index, size)


def batch_of_one(case):
    stored, mask_shape, true_shape, image_shape, boxes, gt_index, _ = case
    return (
        tf.constant(stored[np.newaxis]),
        tf.constant(mask_shape[np.newaxis], tf.int32),
        tf.constant(true_shape[np.newaxis], tf.int32),
        tf.constant(image_shape, tf.int32),
        tf.constant(boxes[np.newaxis]),
        tf.constant(gt_index[np.newaxis], tf.int32),
    )


def check_random_cases(seeds):
    filled = 0
    for seed in seeds:
        case = random_case(seed)
        found = targets_of(*batch_of_one(case), case[-1])[0].numpy()
        expected = plain_targets(*case).numpy()
        np.testing.assert_array_equal(found, expected, err_msg=f"seed {seed}")
        filled += np.any((expected > 0) & (expected < 1))
    assert filled > 0.5 * len(seeds)


def test_targets_are_tfods_to_the_last_bit():
    check_random_cases(range(200))


@pytest.mark.slow
def test_more_targets_are_tfods_to_the_last_bit():
    check_random_cases(range(200, 3000))


def test_targets_of_common_sizes_are_tfods_to_the_last_bit():
    # A photo at the sizes that configs ask for, with the index map at its most intricate.
    rng = np.random.default_rng(0)
    stored = (rng.random((2, 480, 640)) < 0.5).astype(np.uint8)
    for true_shape, image_shape in (
        ((600, 800), (600, 800)),
        ((800, 1067), (1333, 1333)),
        ((640, 640), (640, 640)),
        ((768, 1024), (1024, 1024)),
    ):
        corners = np.sort(rng.uniform(0, 1, (20, 2, 2)), axis=1) * true_shape
        case = (
            stored,
            np.array([480, 640]),
            np.array(true_shape),
            np.array(image_shape),
            corners.reshape(20, 4).astype(np.float32),
            rng.integers(0, 2, 20),
            (33, 33),
        )
        found = targets_of(*batch_of_one(case), (33, 33))[0]
        np.testing.assert_array_equal(found, plain_targets(*case))


def test_constant_shapes_are_rounded_alike():
    # In a graph TensorFlow would draw constant factors together, and round otherwise.
    for seed in range(3):
        case = random_case(seed)
        own = batch_of_one(case)
        in_graph = tf.function(
            functools.partial(
                mask_targets,
                *own[:3],
                case[3].tolist(),
                gt_index=own[5],
                size=case[-1],
            )
        )
        np.testing.assert_array_equal(in_graph(boxes=own[4])[0], plain_targets(*case))


def test_a_target_by_hand():
    # A 2 x 2 mask of a 4 x 4 image: each of its pixels is 2 x 2 there. The box from corner to
    # corner spans pixels 0 to 3 of the image; its four points lie on pixels 0, 1, 2, 3.
    stored = tf.constant([[[[1, 0], [0, 1]]]], tf.uint8)
    found = mask_targets(
        stored,
        tf.constant([[2, 2]]),
        tf.constant([[4, 4]]),
        (4, 4),
        tf.constant([[[0.0, 0.0, 4.0, 4.0]]]),
        tf.constant([[0]]),
        (4, 4),
    )
    assert found[0, 0].numpy().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_each_image_reads_its_own_masks_at_its_own_size():
    cases = [random_case(seed) for seed in (1, 2)]
    size, image_shape = (15, 15), np.maximum(cases[0][3], cases[1][3])
    largest = np.max([case[0].shape for case in cases], axis=0)
    stored = np.stack(
        [np.pad(case[0], [(0, n) for n in largest - case[0].shape]) for case in cases]
    )
    found = mask_targets(
        stored,
        np.stack([case[1] for case in cases]).astype(np.int32),
        np.stack([case[2] for case in cases]).astype(np.int32),
        tf.constant(image_shape, tf.int32),
        np.stack([case[4] for case in cases]),
        np.stack([case[5] for case in cases]).astype(np.int32),
        size,
    )
    for image, case in enumerate(cases):
        np.testing.assert_array_equal(
            found[image], plain_targets(*case[:3], image_shape, *case[4:6], size)
        )


def test_rows_are_the_targets_of_their_image():
    case = batch_of_one(random_case(3))
    expected = mask_targets(*case, (7, 9))
    found = masks.mask_target_rows(
        CroppedMasks(*case[:2]),
        *case[2:4],
        *(case[4][0][::-1], tf.zeros([6], tf.int32), case[5][0][::-1], (7, 9)),
    )
    np.testing.assert_array_equal(found, expected[0][::-1])


@pytest.mark.parametrize("stored_shape", [(1, 0, 0, 0), (1, 2, 0, 0), (1, 2, 5, 5)])
def test_without_a_mask_the_target_is_zero(stored_shape):
    boxes = tf.constant(random_boxes(0, 1, 4))
    found = targets_of(
        tf.ones(stored_shape, tf.uint8),
        tf.constant([stored_shape[2:]]),
        tf.constant([[100, 100]]),
        tf.constant([100, 100]),
        boxes,
        tf.constant([[0, 1, 2, 99]]),
        (3, 3),
    )
    has_mask = [bool(stored_shape[2]) and index < stored_shape[1] for index in (0, 1, 2, 99)]
    assert tf.reduce_all(found == 1.0, axis=[2, 3])[0].numpy().tolist() == has_mask
    assert found.numpy().any(axis=(2, 3))[0].tolist() == has_mask


def test_an_image_without_masks_beside_one_with():
    found = mask_targets(
        tf.ones([2, 1, 5, 5], tf.uint8),
        tf.constant([[5, 5], [0, 0]]),
        tf.constant([[100, 100]] * 2),
        (100, 100),
        tf.constant([[[10.0, 10.0, 50.0, 50.0]]] * 2),
        tf.constant([[0], [0]]),
        (3, 3),
    )
    assert tf.reduce_mean(found, axis=[1, 2, 3]).numpy().tolist() == [1.0, 0.0]


def test_no_rois_have_no_targets():
    case = batch_of_one(random_case(0))
    found = targets_of(*case[:4], tf.zeros([1, 0, 4]), tf.zeros([1, 0], tf.int32), (33, 33))
    assert found.shape == (1, 0, 33, 33)


def test_paste_fills_the_box():
    # The box covers rows 2..5 and columns 0..3 of 8 x 4 pixels.
    pasted = masks.paste(tf.ones([1, 3, 3]), tf.constant([[0.25, 0.0, 0.75, 1.0]]), 8, 4)
    rows = pasted[0, :, 1].numpy()
    assert rows.tolist() == [0, 0, 1, 1, 1, 1, 0, 0]


def test_paste_of_no_masks():
    assert masks.paste(tf.zeros([0, 5, 5]), tf.zeros([0, 4]), 6, 7).shape == (0, 6, 7)


@needs_reference
def test_pasted_masks_as_in_tfod():
    height, width = (int(side) for side in GOLDEN["image_hw"])
    for name in ("masks", "masks_uint8"):
        pasted = masks.paste(
            tf.constant(GOLDEN[f"box_{name}"]), GOLDEN["boxes"], tf.constant(height), width
        )
        np.testing.assert_allclose(pasted, GOLDEN[f"image_{name}"], atol=1e-6)
        assert pasted.dtype == GOLDEN[f"image_{name}"].dtype
