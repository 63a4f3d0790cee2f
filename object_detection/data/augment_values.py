"""Changes of pixels by themselves: their scale, noise, patches, what JPEG does to them.

Boxes and masks stay, also where something is put over an object.
"""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data.augment_window import like, window


@dataclass(frozen=True)
class NormalizeImage:
    """Maps `original` (least, largest) linearly to `target`; the image becomes float32.

    The network's own normalization comes on top of it, as in TFOD.
    """

    original: tuple[float, float]
    target: tuple[float, float]

    def __call__(self, example, seed):
        del seed
        scale = (self.target[1] - self.target[0]) / (self.original[1] - self.original[0])
        image = tf.cast(example.image, tf.float32)
        return example._replace(image=(image - self.original[0]) * scale + self.target[0])


@dataclass(frozen=True)
class SubtractChannelMean:
    """Subtracts a number from each channel; the image becomes float32."""

    means: tuple[float, float, float]

    def __call__(self, example, seed):
        del seed
        return example._replace(image=tf.cast(example.image, tf.float32) - tf.constant(self.means))


@dataclass(frozen=True)
class RandomPixelValueScale:
    """Multiplies every value of every pixel by its own number of `minval` to `maxval`."""

    minval: float
    maxval: float

    def __call__(self, example, seed):
        image = tf.cast(example.image, tf.float32)
        image *= tf.random.stateless_uniform(tf.shape(image), seed, self.minval, self.maxval)
        return example._replace(image=like(example.image, tf.clip_by_value(image, 0.0, 255.0)))


@dataclass(frozen=True)
class RandomBlackPatches:
    """Puts up to `max_black_patches` black squares on the image, each with this probability.

    Their side is `size_to_image_ratio` of the image's shorter one.
    """

    max_black_patches: int
    probability: float
    size_to_image_ratio: float

    def __call__(self, example, seed):
        shape = tf.shape(example.image)[:2]
        size = tf.cast(shape, tf.float32)
        side = tf.cast(self.size_to_image_ratio * tf.reduce_min(size), tf.int32)
        of_choice, of_place = tf.unstack(tf.random.split(seed, 2))
        count = self.max_black_patches
        chosen = tf.random.stateless_uniform([count], of_choice) <= self.probability
        place = tf.random.stateless_uniform(
            [count, 2], of_place, 0.0, 1.0 - self.size_to_image_ratio
        )
        first = tf.cast(place * size, tf.int32)  # [count, (y, x)]
        rows, columns = (
            _between(tf.range(shape[axis]), first[:, axis], first[:, axis] + side)
            for axis in (0, 1)
        )
        black = (rows & chosen[:, tf.newaxis])[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
        black = tf.reduce_any(black, axis=0)[..., tf.newaxis]
        image = tf.where(black, tf.zeros([], example.image.dtype), example.image)
        return example._replace(image=image)


@dataclass(frozen=True)
class RandomPatchGaussian:
    """Adds Gaussian noise inside a random square, which may reach beyond the image.

    Its side is `min_patch_size` up to less than `max_patch_size`, the noise's standard deviation
    a share of 255 of `stddev` (least, largest); `random_coef` is the probability of no change.
    """

    random_coef: float
    min_patch_size: int
    max_patch_size: int
    stddev: tuple[float, float]

    def __call__(self, example, seed):
        seeds = tf.unstack(tf.random.split(seed, 5))
        shape = tf.shape(example.image)
        highest = max(self.max_patch_size, self.min_patch_size + 1)
        side = tf.random.stateless_uniform([], seeds[0], self.min_patch_size, highest, tf.int32)
        deviation = tf.random.stateless_uniform([], seeds[1], *self.stddev)
        place = tf.random.stateless_uniform([2], seeds[2]) * tf.cast(shape[:2], tf.float32)
        corner = tf.cast(place, tf.int32) - side // 2

        def noisy():
            patch = window(tf.ones([1, side, side], tf.bool), -corner, shape[:2])[0]
            noise = tf.random.stateless_normal(shape, seeds[3], stddev=255.0 * deviation)
            image = tf.clip_by_value(tf.cast(example.image, tf.float32) + noise, 0.0, 255.0)
            return tf.where(patch[..., tf.newaxis], like(example.image, image), example.image)

        chosen = tf.random.stateless_uniform([], seeds[4]) >= self.random_coef
        return example._replace(image=tf.cond(chosen, noisy, lambda: example.image))


@dataclass(frozen=True)
class RandomJpegQuality:
    """Encodes as JPEG of `min_quality` up to less than `max_quality`, and decodes again.

    `random_coef` is the probability of no change.
    """

    random_coef: float
    min_quality: int
    max_quality: int

    def __call__(self, example, seed):
        of_keeping, of_quality = tf.unstack(tf.random.split(seed, 2))
        highest = max(self.max_quality, self.min_quality + 1)
        quality = tf.random.stateless_uniform([], of_quality, self.min_quality, highest, tf.int32)
        image = example.image

        def encoded():
            pixels = tf.cast(tf.clip_by_value(tf.cast(image, tf.float32), 0.0, 255.0), tf.uint8)
            return tf.cast(tf.image.adjust_jpeg_quality(pixels, quality), image.dtype)

        chosen = tf.random.stateless_uniform([], of_keeping) >= self.random_coef
        return example._replace(image=tf.cond(chosen, encoded, lambda: image))


def _between(values, low, high):
    """[n, len(values)] bool: low[i] <= value < high[i]."""
    return (values >= low[:, tf.newaxis]) & (values < high[:, tf.newaxis])
