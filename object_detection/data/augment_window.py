"""What a rectangle shows of an example: the one cut (and frame) under all crops and paddings.

Rectangles are in pixels of the image and may reach beyond it. Masks are cut in their own pixels,
whose size need not be the image's: there a border falls on the nearest pixel of the mask.
"""

import tensorflow as tf

from object_detection.data.example import IGNORE
from object_detection.ops import boxes as box_ops

_WHOLE = (0.0, 0.0, 1.0, 1.0)


def show(example, corner, extent, fill=None):
    """The example as a rectangle shows it; all its objects stay, their boxes are not clipped.

    Args:
        example: `Example`.
        corner: [2] int32 (y, x) of the rectangle's first pixel.
        extent: [2] int32 (height, width) of the rectangle, at least 1.
        fill: [3] colour of what lies beyond the image, 0..255; black without it.

    Returns:
        `Example` of `extent` pixels. Beyond the image masks are 0.
    """
    shape = tf.shape(example.image)[:2]
    image = window(example.image[tf.newaxis], corner, extent)[0]
    if fill is not None:
        inside = window(tf.ones([1, shape[0], shape[1]], tf.bool), corner, extent)[0]
        image = tf.where(inside[..., tf.newaxis], image, like(image, fill))
    masks = example.masks
    if masks is not None:
        ratio = tf.cast(tf.shape(masks)[1:], tf.float32) / tf.cast(shape, tf.float32)
        first = tf.cast(tf.round(tf.cast(corner, tf.float32) * ratio), tf.int32)
        size = tf.cast(tf.round(tf.cast(extent, tf.float32) * ratio), tf.int32)
        masks = window(masks, first, tf.maximum(size, 1))
    boxes = example.boxes_normalized * tf.cast(tf.tile(shape, [2]), tf.float32)
    boxes = box_ops.change_frame(boxes, _rectangle(corner, extent))
    return example._replace(image=image, boxes_normalized=boxes, masks=masks)


def crop(example, corner, extent, min_covered, clip):
    """What a rectangle inside the image shows, by TFOD's rule for objects on its border.

    Args:
        example, corner, extent: as of `show`.
        min_covered: an object stays where at least this share of its box is in the rectangle, and
            any of it at all.
        clip: whether boxes are cut at the rectangle's border.
    """
    shape = tf.cast(tf.tile(tf.shape(example.image)[:2], [2]), tf.float32)
    covered = share_in(example.boxes_normalized * shape, _rectangle(corner, extent))
    enough = (covered >= min_covered) | (example.classes == IGNORE)  # of which no part may be lost
    kept = tf.where((covered > 0) & enough)[:, 0]
    seen = show(example, corner, extent).select(kept)
    boxes = seen.boxes_normalized
    return seen._replace(boxes_normalized=tf.where(clip, box_ops.clip(boxes, whole()), boxes))


def drop_unseen(example):
    """Clips boxes to the image, and drops the objects of which nothing is left."""
    clipped = box_ops.clip(example.boxes_normalized, whole())
    seen = tf.where(tf.reduce_all(clipped[:, 2:] > clipped[:, :2], axis=1))[:, 0]
    return example._replace(boxes_normalized=clipped).select(seen)


def like(image, values):
    """Values of 0..255, not yet whole, in the type of an image: rounded and clipped for uint8."""
    if image.dtype == tf.uint8:
        values = tf.clip_by_value(tf.round(values), 0.0, 255.0)
    return tf.cast(values, image.dtype)


def share_in(boxes, rectangle):
    """[g] which part of each box [g, 4] lies in a rectangle [4]; 0 for boxes without area."""
    inside = box_ops.area(box_ops.clip(boxes, rectangle))
    return tf.math.divide_no_nan(inside, box_ops.area(boxes))


def whole():
    """[4] the whole image in fractions of itself."""
    return tf.constant(_WHOLE)


def window(maps, corner, extent):
    """[n, height, width, ...] of maps [n, h, w, ...] from `corner` on, zeros outside of them."""
    shape = tf.shape(maps)[1:3]
    first = tf.clip_by_value(corner, 0, shape)
    last = tf.clip_by_value(corner + extent, 0, shape)
    inside = maps[:, first[0] : last[0], first[1] : last[1]]
    before = first - corner
    before = tf.where(last > first, before, 0)
    after = extent - before - (last - first)
    rows, columns = (tf.stack([before[axis], after[axis]]) for axis in (0, 1))
    nothing = tf.zeros([2], tf.int32)
    amounts = [nothing, rows, columns, nothing]
    return tf.pad(inside, tf.stack(amounts[: maps.shape.rank]))


def _rectangle(corner, extent):
    return tf.cast(tf.concat([corner, corner + extent], axis=0), tf.float32)
