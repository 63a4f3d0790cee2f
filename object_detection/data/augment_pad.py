"""Random frames around image, boxes and masks, and crops that are framed again."""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data import augment_window
from object_detection.data.augment_crop import CropRule, crop_by_one, draw_index

Color = tuple[float, float, float] | None  # None is the image's mean


@dataclass(frozen=True)
class RandomPadImage:
    """Sets the image at a random place of a larger one.

    Sizes are (height, width); None is the image's size for the least, twice that for the largest.
    The largest itself is never drawn, unless it is the least too.
    """

    min_size: tuple[int, int] | None = None
    max_size: tuple[int, int] | None = None
    color: Color = None

    def __call__(self, example, seed):
        shape = tf.shape(example.image)[:2]
        low = shape if self.min_size is None else tf.constant(self.min_size)
        high = 2 * shape if self.max_size is None else tf.constant(self.max_size)
        return pad_randomly(example, low, high, self.color, seed)


@dataclass(frozen=True)
class RandomAbsolutePadImage:
    """As `RandomPadImage`, by less than so many pixels."""

    max_height_padding: int
    max_width_padding: int
    color: Color = None

    def __call__(self, example, seed):
        shape = tf.shape(example.image)[:2]
        high = shape + tf.constant([self.max_height_padding, self.max_width_padding])
        return pad_randomly(example, shape, high, self.color, seed)


@dataclass(frozen=True)
class PadRule:
    """Sizes of a framed crop, (height, width) as multiples of the image before the crop."""

    min_ratio: tuple[float, float] = (1.0, 1.0)
    max_ratio: tuple[float, float] = (2.0, 2.0)
    color: Color = None


@dataclass(frozen=True)
class RandomCropPad:
    """A crop by one of several rules, framed by the rule beside it, even where nothing is cropped.

    The frame is never smaller than the crop.
    """

    rules: tuple[tuple[CropRule, PadRule], ...]

    def __call__(self, example, seed):
        of_rule, of_crop, of_pad = tf.unstack(tf.random.split(seed, 3))
        index = draw_index(self.rules, of_rule)
        shape = tf.cast(tf.shape(example.image)[:2], tf.float32)
        example = crop_by_one([crop for crop, _ in self.rules], index, example, of_crop)
        pads = [pad for _, pad in self.rules]
        low = tf.cast(shape * tf.gather([pad.min_ratio for pad in pads], index), tf.int32)
        high = tf.cast(shape * tf.gather([pad.max_ratio for pad in pads], index), tf.int32)
        if all(pad.color is None for pad in pads):
            return pad_randomly(example, low, high, None, of_pad)
        mean = mean_color(example.image)
        colors = tf.stack([mean if p.color is None else tf.constant(p.color) for p in pads])
        return pad_randomly(example, low, high, colors[index], of_pad)


@dataclass(frozen=True)
class RandomPadToAspectRatio:
    """Pads below and on the right with zeros to a width / height.

    The least size of that shape that holds the image is scaled at random, within multiples of the
    image's own (height, width).
    """

    aspect_ratio: float
    min_ratio: tuple[float, float] = (1.0, 1.0)
    max_ratio: tuple[float, float] = (2.0, 2.0)

    def __call__(self, example, seed):
        target, low, high = self.sizes(tf.shape(example.image)[:2])
        scale = tf.random.stateless_uniform([], seed, low, high)
        extent = tf.cast(tf.round(scale * target), tf.int32)
        return augment_window.show(example, tf.zeros([2], tf.int32), extent)

    def sizes(self, shape):
        """[2] float32 least (height, width), and between which scalars it is multiplied."""
        size = tf.cast(shape, tf.float32)
        # As vectors: TensorFlow 2.21 optimizes the same of two scalars into wrong numbers.
        ratios = tf.constant([1.0 / self.aspect_ratio, self.aspect_ratio])
        target = tf.maximum(size, tf.reverse(size, [0]) * ratios)
        largest = tf.reduce_min(tf.maximum(self.max_ratio * size, target) / target)
        least = tf.reduce_max(tf.maximum(self.min_ratio * size, target) / target)
        return target, tf.minimum(least, largest), largest


def pad_randomly(example, low, high, color, seed):
    """The example at a random place of an image between two sizes ([2] int32 each).

    Args:
        color: [3], or None for the image's mean.
    """
    shape = tf.shape(example.image)[:2]
    low, high = tf.maximum(low, shape), tf.maximum(high, shape)
    seeds = tf.unstack(tf.random.split(seed, 4))
    extent = tf.stack([_between(low[axis], high[axis], seeds[axis]) for axis in (0, 1)])
    before = [_between(0, extent[axis] - shape[axis], seeds[2 + axis]) for axis in (0, 1)]
    fill = mean_color(example.image) if color is None else color
    return augment_window.show(example, -tf.stack(before), extent, fill)


def mean_color(image):
    """[3] float32 mean colour of an image."""
    return tf.reduce_mean(tf.cast(image, tf.float32), axis=[0, 1])


def _between(low, high, seed):
    """An int32 scalar of [low, high), or `high` where that holds none."""
    drawn = tf.random.stateless_uniform([], seed, low, tf.maximum(high, low + 1), tf.int32)
    return tf.where(high > low, drawn, high)
