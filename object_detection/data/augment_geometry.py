"""Random changes of an example that move its boxes and masks; all are exact.

An augmentation is a callable `(Example, seed [2] int64) -> Example`. The same seed gives the same
change.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from object_detection.data.example import Example

Augmentation = Callable[[Example, tf.Tensor], Example]


@dataclass(frozen=True)
class RandomHorizontalFlip:
    """Mirrors left and right with this probability."""

    probability: float

    def __call__(self, example, seed):
        return _sometimes(_flip_horizontal, example, self.probability, seed)


@dataclass(frozen=True)
class RandomVerticalFlip:
    """Mirrors top and bottom with this probability."""

    probability: float

    def __call__(self, example, seed):
        return _sometimes(_flip_vertical, example, self.probability, seed)


@dataclass(frozen=True)
class RandomRotation90:
    """Turns by 90 degrees counter-clockwise with this probability."""

    probability: float

    def __call__(self, example, seed):
        return _sometimes(_rotate90, example, self.probability, seed)


def augment(example, augmentations, seed, first=0):
    """Applies augmentations in turn, each with its own seed made from `seed` ([2] int64).

    `first` is the place of the first one in the whole list.
    """
    for step, augmentation in enumerate(augmentations, first):
        one = tf.random.experimental.stateless_fold_in(seed, step)
        example = settled(augmentation(example, one))
    return example


def keep_crops(augmentations):
    """Whether all steps take masks that are cut to their objects: those that move whole images, and
    those that change no mask."""
    places = {f"{__package__}.augment_{kind}" for kind in ("geometry", "color", "values")}
    return all(type(step).__module__ in places for step in augmentations)


def settled(example):
    """The example with the ranks of its tensors known, which branches of a graph may lose."""
    shapes = {"image": [None, None, 3], "boxes_normalized": [None, 4]}
    shapes |= dict.fromkeys(("classes", "weights", "crowd", "difficult", "area"), [None])
    if example.masks is not None:
        shapes["masks"] = [None, None, None]
    if example.has_mask is not None:
        shapes["has_mask"] = [None]
    known = {name: tf.ensure_shape(getattr(example, name), of) for name, of in shapes.items()}
    return example._replace(**known)


def _sometimes(change, example, probability, seed):
    if probability <= 0:
        return example
    chosen = tf.random.stateless_uniform([], seed) < probability

    return tf.cond(chosen, lambda: change(example), lambda: example)


# tf.reverse is over ten times faster than a slice with a step of -1.


def _flip_horizontal(example):
    ymin, xmin, ymax, xmax = tf.unstack(example.boxes_normalized, axis=1)
    boxes = tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=1)
    image = tf.reverse(example.image, [1])
    return _mirror_masks(example, 1)._replace(image=image, boxes_normalized=boxes)


def _flip_vertical(example):
    ymin, xmin, ymax, xmax = tf.unstack(example.boxes_normalized, axis=1)
    boxes = tf.stack([1.0 - ymax, xmin, 1.0 - ymin, xmax], axis=1)
    image = tf.reverse(example.image, [0])
    return _mirror_masks(example, 0)._replace(image=image, boxes_normalized=boxes)


def _rotate90(example):
    # What was at the right is on top: new y = 1 - old x, new x = old y.
    ymin, xmin, ymax, xmax = tf.unstack(example.boxes_normalized, axis=1)
    boxes = tf.stack([1.0 - xmax, ymin, 1.0 - xmin, ymax], axis=1)
    image = tf.reverse(tf.transpose(example.image, [1, 0, 2]), [0])
    turned = example._replace(image=image, boxes_normalized=boxes)
    if example.masks is None:
        return turned
    turned = turned._replace(masks=tf.transpose(example.masks, [0, 2, 1]))
    if example.mask_origin is not None:
        origin, shape = tf.reverse(example.mask_origin, [1]), tf.reverse(example.mask_shape, [0])
        turned = turned._replace(mask_origin=origin, mask_shape=shape)
    return _mirror_masks(turned, 0)


def _mirror_masks(example, axis):
    """The example with its masks mirrored in y (axis 0) or x (1)."""
    if example.masks is None:
        return example
    mirrored = example._replace(masks=tf.reverse(example.masks, [axis + 1]))
    if example.mask_origin is None:
        return mirrored
    kept = example.mask_origin[:, 1 - axis]
    # What was last is first.
    moved = example.mask_shape[axis] - tf.shape(example.masks)[axis + 1]
    moved -= example.mask_origin[:, axis]
    origin = tf.stack([moved, kept] if axis == 0 else [kept, moved], axis=1)
    return mirrored._replace(mask_origin=origin)
