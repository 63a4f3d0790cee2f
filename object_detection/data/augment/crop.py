"""Random crops of image, boxes and masks together, and random frames around them.

A crop that TFOD takes from around objects is drawn by TensorFlow's own sampler, as there.
"""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data.augment.geometry import crop_example, drop_outside, take_window

# TFOD's list for SSD: how much of an object must be seen.
SSD_COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
_ATTEMPTS = 100


@dataclass(frozen=True)
class CropRule:
    """How a crop is drawn, and which objects on its border stay.

    Attributes:
        min_object_covered: the crop covers at least this share of some object.
        aspect_ratio: (least, largest) width / height of the crop, in pixels.
        area: (least, largest) share of the image's area.
        overlap_thresh: objects with less than this share of their box in the crop are dropped.
        clip_boxes: whether boxes end at the crop's border.
        random_coef: the probability of no crop at all.
    """

    min_object_covered: float = 1.0
    aspect_ratio: tuple[float, float] = (0.75, 1.33)
    area: tuple[float, float] = (0.1, 1.0)
    overlap_thresh: float = 0.3
    clip_boxes: bool = True
    random_coef: float = 0.0

    def draw(self, example, seed):
        """Draw (corner, extent) of a crop, each [2] int32; the whole image if no crop fits."""
        boxes = tf.clip_by_value(example.boxes_normalized, 0.0, 1.0)
        corner, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            image_size=tf.shape(example.image),
            bounding_boxes=boxes[:, tf.newaxis],
            seed=seed,
            min_object_covered=self.min_object_covered,
            aspect_ratio_range=self.aspect_ratio,
            area_range=self.area,
            max_attempts=_ATTEMPTS,
            use_image_if_no_bounding_boxes=True,
        )
        return corner[:2], extent[:2]


def ssd_rules(covered=SSD_COVERED, aspect_ratio=(0.5, 2.0)):
    """Return TFOD's rules of an SSD crop without operations."""
    return tuple(CropRule(share, aspect_ratio, (0.1, 1.0), share, True, 0.15) for share in covered)


@dataclass(frozen=True)
class RandomCrop:
    """Crops by one of several rules, each as likely as the others."""

    rules: tuple[CropRule, ...]

    def __call__(self, example, seed):
        of_rule, of_crop = tf.unstack(tf.random.split(seed, 2))
        return crop_by_rule(self.rules, draw_index(self.rules, of_rule), example, of_crop)


@dataclass(frozen=True)
class RandomCropToAspectRatio:
    """Crops at a random place to a width / height, keeping as much as possible.

    An object stays where `overlap_thresh` of its box is in the crop.
    """

    aspect_ratio: float = 1.0
    overlap_thresh: float = 0.3
    clip_boxes: bool = True

    def __call__(self, example, seed):
        shape = tf.shape(example.image)[:2]
        extent = self.extent(shape)
        seeds = tf.unstack(tf.random.split(seed, 2))
        corner = [
            tf.random.stateless_uniform([], one, 0, space + 1, tf.int32)
            for one, space in zip(seeds, tf.unstack(shape - extent), strict=True)
        ]
        rule = (self.overlap_thresh, self.clip_boxes)
        return crop_example(example, tf.stack(corner), extent, *rule)

    def extent(self, shape):
        """[2] int32 (height, width) of the crop of an image of this shape ([2] int32)."""
        # As vectors: TensorFlow 2.21 optimizes the same of two scalars into wrong numbers.
        size = tf.cast(shape, tf.float32)
        ratios = tf.constant([1.0 / self.aspect_ratio, self.aspect_ratio])
        extent = tf.minimum(size, tf.round(tf.reverse(size, [0]) * ratios))
        return tf.maximum(tf.cast(extent, tf.int32), 1)


