"""Ignore regions: parts of an image that are neither learned from nor evaluated."""

import tensorflow as tf

from object_detection.ops import boxes as box_ops
from object_detection.ops import masks
from object_detection.structures.batch import CroppedMasks

FOUND_IOU = 0.5  # with a true object, for a detection to have found it
MOSTLY = 0.5  # of a box: from more than this on it counts as ignored


def mostly_ignored(boxes, ignore):
    """Return [B, N] bool: boxes with more than half of their area in ignore regions.

    Args:
        boxes: [B, N, 4], or [N, 4] of all images, pixels of the resized image.
        ignore: `structures.IgnoreRegions`.
    """
    return ignored_share(boxes, ignore) > MOSTLY


def ignored_share(boxes, ignore):
    """[B, N] float32 0..1: how much of each box is ignored; 0 for boxes without area.

    Exact, from sums over all rectangles that begin at the image's corner (an integral image).
    """
    if boxes.shape.rank == 2:
        boxes = boxes[tf.newaxis]
    sums = tf.cumsum(tf.cumsum(tf.cast(ignore.area, tf.int32), 1), 2)
    sums = tf.cast(tf.pad(sums, [[0, 0], [1, 0], [1, 0]]), tf.float64)
    size = tf.cast(ignore.shape, tf.float64)
    scale = tf.tile(size / tf.cast(ignore.true_shape, tf.float64), [1, 2])
    scaled = tf.cast(boxes, tf.float64) * scale[:, tf.newaxis]
    whole = (scaled[..., 2] - scaled[..., 0]) * (scaled[..., 3] - scaled[..., 1])
    limits = tf.tile(size, [1, 2])[:, tf.newaxis]
    ymin, xmin, ymax, xmax = tf.unstack(tf.clip_by_value(scaled, 0.0, limits), axis=-1)
    inside = _sum_up_to(sums, ymax, xmax) - _sum_up_to(sums, ymin, xmax)
    inside += _sum_up_to(sums, ymin, xmin) - _sum_up_to(sums, ymax, xmin)
    return tf.cast(tf.math.divide_no_nan(inside, whole), tf.float32)


def apply_ignore_regions(truth, detections, ignore):
    """Select the objects and detections to evaluate.

    True objects count that do not lie mostly there, and so do detections; of those that do, the
    ones that have found such an object (of its class, with an IoU of at least 0.5).

    Args:
        truth, detections: each with `boxes` [B, G or N, 4] in pixels of the resized image,
            `classes` and `valid`.
        ignore: `structures.IgnoreRegions`.

    Returns:
        [B, G] bool of the objects and [B, N] bool of the detections.
    """
    objects = truth.valid & ~mostly_ignored(truth.boxes, ignore)
    fits = box_ops.iou(detections.boxes, truth.boxes) >= FOUND_IOU
    fits &= detections.classes[:, :, tf.newaxis] == truth.classes[:, tf.newaxis]
    has_found = tf.reduce_any(fits & objects[:, tf.newaxis], axis=2)
    elsewhere = ~mostly_ignored(detections.boxes, ignore)
    return objects, detections.valid & (elsewhere | has_found)


def touched_points(ignore, image_shape, boxes, owner, size):
    """[n, height, width] bool: points of the masks of rois that read an ignored pixel.

    Args:
        ignore: `structures.IgnoreRegions`.
        image_shape, boxes, owner, size: as in `masks.mask_target_rows`.
    """
    area = CroppedMasks(ignore.area[:, tf.newaxis], ignore.shape)
    first = tf.zeros_like(owner)
    sampled = masks.mask_target_rows(
        area, ignore.true_shape, image_shape, boxes, owner, first, size
    )
    return sampled > 0


def _sum_up_to(sums, y, x):
    """[B, N] of sums [B, h + 1, w + 1] at places [B, N] between their rows and columns."""
    low_y, low_x = tf.floor(y), tf.floor(x)
    part_y, part_x = y - low_y, x - low_x
    rows, columns = tf.cast(low_y, tf.int32), tf.cast(low_x, tf.int32)
    last = tf.shape(sums)[1:] - 1

    def at(row, column):
        place = tf.stack([tf.minimum(row, last[0]), tf.minimum(column, last[1])], axis=-1)
        return tf.gather_nd(sums, place, batch_dims=1)

    top = at(rows, columns) * (1 - part_x) + at(rows, columns + 1) * part_x
    bottom = at(rows + 1, columns) * (1 - part_x) + at(rows + 1, columns + 1) * part_x
    return top * (1 - part_y) + bottom * part_y
