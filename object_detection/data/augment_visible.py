"""What is left of objects after something was cut off them or put over them.

Told by their masks where they have some, else by their boxes.
"""

import tensorflow as tf

from object_detection.data.augment_window import share_in, whole
from object_detection.data.example import IGNORE
from object_detection.ops import boxes as box_ops


def cut_to_seen(before, after, min_visible):
    """Drops what can no longer be seen, and refits the boxes of what is seen in part.

    Args:
        before: `Example`.
        after: the same objects after a change that may take pixels off them, not shrink them.
        min_visible: an object stays where at least this share of it is left, and any at all.

    Returns:
        `after` with the objects that stay, their boxes clipped to the image.
    """
    share = seen_share(before, after)
    boxes = box_ops.clip(after.boxes_normalized, whole())
    if after.masks is not None:
        cut = ((share < 1.0) & (_sizes(after.masks) > 0))[:, tf.newaxis]
        boxes = tf.where(cut, boxes_of(after.masks), boxes)
    enough = (share >= min_visible) | (after.classes == IGNORE)
    kept = tf.where((share > 0) & enough & (box_ops.area(boxes) > 0))[:, 0]
    return after._replace(boxes_normalized=boxes).select(kept)


def drop_vanished(before, after):
    """Drops the objects whose masks held pixels before, and do not any more."""
    if after.masks is None:
        return after
    return after.select(tf.where((_sizes(before.masks) == 0) | (_sizes(after.masks) > 0))[:, 0])


def seen_share(before, after):
    """[g] float32 0..1: which part of each object is left; of its box where it has no mask."""
    of_boxes = share_in(after.boxes_normalized, whole())
    if after.masks is None:
        return of_boxes
    was = _sizes(before.masks)
    return tf.where(was > 0, tf.math.divide_no_nan(_sizes(after.masks), was), of_boxes)


def boxes_of(masks):
    """[g, 4] float32 the boxes around masks [g, h, w], as fractions of their size; 0 for empty."""
    edges = []
    for axis in (1, 2):
        filled = tf.cast(tf.reduce_max(masks, axis=3 - axis) > 0, tf.int32)
        length = tf.shape(masks)[axis]
        first = tf.argmax(filled, axis=1, output_type=tf.int32)
        last = length - tf.argmax(tf.reverse(filled, [1]), axis=1, output_type=tf.int32)
        last = tf.where(tf.reduce_max(filled, axis=1) > 0, last, 0)
        edges.append(tf.stack([first, last]) / length)
    (ymin, ymax), (xmin, xmax) = (tf.unstack(edge) for edge in edges)
    return tf.cast(tf.stack([ymin, xmin, ymax, xmax], axis=1), tf.float32)


def _sizes(masks):
    """[g] float32 number of each mask's pixels."""
    return tf.cast(tf.reduce_sum(tf.cast(masks, tf.int32), axis=[1, 2]), tf.float32)
