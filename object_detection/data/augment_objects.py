"""Changes of the list of objects: their boxes, classes, and which of them there are."""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data import augment_window, ignore_regions
from object_detection.data.augment_geometry import settled
from object_detection.ops import boxes as box_ops

# Jitter modes: what may happen to a box.
DEFAULT = "DEFAULT"
EXPAND, SHRINK = "EXPAND", "SHRINK"
_SYMMETRIC = ("EXPAND_SYMMETRIC", "SHRINK_SYMMETRIC")
_SYMMETRIC_XY = ("EXPAND_SYMMETRIC_XY", "SHRINK_SYMMETRIC_XY")


@dataclass(frozen=True)
class RandomJitterBoxes:
    """Moves the borders of boxes by at most `ratio` / 2 of the box's side; masks stay.

    By mode each border moves alone, both of a side alike (SYMMETRIC), or all four (SYMMETRIC_XY).
    """

    ratio: float
    mode: str = DEFAULT

    def __call__(self, example, seed):
        low = 0.0 if self.mode.startswith(EXPAND) else -self.ratio
        high = 0.0 if self.mode.startswith(SHRINK) else self.ratio
        count = tf.shape(example.boxes_normalized)[0]
        growth = 1.0 + tf.random.stateless_uniform([count, 4], seed, low, high)
        boxes = self.stretched(example.boxes_normalized, growth)
        return example._replace(boxes_normalized=boxes)

    def stretched(self, boxes, growth):
        """[g, 4] boxes whose borders are `growth` [g, 4] times as far from the centre.

        SYMMETRIC takes the first two columns (height, width), SYMMETRIC_XY the first alone.
        """
        ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
        centre = tf.stack([ymin + ymax, xmin + xmax], axis=1) / 2.0
        size = tf.maximum(tf.abs(tf.stack([ymax - ymin, xmax - xmin], axis=1)), 1e-6)
        low, high = growth[:, :2], growth[:, 2:]
        if self.mode in (*_SYMMETRIC, *_SYMMETRIC_XY):
            # As far as the nearer border of the image lets both sides go.
            most = tf.abs(2.0 * tf.minimum(centre, 1.0 - centre) / size)
            if self.mode in _SYMMETRIC_XY:
                low = tf.tile(low[:, :1], [1, 2])
                most = tf.tile(tf.reduce_min(most, axis=1, keepdims=True), [1, 2])
            low = high = tf.clip_by_value(low, -most, most)
        moved = tf.concat([centre - size * low / 2.0, centre + size * high / 2.0], axis=1)
        return box_ops.clip(moved, augment_window.whole())


@dataclass(frozen=True)
class DropLabelProbabilistically:
    """Drops each object of a class with a probability."""

    label: int
    drop_probability: float

    def __call__(self, example, seed):
        drawn = tf.random.stateless_uniform(tf.shape(example.classes), seed)
        kept = (drawn > self.drop_probability) | (example.classes != self.label)
        return example.select(tf.where(kept)[:, 0])


@dataclass(frozen=True)
class RemapLabels:
    """Gives objects of some classes another class."""

    original_labels: tuple[int, ...]
    new_label: int

    def __call__(self, example, seed):
        del seed
        labels = tf.constant(self.original_labels, tf.int32)
        among = tf.reduce_any(example.classes[:, tf.newaxis] == labels, axis=1)
        return example._replace(classes=tf.where(among, self.new_label, example.classes))


@dataclass(frozen=True)
class RandomSelfConcatImage:
    """Sets the image twice below itself, then twice beside itself, each with its probability."""

    vertical_probability: float
    horizontal_probability: float

    def __call__(self, example, seed):
        seeds = tf.unstack(tf.random.split(seed, 2))
        for axis, probability in enumerate(
            (self.vertical_probability, self.horizontal_probability)
        ):
            example = tf.cond(
                tf.random.stateless_uniform([], seeds[axis]) < probability,
                lambda axis=axis, example=example: twice(example, axis),
                lambda example=example: example,
            )
        return example


@dataclass(frozen=True)
class KeepAtMost:
    """The first objects alone, and all ignore regions: behind steps that add some."""

    count: int

    def __call__(self, example, seed):
        del seed
        found = tf.shape(example.classes)[0]

        def fewer():
            return example.select(
                ignore_regions.first(tf.range(found), example.classes, self.count)
            )

        return tf.cond(found > self.count, fewer, lambda: example)


@dataclass(frozen=True)
class InTurn:
    """Several augmentations as one."""

    steps: tuple

    def __call__(self, example, seed):
        seeds = tf.unstack(tf.random.split(seed, len(self.steps)))
        for step, one in zip(self.steps, seeds, strict=True):
            example = settled(step(example, one))
        return example


def twice(example, axis):
    """The example beside itself along an axis (0 below, 1 to the right), with all objects twice."""
    count = tf.shape(example.classes)[0]
    both = example._replace(masks=None).select(tf.tile(tf.range(count), [2]))
    scale = tf.constant([0.5, 1.0] * 2 if axis == 0 else [1.0, 0.5] * 2)
    first = example.boxes_normalized * scale
    boxes = tf.concat([first, first + (1.0 - scale)], axis=0)
    masks = example.masks
    if masks is not None:
        nothing = tf.zeros_like(masks)
        before = tf.concat([masks, nothing], axis=axis + 1)
        after = tf.concat([nothing, masks], axis=axis + 1)
        masks = tf.concat([before, after], axis=0)
    image = tf.concat([example.image, example.image], axis=axis)
    return both._replace(image=image, boxes_normalized=boxes, masks=masks)


def joined(example, other):
    """One example with the objects of both; image, id and masks' size must be those of `example`.

    Args:
        example, other: `Example`, with masks of the same size or both without.
    """
    fields = ["boxes_normalized", "classes", "weights", "crowd", "difficult", "area"]
    fields += ["has_mask"] * (example.has_mask is not None)
    lists = {n: tf.concat([getattr(example, n), getattr(other, n)], axis=0) for n in fields}
    masks = None
    if example.masks is not None:
        masks = tf.concat([example.masks, other.masks], axis=0)
    return example._replace(**lists, masks=masks)
