"""The structure that passes between the steps of the input pipeline: one decoded record."""

from typing import NamedTuple

import tensorflow as tf


class Example(NamedTuple):
    """One image with its g objects, as stored in the record.

    Boxes are (ymin, xmin, ymax, xmax) in fractions of the image's height and width. Masks keep the
    size they were stored in, which need not be the image's.
    """

    id: tf.Tensor  # string scalar: the record's source_id, else its filename, else where it lies
    image: tf.Tensor  # [h, w, 3] uint8, RGB
    boxes_normalized: tf.Tensor  # [g, 4] float32
    classes: tf.Tensor  # [g] int32 ids of the label map
    weights: tf.Tensor  # [g] float32
    crowd: tf.Tensor  # [g] bool
    difficult: tf.Tensor  # [g] bool
    area: tf.Tensor  # [g] float32 in pixels of the stored image; 0 where the record has none
    masks: tf.Tensor | None = None  # [g, mask height, mask width] uint8 of 0 and 1
    extras: dict[str, tf.Tensor] = {}  # further keys, only those asked for
    group_of: tf.Tensor | None = None  # [g] bool, in evaluation: boxes of several objects

    def select(self, index):
        """The example with the objects `index` ([k] integers) alone; `extras` stay as they are."""
        per_object = ("boxes_normalized", "classes", "weights", "crowd", "difficult", "area")
        per_object += tuple(k for k in ("group_of", "masks") if getattr(self, k) is not None)
        return self._replace(**{k: tf.gather(getattr(self, k), index) for k in per_object})
