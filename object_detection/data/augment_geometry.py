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


def settled(example):
    """The example with the ranks of its tensors known, which branches of a graph may lose."""
    shapes = {"image": [None, None, 3], "boxes_normalized": [None, 4]}
    shapes |= dict.fromkeys(("classes", "weights", "crowd", "difficult", "area"), [None])
    if example.masks is not None:
        shapes["masks"] = [None, None, None]
    known = {name: tf.ensure_shape(getattr(example, name), of) for name, of in shapes.items()}
    return example._replace(**known)


def _sometimes(change, example, probability, seed):
    if probability <= 0:
        return example
    chosen = tf.random.stateless_uniform([], seed) < probability

    def changed():
        image, boxes, masks = change(example.image, example.boxes_normalized, example.masks)
        return example._replace(image=image, boxes_normalized=boxes, masks=masks)

    return tf.cond(chosen, changed, lambda: example)


# tf.reverse is over ten times faster than a slice with a step of -1.


def _flip_horizontal(image, boxes, masks):
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
    boxes = tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=1)
    return tf.reverse(image, [1]), boxes, None if masks is None else tf.reverse(masks, [2])


def _flip_vertical(image, boxes, masks):
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
    boxes = tf.stack([1.0 - ymax, xmin, 1.0 - ymin, xmax], axis=1)
    return tf.reverse(image, [0]), boxes, None if masks is None else tf.reverse(masks, [1])


def _rotate90(image, boxes, masks):
    # What was at the right is on top: new y = 1 - old x, new x = old y.
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
    boxes = tf.stack([1.0 - xmax, ymin, 1.0 - xmin, ymax], axis=1)
    if masks is not None:
        masks = tf.reverse(tf.transpose(masks, [0, 2, 1]), [1])
    return tf.reverse(tf.transpose(image, [1, 0, 2]), [0]), boxes, masks
