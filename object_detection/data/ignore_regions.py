"""Ignore regions of an image: parts that are neither object nor background.

They pass through the augmentations in one list with the objects, marked by `Example.ignore`, so
that their boxes and masks move with the image. After the last step they become one area.
"""

import tensorflow as tf

from object_detection.data.augment.geometry import crop_maps
from object_detection.data.example import Example


def select_first(index: tf.Tensor, ignore: tf.Tensor | None, most: int) -> tf.Tensor:
    """Return the first `most` objects of `index` [k], and all ignore regions in it.

    Args:
        index: [k] integers.
        ignore: [g] bool, of all objects; None: there are no ignore regions.
        most: number of objects.
    """
    if ignore is None:
        return index[:most]
    is_ignored = tf.gather(ignore, index)
    rank = tf.cumsum(tf.cast(~is_ignored, tf.int32))
    return tf.boolean_mask(index, is_ignored | (rank <= most))


def split(example: Example) -> tuple[Example, tf.Tensor]:
    """Return the example without its ignore regions, and their area.

    Returns:
        `Example`, and [h, w] uint8 of 0 and 1, as large as the whole masks, without masks as the
        image: the masks of the ignore regions, or their boxes where they have no masks.
    """
    objects = example.select(tf.where(~example.ignore)[:, 0])._replace(ignore=None)
    return objects, _area(example, tf.where(example.ignore)[:, 0])


def _area(example, index):
    if example.masks is None:
        return _fill_boxes(tf.gather(example.boxes_normalized, index), tf.shape(example.image)[:2])
    masks = example.masks.select(index)
    area = _union(masks)
    if masks.present is None:
        return area
    without = tf.boolean_mask(index, ~masks.present)
    boxes = tf.gather(example.boxes_normalized, without)
    return tf.maximum(area, _fill_boxes(boxes, tf.shape(area)))


def _union(masks):
    """[h, w] uint8: the pixels of all masks."""
    if masks.origin is None:
        return tf.reduce_max(masks.pixels, axis=0)

    def add(area, number):
        pixels, origin = masks.pixels[number], masks.origin[number]
        whole = crop_maps(pixels[tf.newaxis], -origin, masks.shape)[0]
        return tf.ensure_shape(tf.maximum(area, whole), [None, None])

    nothing = tf.ensure_shape(tf.zeros(masks.shape, masks.pixels.dtype), [None, None])
    return tf.foldl(add, tf.range(tf.shape(masks.pixels)[0]), initializer=nothing)


def _fill_boxes(boxes, shape):
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
