"""Geometry of examples: flips and turns, the window under all crops, and what stays visible.

An augmentation is a callable `(Example, seed [2] int64) -> Example`. The same seed gives the same
change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from object_detection.data.augment import color
from object_detection.data.example import Example
from object_detection.ops import boxes as box_ops

Augmentation = Callable[[Example, tf.Tensor], Example]
_WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class RandomHorizontalFlip:
    """Mirrors left and right with this probability."""

    probability: float

    def __call__(self, example, seed):
        return _apply_randomly(_flip_horizontal, example, self.probability, seed)


@dataclass(frozen=True)
class RandomVerticalFlip:
    """Mirrors top and bottom with this probability."""

    probability: float

    def __call__(self, example, seed):
        return _apply_randomly(_flip_vertical, example, self.probability, seed)


@dataclass(frozen=True)
class RandomRotation90:
    """Turns by 90 degrees counter-clockwise with this probability."""

    probability: float

    def __call__(self, example, seed):
        return _apply_randomly(_rotate90, example, self.probability, seed)


def augment(
    example: Example, augmentations: Sequence[Augmentation], seed: tf.Tensor, first: int = 0
) -> Example:
    """Apply augmentations in turn, each with its own seed made from `seed` ([2] int64).

    `first` is the position of the first one in the whole list.
    """
    for step, augmentation in enumerate(augmentations, first):
        one = tf.random.experimental.stateless_fold_in(seed, step)
        example = augmentation(example, one).with_known_ranks()
    return example


def accept_cropped_masks(augmentations: Sequence[Augmentation]) -> bool:
    """Return whether all steps take masks that are cropped to their objects.

    Those are the steps that move whole images, and those that change no mask.
    """
    flips = (RandomHorizontalFlip, RandomVerticalFlip, RandomRotation90)
    return all(
        isinstance(step, flips) or type(step).__module__ == color.__name__ for step in augmentations
    )


def _apply_randomly(change, example, probability, seed):
    if probability <= 0:
        return example
    selected = tf.random.stateless_uniform([], seed) < probability
    return tf.cond(selected, lambda: change(example), lambda: example)


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
    masks = example.masks
    masks = masks._replace(
        pixels=tf.transpose(masks.pixels, [0, 2, 1]),
        shape=tf.reverse(masks.shape, [0]),
        origin=None if masks.origin is None else tf.reverse(masks.origin, [1]),
    )
    return _mirror_masks(turned._replace(masks=masks), 0)


def _mirror_masks(example, axis):
    """The example with its masks mirrored in y (axis 0) or x (1)."""
    masks = example.masks
    if masks is None:
        return example
    origin = masks.origin
    if origin is not None:
        # The last row of a rectangle becomes its first.
        moved = masks.shape[axis] - tf.shape(masks.pixels)[axis + 1] - origin[:, axis]
        kept = origin[:, 1 - axis]
        origin = tf.stack([moved, kept] if axis == 0 else [kept, moved], axis=1)
    pixels = tf.reverse(masks.pixels, [axis + 1])
    return example._replace(masks=masks._replace(pixels=pixels, origin=origin))


def take_window(
    example: Example, corner: tf.Tensor, extent: tf.Tensor, fill: tf.Tensor | None = None
) -> Example:
    """Return the part of the example in a rectangle; all objects stay, boxes are not clipped.

    This is the one crop (and frame) under all crops and paddings. Rectangles are in pixels of the
    image and may reach beyond it. Masks are cut in their own pixels, whose size need not be the
    image's: there a border falls on the nearest pixel of the mask.

    Args:
        example: `Example`.
        corner: [2] int32 (y, x) of the rectangle's first pixel.
        extent: [2] int32 (height, width) of the rectangle, at least 1.
        fill: [3] color of what lies beyond the image, 0..255; black without it.

    Returns:
        `Example` of `extent` pixels. Beyond the image masks are 0.
    """
    shape = tf.shape(example.image)[:2]
    image = crop_maps(example.image[tf.newaxis], corner, extent)[0]
    if fill is not None:
        inside = crop_maps(tf.ones([1, shape[0], shape[1]], tf.bool), corner, extent)[0]
        image = tf.where(inside[..., tf.newaxis], image, color.cast_like(image, fill))
    masks = example.masks
    if masks is not None:
        ratio = tf.cast(masks.shape, tf.float32) / tf.cast(shape, tf.float32)
        first = tf.cast(tf.round(tf.cast(corner, tf.float32) * ratio), tf.int32)
        size = tf.cast(tf.round(tf.cast(extent, tf.float32) * ratio), tf.int32)
        masks = masks.with_whole(crop_maps(masks.pixels, first, tf.maximum(size, 1)))
    boxes = example.boxes_normalized * tf.cast(tf.tile(shape, [2]), tf.float32)
    boxes = box_ops.change_frame(boxes, _rectangle(corner, extent))
    return example._replace(image=image, boxes_normalized=boxes, masks=masks)


def crop_example(example, corner, extent, min_covered, clip):
    """Return the part of the example in a rectangle, by TFOD's rule for objects on its border.

    Args:
        example, corner, extent: as in `take_window`; the rectangle is inside the image.
        min_covered: an object stays where at least this share of its box is in the rectangle, and
            any of it at all.
        clip: whether boxes are cut at the rectangle's border.
    """
    shape = tf.cast(tf.tile(tf.shape(example.image)[:2], [2]), tf.float32)
    covered = share_in(example.boxes_normalized * shape, _rectangle(corner, extent))
    enough = example.ignore_or(covered >= min_covered)  # no part of ignore regions may be lost
    kept = tf.where((covered > 0) & enough)[:, 0]
    cropped = take_window(example, corner, extent).select(kept)
    boxes = cropped.boxes_normalized
    clipped = tf.where(clip, box_ops.clip(boxes, whole_box()), boxes)
    return cropped._replace(boxes_normalized=clipped)


def drop_outside(example: Example) -> Example:
    """Clip boxes to the image, and drop the objects outside of it."""
    clipped = box_ops.clip(example.boxes_normalized, whole_box())
    inside = tf.where(tf.reduce_all(clipped[:, 2:] > clipped[:, :2], axis=1))[:, 0]
    return example._replace(boxes_normalized=clipped).select(inside)


def share_in(boxes: tf.Tensor, rectangle: tf.Tensor) -> tf.Tensor:
    """Return [g] the share of each box [g, 4] inside a rectangle [4]; 0 for boxes without area."""
    inside = box_ops.area(box_ops.clip(boxes, rectangle))
    return tf.math.divide_no_nan(inside, box_ops.area(boxes))


def whole_box() -> tf.Tensor:
    """Return [4] the normalized box of the whole image."""
    return tf.constant(_WHOLE)


def crop_maps(maps: tf.Tensor, corner: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """Return [n, height, width, ...] of maps [n, h, w, ...] from `corner` on, zeros outside."""
    shape = tf.shape(maps)[1:3]
    first = tf.clip_by_value(corner, 0, shape)
    last = tf.clip_by_value(corner + extent, 0, shape)
    inside = maps[:, first[0] : last[0], first[1] : last[1]]
    before = first - corner
    before = tf.where(last > first, before, 0)
    after = extent - before - (last - first)
    rows, columns = (tf.stack([before[axis], after[axis]]) for axis in (0, 1))
    nothing = tf.zeros([2], tf.int32)
    amounts = [nothing, rows, columns, nothing]
    return tf.pad(inside, tf.stack(amounts[: maps.shape.rank]))


def _rectangle(corner, extent):
    return tf.cast(tf.concat([corner, corner + extent], axis=0), tf.float32)


def keep_visible(before: Example, after: Example, min_visible: float) -> Example:
    """Drop objects that are no longer visible, and refit the boxes of those visible in part.

    Args:
        before: the example before a change.
        after: the same objects after a change that may hide pixels of them, not shrink them.
        min_visible: an object stays where at least this share of it is left, and any at all.

    Returns:
        `after` with the objects that stay, their boxes clipped to the image.
    """
    share = visible_share(before, after)
    boxes = box_ops.clip(after.boxes_normalized, whole_box())
    if after.masks is not None:
        pixels = after.masks.pixels
        cut = ((share < 1.0) & (_sizes(pixels) > 0))[:, tf.newaxis]
        boxes = tf.where(cut, boxes_of_masks(pixels), boxes)
    enough = after.ignore_or(share >= min_visible)
    kept = tf.where((share > 0) & enough & (box_ops.area(boxes) > 0))[:, 0]
    return after._replace(boxes_normalized=boxes).select(kept)


def drop_vanished(before: Example, after: Example) -> Example:
    """Drop the objects whose masks had pixels before, and have none any more."""
    if after.masks is None:
        return after
    had_none, has_some = _sizes(before.masks.pixels) == 0, _sizes(after.masks.pixels) > 0
    return after.select(tf.where(had_none | has_some)[:, 0])


def visible_share(before: Example, after: Example) -> tf.Tensor:
    """Return [g] float32 0..1: the share of each object's mask, else box, that is left."""
    of_boxes = share_in(after.boxes_normalized, whole_box())
    if after.masks is None:
        return of_boxes
    was = _sizes(before.masks.pixels)
    return tf.where(was > 0, tf.math.divide_no_nan(_sizes(after.masks.pixels), was), of_boxes)


def boxes_of_masks(masks: tf.Tensor) -> tf.Tensor:
    """Return [g, 4] float32 normalized boxes around whole masks [g, h, w]; zeros for empty ones."""
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
