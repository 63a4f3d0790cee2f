"""Changes of the list of objects: their boxes and classes, which there are, and copy-paste."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from object_detection.data import ignore_regions
from object_detection.data.augment.geometry import (
    Augmentation,
    augment,
    drop_vanished,
    keep_visible,
    whole_box,
)
from object_detection.data.augment.scale import resize_masks, scale_onto
from object_detection.data.example import Example, leave_out_none
from object_detection.errors import ConfigError
from object_detection.ops import boxes as box_ops
from object_detection.structures.batch import CroppedMasks

# Jitter modes: how a box may change.
DEFAULT = "DEFAULT"
EXPAND, SHRINK = "EXPAND", "SHRINK"
_SYMMETRIC = ("EXPAND_SYMMETRIC", "SHRINK_SYMMETRIC")
_SYMMETRIC_XY = ("EXPAND_SYMMETRIC_XY", "SHRINK_SYMMETRIC_XY")


@dataclass(frozen=True)
class RandomJitterBoxes:
    """Moves the borders of boxes by at most `ratio` / 2 of the box's side; masks stay.

    By mode each border moves independently, opposite ones alike (SYMMETRIC), or all four alike
    (SYMMETRIC_XY).
    """

    ratio: float
    mode: str = DEFAULT

    def __call__(self, example, seed):
        low = 0.0 if self.mode.startswith(EXPAND) else -self.ratio
        high = 0.0 if self.mode.startswith(SHRINK) else self.ratio
        count = tf.shape(example.boxes_normalized)[0]
        growth = 1.0 + tf.random.stateless_uniform([count, 4], seed, low, high)
        boxes = self.stretch(example.boxes_normalized, growth)
        return example._replace(boxes_normalized=boxes)

    def stretch(self, boxes, growth):
        """Return boxes [g, 4] with borders `growth` [g, 4] times as far from the center.

        SYMMETRIC takes the first two columns (height, width), SYMMETRIC_XY only the first.
        """
        ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
        center = tf.stack([ymin + ymax, xmin + xmax], axis=1) / 2.0
        size = tf.maximum(tf.abs(tf.stack([ymax - ymin, xmax - xmin], axis=1)), 1e-6)
        low, high = growth[:, :2], growth[:, 2:]
        if self.mode in (*_SYMMETRIC, *_SYMMETRIC_XY):
            # As far as the nearer border of the image lets both sides go.
            most = tf.abs(2.0 * tf.minimum(center, 1.0 - center) / size)
            if self.mode in _SYMMETRIC_XY:
                low = tf.tile(low[:, :1], [1, 2])
                most = tf.tile(tf.reduce_min(most, axis=1, keepdims=True), [1, 2])
            low = high = tf.clip_by_value(low, -most, most)
        moved = tf.concat([center - size * low / 2.0, center + size * high / 2.0], axis=1)
        return box_ops.clip(moved, whole_box())


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
    """Concatenates the image with itself vertically, then horizontally, with probabilities."""

    vertical_probability: float
    horizontal_probability: float

    def __call__(self, example, seed):
        seeds = tf.unstack(tf.random.split(seed, 2))
        for axis, probability in enumerate(
            (self.vertical_probability, self.horizontal_probability)
        ):
            example = tf.cond(
                tf.random.stateless_uniform([], seeds[axis]) < probability,
                lambda axis=axis, example=example: repeat_along(example, axis),
                lambda example=example: example,
            )
        return example


@dataclass(frozen=True)
class KeepAtMost:
    """Keeps the first objects and all ignore regions; follows steps that add objects."""

    count: int

    def __call__(self, example, seed):
        del seed
        number = tf.shape(example.classes)[0]

        def keep_first():
            index = ignore_regions.select_first(tf.range(number), example.ignore, self.count)
            return example.select(index)

        return tf.cond(number > self.count, keep_first, lambda: example)


@dataclass(frozen=True)
class InTurn:
    """Several augmentations as one."""

    steps: tuple

    def __call__(self, example, seed):
        seeds = tf.unstack(tf.random.split(seed, len(self.steps)))
        for step, one in zip(self.steps, seeds, strict=True):
            example = step(example, one).with_known_ranks()
        return example


def repeat_along(example, axis):
    """Concatenate the example with itself along an axis (0 below, 1 to the right)."""
    count = tf.shape(example.classes)[0]
    masks = example.masks
    both = example.select(tf.tile(tf.range(count), [2]))
    scale = tf.constant([0.5, 1.0] * 2 if axis == 0 else [1.0, 0.5] * 2)
    first = example.boxes_normalized * scale
    boxes = tf.concat([first, first + (1.0 - scale)], axis=0)
    if masks is not None:
        nothing = tf.zeros_like(masks.pixels)
        before = tf.concat([masks.pixels, nothing], axis=axis + 1)
        after = tf.concat([nothing, masks.pixels], axis=axis + 1)
        masks = both.masks.with_whole(tf.concat([before, after], axis=0))
    image = tf.concat([example.image, example.image], axis=axis)
    return both._replace(image=image, boxes_normalized=boxes, masks=masks)


def join(example: Example, other: Example) -> Example:
    """Return `example` with the objects of both.

    Args:
        example, other: `Example`, with masks of the same size or both without.
    """
    fields = ["boxes_normalized", "classes", "weights", "crowd", "difficult", "area"]
    fields += ["ignore"] * (example.ignore is not None)
    lists = {n: tf.concat([getattr(example, n), getattr(other, n)], axis=0) for n in fields}
    masks = example.masks
    if masks is not None:
        pixels = tf.concat([masks.pixels, other.masks.pixels], axis=0)
        masks = masks._replace(pixels=pixels)
        if masks.present is not None:
            present = tf.concat([masks.present, other.masks.present], axis=0)
            masks = masks._replace(present=present)
    return example._replace(**lists, masks=masks)


@dataclass(frozen=True)
class CopyPaste:
    """Pastes objects of another example; both must have masks.

    The only augmentation that needs a second example. It takes the one before it in the (shuffled)
    stream, as the steps before this one have left it; so a seed and a position in the stream decide
    everything, and an interrupted run can continue exactly.

    Pasted objects hide the masks below. An object with less than `min_visible` left is dropped, the
    others' boxes are refitted.

    Attributes:
        probability: probability that anything is pasted.
        object_probability: probability of each object of the other example; 0 for crowds and
            ignore regions.
        max_objects: largest number of pasted objects.
    """

    probability: float = 1.0
    object_probability: float = 0.5
    min_visible: float = 0.1
    max_objects: int = 100

    def __call__(self, example, other, seed):
        seeds = tf.unstack(tf.random.split(seed, 3))
        drawn = tf.random.stateless_uniform(tf.shape(other.classes), seeds[0])
        filled = tf.reduce_max(other.masks.pixels, axis=[1, 2]) > 0
        selected = (drawn < self.object_probability) & ~other.crowd & filled
        if other.ignore is not None:
            selected &= ~other.ignore
        index = tf.where(selected)[: self.max_objects, 0]
        anything = tf.random.stateless_uniform([], seeds[1]) < self.probability
        place = tf.random.stateless_uniform([2], seeds[2])
        return tf.cond(
            anything & (tf.size(index) > 0),
            lambda: self.paste(example, other.select(index), place),
            lambda: example,
        )

    def paste(self, example, other, place):
        """Paste all objects of another example onto an example.

        The other image is scaled to fit into the example's; `place` [2] of 0..1 is its position in
        the space that is left.
        """
        other = _fit(other, tf.shape(example.image)[:2], place)
        union = tf.reduce_max(other.masks.pixels, axis=0, keepdims=True)
        covered = resize_masks(union, tf.shape(example.image)[:2])[0, :, :, tf.newaxis]
        image = tf.where(covered > 0, tf.cast(other.image, example.image.dtype), example.image)
        pixels = resize_masks(other.masks.pixels, example.masks.shape)
        above = drop_vanished(other, other._replace(masks=other.masks.with_whole(pixels)))
        hidden = example.masks.pixels * (1 - tf.reduce_max(pixels, 0)[tf.newaxis])
        below = example._replace(masks=example.masks.with_whole(hidden))
        below = keep_visible(example, below, self.min_visible)
        return join(below._replace(image=image), above)


def examples_ahead(augmentations: Sequence[Augmentation]) -> int:
    """Return how many examples before its own an example needs: 1 with copy-paste, else 0."""
    return int(any(isinstance(step, CopyPaste) for step in augmentations))


def augment_stream(
    stream: tf.data.Dataset,
    begin: Callable,
    augmentations: Sequence[Augmentation],
    finish: Callable,
    *,
    lead: int = 0,
) -> tf.data.Dataset:
    """Return a stream of records as augmented elements, in order.

    Args:
        stream: tf.data.Dataset of anything.
        begin: maps its elements to (`Example`, seed [2] int64).
        augmentations: in turn; at most one `CopyPaste`.
        finish: maps an augmented `Example` to an element of the result.
        lead: number of records at the start of the stream that only serve those after them.

    Returns:
        A dataset of `lead` elements less than `stream`.
    """

    def mapped(dataset, function):
        return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    kinds = [isinstance(step, CopyPaste) for step in augmentations]
    if not any(kinds):
        return mapped(stream, lambda row: finish(_started(begin, augmentations, row)[0]))
    at = kinds.index(True)

    def paste(example, other, seed):
        of_paste = tf.random.experimental.stateless_fold_in(seed, at)
        example = augmentations[at](example, other, of_paste)
        return finish(augment(example, augmentations[at + 1 :], seed, first=at + 1))

    started = mapped(stream, lambda row: _started(begin, augmentations[:at], row))
    return mapped(_with_previous(started).skip(lead), paste)


def _started(begin, augmentations, row):
    example, seed = begin(row)
    return augment(example, augmentations, seed), seed


def _with_previous(examples):
    """(example, the one before it, seed) of a dataset of (`Example`, seed); none before the first.

    Raises:
        ValueError: examples without masks.
    """
    spec, _ = examples.element_spec
    if not isinstance(spec.masks, CroppedMasks):
        raise ConfigError(
            "copy_paste needs masks: set train_input_reader.load_instance_masks to true, or remove "
            "the step from train_config.data_augmentation_options."
        )
    flatten, unflatten = leave_out_none(spec)  # a state contains only tensors
    none = tuple(_empty(leaf) for leaf in flatten(spec))

    def step(before, row):
        example, seed = row
        return flatten(example), (example, unflatten(*before), seed)

    return examples.scan(none, step)


def _empty(spec):
    """A tensor of a spec, 0 long where its length is open."""
    return tf.zeros([side or 0 for side in spec.shape], spec.dtype)


def _fit(other, shape, place):
    """Another example placed in an image of this shape ([2] int32), as large as possible."""
    own = tf.shape(other.image)[:2]
    scale = tf.reduce_min(tf.cast(shape, tf.float32) / tf.cast(own, tf.float32))
    size = tf.cast(tf.round(scale * tf.cast(own, tf.float32)), tf.int32)
    size = tf.clip_by_value(size, 1, shape)
    offset = -tf.cast(place * tf.cast(shape - size + 1, tf.float32), tf.int32)
    # Masks become as large as the image, so that the place is the same pixel of both.
    return tf.cond(
        tf.reduce_all(own == shape),
        lambda: other,
        lambda: scale_onto(
            other._replace(masks=other.masks.with_whole(resize_masks(other.masks.pixels, size))),
            *(size, offset, shape),
        ),
    )
