"""Crops of all boxes of a batch, in the shape of the boxes."""

import tensorflow as tf

from object_detection.ops import roi_align


def crop(features, boxes, image_shape, size):
    """Crops boxes from one feature map; points outside it read 0.

    Args:
        features: [B, h, w, C].
        boxes: [B, R, 4] pixels of the padded image.
        image_shape: (H, W) of the padded image.
        size: int S.

    Returns:
        [B, R, S, S, C] in the features' type.
    """
    return _by_image(boxes, lambda *rows: roi_align.crop_rows(features, *rows, image_shape, size))


def crop_matmul(features, boxes, image_shape, size):
    """`crop` as TFOD's `use_matmul_crop_and_resize` computes it.

    Outside the feature map a reading fades to 0 within one cell, instead of being 0 at once. (It
    is gathered here and not multiplied: TFOD's matrices are nearly all zeros.)
    """
    return _by_image(
        boxes, lambda *rows: roi_align.crop_rows(features, *rows, image_shape, size, matmul=True)
    )


def crop_pyramid(features, boxes, levels, image_shape, size, matmul=False):
    """Crops each box from its own level of a pyramid.

    Equal to cropping every box from every level and keeping the right one, without the waste.

    Args:
        features: list of [B, h, w, C], one for each level.
        boxes: [B, R, 4] pixels of the padded image.
        levels: [B, R] int32, index into `features`.
        image_shape: (H, W) of the padded image.
        size: int S.
        matmul: crop as `crop_matmul` does.

    Returns:
        [B, R, S, S, C] in the features' type.
    """
    levels = tf.reshape(levels, [-1])
    return _by_image(
        boxes,
        lambda *rows: roi_align.crop_pyramid_rows(
            features, *rows, levels, image_shape, size, matmul=matmul
        ),
    )


def _by_image(boxes, crop_flat):
    """Runs a function on rows (boxes, owner) for boxes [B, R, 4]: [B, R, S, S, C]."""
    shape = tf.shape(boxes)
    owner = tf.repeat(tf.range(shape[0]), shape[1])
    crops = crop_flat(tf.reshape(boxes, [-1, 4]), owner)
    return tf.reshape(crops, [shape[0], shape[1], *crops.shape[1:]])
