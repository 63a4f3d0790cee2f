"""Random changes of an example's colours; boxes and masks stay.

As TFOD's: the image is taken as fractions of 255, changed, and clipped to what an image may hold.
Here values are then rounded to whole numbers, for images stay uint8 up to the resizer.
"""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class RandomAdjustBrightness:
    """Adds the same to all pixels, at most `max_delta` of their range up or down."""

    max_delta: float

    def __call__(self, example, seed):
        delta = tf.random.stateless_uniform([], seed, -self.max_delta, self.max_delta)
        return _changed(example, lambda image: tf.image.adjust_brightness(image, delta))


@dataclass(frozen=True)
class RandomAdjustContrast:
    """Multiplies each channel's distance from its mean by `min_delta` to `max_delta`."""

    min_delta: float
    max_delta: float

    def __call__(self, example, seed):
        factor = tf.random.stateless_uniform([], seed, self.min_delta, self.max_delta)
        return _changed(example, lambda image: tf.image.adjust_contrast(image, factor))


@dataclass(frozen=True)
class RandomAdjustHue:
    """Turns the hue by at most `max_delta` of the full circle, either way."""

    max_delta: float

    def __call__(self, example, seed):
        delta = tf.random.stateless_uniform([], seed, -self.max_delta, self.max_delta)
        return _changed(example, lambda image: tf.image.adjust_hue(image, delta))


@dataclass(frozen=True)
class RandomAdjustSaturation:
    """Multiplies the saturation by `min_delta` to `max_delta`."""

    min_delta: float
    max_delta: float

    def __call__(self, example, seed):
        factor = tf.random.stateless_uniform([], seed, self.min_delta, self.max_delta)
        return _changed(example, lambda image: tf.image.adjust_saturation(image, factor))


def _changed(example, change):
    image = change(tf.cast(example.image, tf.float32) / 255.0)
    image = tf.round(255.0 * tf.clip_by_value(image, 0.0, 1.0))
    return example._replace(image=tf.cast(image, tf.uint8))
