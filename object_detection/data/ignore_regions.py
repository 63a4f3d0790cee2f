"""Ignore regions of an image: parts that are neither object nor background.

They pass through the augmentations as objects of the class `IGNORE`, so that their boxes and masks
move with the image, and are taken out of the list of objects behind the last step.
"""

import tensorflow as tf

from object_detection.data.augment_window import window
from object_detection.data.example import IGNORE


def marked(classes, texts, names):
    """Classes [g] with `IGNORE` where the text [g] of an object is among `names`."""
    among = tf.reduce_any(texts[:, tf.newaxis] == tf.constant(names), axis=1)
    return tf.where(among, IGNORE, classes)


def first(index, classes, most):
    """Of objects `index` [k] the `most` first true ones, and all ignore regions.

    Args:
        classes: [g] of all objects.
    """
    is_ignored = tf.gather(classes, index) == IGNORE
    rank = tf.cumsum(tf.cast(~is_ignored, tf.int32))
    return tf.boolean_mask(index, is_ignored | (rank <= most))


def area_of(example):
    """Return where ignore regions are: the masks of their objects, or their boxes without masks.

    Returns:
        [h, w] uint8 of 0 and 1, as large as the whole masks, without masks as the image.
    """
    index = tf.where(example.classes == IGNORE)[:, 0]
    if example.masks is None:
        return _filled(tf.gather(example.boxes_normalized, index), tf.shape(example.image)[:2])
    area = _masked(example, index)
    if example.has_mask is None:
        return area
    without = tf.boolean_mask(index, ~tf.gather(example.has_mask, index))
    boxes = tf.gather(example.boxes_normalized, without)
    return tf.maximum(area, _filled(boxes, tf.shape(area)))


def _masked(example, index):
    """[h, w] uint8: the pixels of the masks of the objects `index` [k]."""
    masks = tf.gather(example.masks, index)
    if example.mask_origin is None:
        return tf.reduce_max(masks, axis=0)
    origin, shape = tf.gather(example.mask_origin, index), example.mask_shape

    def with_one_more(area, number):
        whole = window(masks[number][tf.newaxis], -origin[number], shape)[0]
        return tf.ensure_shape(tf.maximum(area, whole), [None, None])

    nothing = tf.ensure_shape(tf.zeros(shape, masks.dtype), [None, None])
    return tf.foldl(with_one_more, tf.range(tf.size(index)), initializer=nothing)


def without(example):
    """The example with its true objects alone."""
    return example.select(tf.where(example.classes != IGNORE)[:, 0])


def _filled(boxes, shape):
    """[h, w] uint8: the pixels whose middle is in one of the boxes [k, 4]."""
    ends = boxes * tf.cast(tf.tile(shape, [2]), tf.float32)
    rows, columns = (
        tf.cast(
            (place >= ends[:, axis, tf.newaxis]) & (place < ends[:, axis + 2, tf.newaxis]),
            "float32",
        )
        for axis in (0, 1)
        for place in [tf.range(shape[axis], dtype=tf.float32) + 0.5]
    )
    return tf.cast(tf.matmul(rows, columns, transpose_a=True) > 0, tf.uint8)
