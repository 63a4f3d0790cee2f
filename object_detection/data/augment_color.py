"""Random changes of an example's colours; boxes and masks stay.

As TFOD's, on values of 0..255. A uint8 image is then rounded to whole numbers and clipped; images
stay uint8 up to the resizer, unless a step of `augment_values` has made them float32.
"""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data.augment_window import like
from object_detection.ops import image as image_ops


@dataclass(frozen=True)
class RandomAdjustBrightness:
    """Adds the same to all pixels, at most `max_delta` of their range up or down."""

    max_delta: float

    def __call__(self, example, seed):
        return _changed(example, lambda image: self.on(image, seed))

    def on(self, image, seed):
        """The change of an image [h, w, 3] of fractions 0..1."""
        delta = tf.random.stateless_uniform([], seed, -self.max_delta, self.max_delta)
        return tf.image.adjust_brightness(image, delta)


@dataclass(frozen=True)
class RandomAdjustContrast:
    """Multiplies each channel's distance from its mean by `min_delta` to `max_delta`."""

    min_delta: float
    max_delta: float

    def __call__(self, example, seed):
        return _changed(example, lambda image: self.on(image, seed))

    def on(self, image, seed):
        """The change of an image [h, w, 3] of fractions 0..1."""
        factor = tf.random.stateless_uniform([], seed, self.min_delta, self.max_delta)
        return tf.image.adjust_contrast(image, factor)


@dataclass(frozen=True)
class RandomAdjustHue:
    """Turns the hue by at most `max_delta` of the full circle, either way."""

    max_delta: float

    def __call__(self, example, seed):
        return _changed(example, lambda image: self.on(image, seed))

    def on(self, image, seed):
        """The change of an image [h, w, 3] of fractions 0..1."""
        delta = tf.random.stateless_uniform([], seed, -self.max_delta, self.max_delta)
        return tf.image.adjust_hue(image, delta)


@dataclass(frozen=True)
class RandomAdjustSaturation:
    """Multiplies the saturation by `min_delta` to `max_delta`."""

    min_delta: float
    max_delta: float

    def __call__(self, example, seed):
        return _changed(example, lambda image: self.on(image, seed))

    def on(self, image, seed):
        """The change of an image [h, w, 3] of fractions 0..1."""
        factor = tf.random.stateless_uniform([], seed, self.min_delta, self.max_delta)
        return tf.image.adjust_saturation(image, factor)


_BRIGHTNESS, _CONTRAST = RandomAdjustBrightness(32 / 255), RandomAdjustContrast(0.5, 1.5)
_HUE, _SATURATION = RandomAdjustHue(0.2), RandomAdjustSaturation(0.5, 1.5)
ORDERINGS = (
    (_BRIGHTNESS, _SATURATION, _HUE, _CONTRAST),
    (_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE),
)


@dataclass(frozen=True)
class RandomDistortColor:
    """Changes brightness, saturation, hue and contrast, in the order of `ORDERINGS[ordering]`."""

    ordering: int

    def __call__(self, example, seed):
        steps = ORDERINGS[self.ordering]
        seeds = tf.unstack(tf.random.split(seed, len(steps)))

        def change(image):
            for step, one in zip(steps, seeds, strict=True):
                image = tf.clip_by_value(step.on(image, one), 0.0, 1.0)
            return image

        return _changed(example, change)


@dataclass(frozen=True)
class RandomRgbToGray:
    """Takes the colours out with this probability; three equal channels are left."""

    probability: float

    def __call__(self, example, seed):
        chosen = tf.random.stateless_uniform([], seed) <= self.probability
        image = tf.cond(chosen, lambda: gray(example.image), lambda: example.image)
        return example._replace(image=image)


@dataclass(frozen=True)
class RgbToGray:
    """Takes the colours out; three equal channels are left where TFOD leaves one."""

    def __call__(self, example, seed):
        del seed
        return example._replace(image=gray(example.image))


@dataclass(frozen=True)
class AdjustGamma:
    """Raises fractions of 255 to the power `gamma`, and multiplies them by `gain`."""

    gamma: float
    gain: float

    def __call__(self, example, seed):
        del seed
        return _changed(example, lambda image: tf.image.adjust_gamma(image, self.gamma, self.gain))


def gray(image):
    """An image's luma in three channels, in its own type."""
    return like(image, image_ops.as_float(image, grayscale=True))


def _changed(example, change):
    image = change(tf.cast(example.image, tf.float32) / 255.0)
    image = 255.0 * tf.clip_by_value(image, 0.0, 1.0)
    return example._replace(image=like(example.image, image))
