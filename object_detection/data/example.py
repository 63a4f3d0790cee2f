"""The structure that passes between the steps of the input pipeline: one decoded record."""

from typing import NamedTuple

import tensorflow as tf

# The class of objects that are ignore regions; unknown ones have -1 until they are dropped.
IGNORE = -2


class Example(NamedTuple):
    """One image with its g objects, as stored in the record.

    Boxes are (ymin, xmin, ymax, xmax) in fractions of the image's height and width. Masks keep the
    size they were stored in, which need not be the image's. With `mask_origin` they are cut to
    what holds the objects, as in `structures.GroundTruth`; only steps that `keep_crops` see such.
    """

    id: tf.Tensor  # string scalar: the record's source_id, else its filename, else where it lies
    image: tf.Tensor  # [h, w, 3] uint8, RGB
    boxes_normalized: tf.Tensor  # [g, 4] float32
    classes: tf.Tensor  # [g] int32 ids of the label map, or IGNORE
    weights: tf.Tensor  # [g] float32
    crowd: tf.Tensor  # [g] bool
    difficult: tf.Tensor  # [g] bool
    area: tf.Tensor  # [g] float32 in pixels of the stored image; 0 where the record has none
    masks: tf.Tensor | None = None  # [g, mask height, mask width] uint8 of 0 and 1
    extras: dict[str, tf.Tensor] = {}  # further keys, only those asked for
    group_of: tf.Tensor | None = None  # [g] bool, in evaluation: boxes of several objects
    mask_origin: tf.Tensor | None = None  # [g, 2] int32 (row, column) in the whole mask
    mask_shape: tf.Tensor | None = None  # [2] int32 of the whole masks, with `mask_origin`
    has_mask: tf.Tensor | None = None  # [g] bool; False: not known, `masks` is 0. None: all have

    @property
    def whole_mask_shape(self):
        """[2] int32 (height, width) of the masks, as if none were cut."""
        return tf.shape(self.masks)[1:] if self.mask_shape is None else self.mask_shape

    def select(self, index):
        """The example with the objects `index` ([k] integers) alone; `extras` stay as they are."""
        per_object = ("boxes_normalized", "classes", "weights", "crowd", "difficult", "area")
        maybe = ("group_of", "masks", "mask_origin", "has_mask")
        per_object += tuple(k for k in maybe if getattr(self, k) is not None)
        return self._replace(**{k: tf.gather(getattr(self, k), index) for k in per_object})
