"""The structure that passes between the steps of the input pipeline: one decoded record."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from object_detection.structures.batch import CroppedMasks, ImageLabels

_PER_OBJECT = ("boxes_normalized", "classes", "weights", "crowd", "difficult", "area")
_OPTIONAL_PER_OBJECT = ("group_of", "ignore")


class Example(NamedTuple):
    """One image with its g objects, as stored in the record.

    Boxes are (ymin, xmin, ymax, xmax) in fractions of the image's height and width. Masks keep the
    size they were stored in, which need not be the image's. Only steps that `accept_cropped_masks`
    get masks that are cropped.
    """

    id: tf.Tensor  # string scalar: the record's source_id, else its filename, else its location
    image: tf.Tensor  # [h, w, 3] uint8, RGB
    boxes_normalized: tf.Tensor  # [g, 4] float32
    classes: tf.Tensor  # [g] int32 ids of the label map; 0 for ignore regions
    weights: tf.Tensor  # [g] float32
    crowd: tf.Tensor  # [g] bool
    difficult: tf.Tensor  # [g] bool
    area: tf.Tensor  # [g] float32 in pixels of the stored image; 0 where the record has none
    masks: CroppedMasks | None = None  # [g]; None: not loaded
    labels: ImageLabels | None = None  # in evaluation, where the metrics need them
    group_of: tf.Tensor | None = None  # [g] bool, in evaluation: boxes of several objects
    # [g] bool: ignore regions. They pass through the augmentations in one list with the objects,
    # so that both move with the image by the same code. None: there are none.
    ignore: tf.Tensor | None = None

    def select(self, index: tf.Tensor) -> "Example":
        """Return the example with only the objects `index` ([k] integers)."""
        members = [*_PER_OBJECT, *_OPTIONAL_PER_OBJECT]
        members = [name for name in members if getattr(self, name) is not None]
        return self._replace(
            **{name: tf.gather(getattr(self, name), index) for name in members},
            masks=None if self.masks is None else self.masks.select(index),
        )

    def ignore_or(self, condition: tf.Tensor) -> tf.Tensor:
        """Return [g] bool: where `condition` ([g] bool) holds, and all ignore regions."""
        return condition if self.ignore is None else condition | self.ignore

    def with_known_ranks(self) -> "Example":
        """Return the example with the ranks of its tensors set, which `tf.cond` may lose."""
        shapes = {"image": [None, None, 3], "boxes_normalized": [None, 4]}
        shapes |= dict.fromkeys((*_PER_OBJECT[1:], *_OPTIONAL_PER_OBJECT), [None])
        known = {
            name: tf.ensure_shape(getattr(self, name), shape)
            for name, shape in shapes.items()
            if getattr(self, name) is not None
        }
        if self.masks is not None:
            shapes = CroppedMasks([None] * 3, [2], [None, 2], [None])
            members = zip(self.masks, shapes, strict=True)
            known["masks"] = CroppedMasks(
                *(None if v is None else tf.ensure_shape(v, shape) for v, shape in members)
            )
        return self._replace(**known)


def leave_out_none(spec) -> tuple[Callable, Callable]:
    """Return functions between structures of a spec and tuples of their tensors.

    For transformations of `tf.data` that do not accept the Nones of an example's optional members.

    Args:
        spec: element_spec of a dataset.

    Returns:
        (structure -> tuple of tensors, tensors -> structure).
    """
    leaves = tf.nest.flatten(spec)
    places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, tf.TensorSpec)]

    def flatten(structure):
        values = tf.nest.flatten(structure)
        return tuple(values[place] for place in places)

    def unflatten(*tensors):
        values = [None] * len(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            values[place] = tensor
        return tf.nest.pack_sequence_as(spec, values)

    return flatten, unflatten