@dataclass(frozen=True)
class RandomSquareCropByScale:
    """Cuts a square out of the image, or sets the image into a larger one of zeros.

    As TFOD's (it comes from CenterNet), except that TFOD loses the image's last row and column.
    Objects wholly outside the square are dropped, the others clipped to it.

    Args:
        max_border: how far from the image's border the square's center stays, in pixels; halved
            until it is less than half of the image's side.
        scale_min, scale_max: sides of the square, as multiples of the image's longer side.
        num_scales: how many sides there are to choose from, evenly between these.
    """

    max_border: int
    scale_min: float
    scale_max: float
    num_scales: int

    def __call__(self, example, seed):
        seeds = tf.unstack(tf.random.split(seed, 3))
        shape = tf.shape(example.image)[:2]
        scales = tf.linspace(self.scale_min, self.scale_max, self.num_scales)
        scale = scales[tf.random.stateless_uniform([], seeds[0], 0, self.num_scales, tf.int32)]
        side = tf.cast(scale * tf.cast(tf.reduce_max(shape), tf.float32), tf.int32)
        center = [
            self._center(length, one)
            for length, one in zip(tf.unstack(shape), seeds[1:], strict=True)
        ]
        return square_crop(example, tf.stack(center) - side // 2, side)

    def _center(self, length, seed):
        border = self._border(length)
        return tf.random.stateless_uniform([], seed, border, length - border + 1, tf.int32)

    def _border(self, length):
        """`max_border`, halved until it is at most half of `length`."""
        longer = 2.0 * self.max_border / tf.cast(length, tf.float32)
        halvings = tf.math.ceil(tf.math.log(tf.maximum(longer, 1.0)) / tf.math.log(2.0))
        return self.max_border // tf.cast(tf.pow(2.0, halvings), tf.int32)


def square_crop(example, corner, side):
    """Return the part of an example in a square; objects outside are dropped.

    Args:
        example: `Example`.
        corner: [2] int32 (y, x) of the square in pixels of the image; may lie outside.
        side: int32 scalar, of the square in pixels.

    Returns:
        `Example` of side x side pixels, zeros where the square reaches beyond the image.
    """
    square = take_window(example, corner, tf.stack([side, side]))
    return drop_outside(square)


def draw_index(choices, seed):
    """Draw which of several choices to take; int32 scalar."""
    return tf.random.stateless_uniform([], seed, 0, len(choices), tf.int32)


def crop_by_rule(rules, index, example, seed):
    """Crop the example by the rule number `index` (int32 scalar), or leave it unchanged."""
    of_keeping, of_crop = tf.unstack(tf.random.split(seed, 2))
    draws = [lambda rule=rule: rule.draw(example, of_crop) for rule in rules]
    kept = tf.gather([rule.random_coef for rule in rules], index)
    covered = tf.gather([rule.overlap_thresh for rule in rules], index)
    clip = tf.gather([rule.clip_boxes for rule in rules], index)

    def cropped():
        corner, extent = tf.switch_case(index, draws)
        return crop_example(example, corner, extent, covered, clip)

    whether = tf.random.stateless_uniform([], of_keeping)
    return tf.cond(whether >= kept, cropped, lambda: example)


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
    """As `RandomPadImage`, by less than a number of pixels."""

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
    """A crop by one of several rules, framed by its paired rule, even where nothing is cropped.

    The frame is never smaller than the crop.
    """

    rules: tuple[tuple[CropRule, PadRule], ...]

    def __call__(self, example, seed):
        of_rule, of_crop, of_pad = tf.unstack(tf.random.split(seed, 3))
        index = draw_index(self.rules, of_rule)
        shape = tf.cast(tf.shape(example.image)[:2], tf.float32)
        example = crop_by_rule([crop for crop, _ in self.rules], index, example, of_crop)
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
        return take_window(example, tf.zeros([2], tf.int32), extent)

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
    """Place the example at random in an image between two sizes ([2] int32 each).

    Args:
        color: [3], or None for the image's mean.
    """
    shape = tf.shape(example.image)[:2]
    low, high = tf.maximum(low, shape), tf.maximum(high, shape)
    seeds = tf.unstack(tf.random.split(seed, 4))
    extent = tf.stack([_between(low[axis], high[axis], seeds[axis]) for axis in (0, 1)])
    before = [_between(0, extent[axis] - shape[axis], seeds[2 + axis]) for axis in (0, 1)]
    fill = mean_color(example.image) if color is None else color
    return take_window(example, -tf.stack(before), extent, fill)


def mean_color(image):
    """Return [3] float32 mean color of an image."""
    return tf.reduce_mean(tf.cast(image, tf.float32), axis=[0, 1])


def _between(low, high, seed):
    """An int32 scalar of [low, high), or `high` where that holds none."""
    drawn = tf.random.stateless_uniform([], seed, low, tf.maximum(high, low + 1), tf.int32)
    return tf.where(high > low, drawn, high)
