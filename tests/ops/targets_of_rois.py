"""Mask targets of all rois of a batch, in the shape of the rois."""

import tensorflow as tf

from object_detection.ops import masks
from object_detection.structures.batch import CroppedMasks


def mask_targets(stored, mask_shape, true_shape, image_shape, boxes, gt_index, size, origin=None):
    """[B, R, height, width] targets of rois [B, R, 4] with objects `gt_index` [B, R]."""
    shape = tf.shape(gt_index)
    targets = masks.mask_target_rows(
        CroppedMasks(stored, mask_shape, origin),
        true_shape,
        image_shape,
        tf.reshape(boxes, [-1, 4]),
        tf.repeat(tf.range(shape[0]), shape[1]),
        tf.reshape(gt_index, [-1]),
        size,
    )
    return tf.reshape(targets, [shape[0], shape[1], *size])
