"""Random crops of image, boxes and masks together.

A crop that TFOD takes from around objects is drawn by TensorFlow's own sampler, as there.
"""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data import augment_window

# TFOD's list for SSD: how much of an object must be seen.
SSD_COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
_ATTEMPTS = 100


@dataclass(frozen=True)
class CropRule:
    """How a crop is drawn and what becomes of the objects on its border.

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
        """(corner, extent) of a crop, each [2] int32; the whole image where none can be found."""
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
    """TFOD's rules of an SSD crop that names no operations."""
    return tuple(CropRule(share, aspect_ratio, (0.1, 1.0), share, True, 0.15) for share in covered)


@dataclass(frozen=True)
class RandomCrop:
    """Crops by one of several rules, each as likely as the others."""

    rules: tuple[CropRule, ...]

    def __call__(self, example, seed):
        of_rule, of_crop = tf.unstack(tf.random.split(seed, 2))
        return crop_by_one(self.rules, draw_index(self.rules, of_rule), example, of_crop)


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
            tf.random.stateless_uniform([], one, 0, room + 1, tf.int32)
            for one, room in zip(seeds, tf.unstack(shape - extent), strict=True)
        ]
        rule = (self.overlap_thresh, self.clip_boxes)
        return augment_window.crop(example, tf.stack(corner), extent, *rule)

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
        max_border: how far from the image's border the square's centre stays, in pixels; halved
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
        centre = [
            self._centre(length, one)
            for length, one in zip(tf.unstack(shape), seeds[1:], strict=True)
        ]
        return square_crop(example, tf.stack(centre) - side // 2, side)

    def _centre(self, length, seed):
        border = self._border(length)
        return tf.random.stateless_uniform([], seed, border, length - border + 1, tf.int32)

    def _border(self, length):
        """`max_border`, halved until it is at most half of `length`."""
        longer = 2.0 * self.max_border / tf.cast(length, tf.float32)
        halvings = tf.math.ceil(tf.math.log(tf.maximum(longer, 1.0)) / tf.math.log(2.0))
        return self.max_border // tf.cast(tf.pow(2.0, halvings), tf.int32)


def square_crop(example, corner, side):
    """The part of an example that a square shows; what it does not show is dropped.

    Args:
        example: `Example`.
        corner: [2] int32 (y, x) of the square in pixels of the image; may lie outside.
        side: int32 scalar, of the square in pixels.

    Returns:
        `Example` of side x side pixels, zeros where the square reaches beyond the image.
    """
    shown = augment_window.show(example, corner, tf.stack([side, side]))
    return augment_window.drop_unseen(shown)


def draw_index(choices, seed):
    """Which of several choices; int32 scalar."""
    return tf.random.stateless_uniform([], seed, 0, len(choices), tf.int32)


def crop_by_one(rules, index, example, seed):
    """The example cropped by the rule that `index` (int32 scalar) names, or left as it is."""
    of_keeping, of_crop = tf.unstack(tf.random.split(seed, 2))
    draws = [lambda rule=rule: rule.draw(example, of_crop) for rule in rules]
    kept = tf.gather([rule.random_coef for rule in rules], index)
    covered = tf.gather([rule.overlap_thresh for rule in rules], index)
    clip = tf.gather([rule.clip_boxes for rule in rules], index)

    def cropped():
        corner, extent = tf.switch_case(index, draws)
        return augment_window.crop(example, corner, extent, covered, clip)

    whether = tf.random.stateless_uniform([], of_keeping)
    return tf.cond(whether >= kept, cropped, lambda: example)
