"""Changes of pixel values: colors, their scale, noise, patches, JPEG artifacts.

Boxes and masks stay, also where something covers an object. The changes are TFOD's, on values of
0..255. A uint8 image is then rounded and clipped; images stay uint8 up to the resizer, unless a
step has made them float32.
"""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.ops import image as image_ops


@dataclass(frozen=True)
class RandomAdjustBrightness:
    """Adds the same to all pixels, at most `max_delta` of their range up or down."""

    max_delta: float

    def __call__(self, example, seed):
        return _change_fractions(example, lambda image: self.change(image, seed))

    def change(self, image, seed):
        """Change an image [h, w, 3] of fractions 0..1."""
        delta = tf.random.stateless_uniform([], seed, -self.max_delta, self.max_delta)
        return tf.image.adjust_brightness(image, delta)


@dataclass(frozen=True)
class RandomAdjustContrast:
    """Multiplies each channel's distance from its mean by `min_delta` to `max_delta`."""

    min_delta: float
    max_delta: float

    def __call__(self, example, seed):
        return _change_fractions(example, lambda image: self.change(image, seed))

    def change(self, image, seed):
        """Change an image [h, w, 3] of fractions 0..1."""
        factor = tf.random.stateless_uniform([], seed, self.min_delta, self.max_delta)
        return tf.image.adjust_contrast(image, factor)


@dataclass(frozen=True)
class RandomAdjustHue:
    """Turns the hue by at most `max_delta` of the full circle, either way."""

    max_delta: float

    def __call__(self, example, seed):
        return _change_fractions(example, lambda image: self.change(image, seed))

    def change(self, image, seed):
        """Change an image [h, w, 3] of fractions 0..1."""
        delta = tf.random.stateless_uniform([], seed, -self.max_delta, self.max_delta)
        return tf.image.adjust_hue(image, delta)


@dataclass(frozen=True)
class RandomAdjustSaturation:
    """Multiplies the saturation by `min_delta` to `max_delta`."""

    min_delta: float
    max_delta: float

    def __call__(self, example, seed):
        return _change_fractions(example, lambda image: self.change(image, seed))

    def change(self, image, seed):
        """Change an image [h, w, 3] of fractions 0..1."""
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
                image = tf.clip_by_value(step.change(image, one), 0.0, 1.0)
            return image

        return _change_fractions(example, change)


@dataclass(frozen=True)
class RandomRgbToGray:
    """Removes the colors with this probability; three equal channels are left."""

    probability: float

    def __call__(self, example, seed):
        selected = tf.random.stateless_uniform([], seed) <= self.probability
        image = tf.cond(selected, lambda: to_gray(example.image), lambda: example.image)
        return example._replace(image=image)


@dataclass(frozen=True)
class RgbToGray:
    """Removes the colors; three equal channels are left where TFOD leaves one."""

    def __call__(self, example, seed):
        del seed
        return example._replace(image=to_gray(example.image))


@dataclass(frozen=True)
class AdjustGamma:
    """Raises fractions of 255 to the power `gamma`, and multiplies them by `gain`."""

    gamma: float
    gain: float

    def __call__(self, example, seed):
        del seed
        return _change_fractions(
            example, lambda image: tf.image.adjust_gamma(image, self.gamma, self.gain)
        )


def to_gray(image: tf.Tensor) -> tf.Tensor:
    """Return an image's luma in three channels, in the image's type."""
    return cast_like(image, image_ops.as_float(image, grayscale=True))


def _change_fractions(example, change):
    """The example after a change of its image in fractions of 255."""
    image = change(tf.cast(example.image, tf.float32) / 255.0)
    image = 255.0 * tf.clip_by_value(image, 0.0, 1.0)
    return example._replace(image=cast_like(example.image, image))


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
        return example._replace(image=cast_like(example.image, tf.clip_by_value(image, 0.0, 255.0)))


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
        selected = tf.random.stateless_uniform([count], of_choice) <= self.probability
        place = tf.random.stateless_uniform(
            [count, 2], of_place, 0.0, 1.0 - self.size_to_image_ratio
        )
        first = tf.cast(place * size, tf.int32)  # [count, (y, x)]
        rows, columns = (
            _between(tf.range(shape[axis]), first[:, axis], first[:, axis] + side)
            for axis in (0, 1)
        )
        black = (rows & selected[:, tf.newaxis])[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
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
            rows, columns = (
                _between(
                    tf.range(shape[axis]), corner[axis, tf.newaxis], corner[axis, tf.newaxis] + side
                )[0]
                for axis in (0, 1)
            )
            patch = rows[:, tf.newaxis] & columns
            noise = tf.random.stateless_normal(shape, seeds[3], stddev=255.0 * deviation)
            image = tf.clip_by_value(tf.cast(example.image, tf.float32) + noise, 0.0, 255.0)
            return tf.where(patch[..., tf.newaxis], cast_like(example.image, image), example.image)

        selected = tf.random.stateless_uniform([], seeds[4]) >= self.random_coef
        return example._replace(image=tf.cond(selected, noisy, lambda: example.image))


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

        selected = tf.random.stateless_uniform([], of_keeping) >= self.random_coef
        return example._replace(image=tf.cond(selected, encoded, lambda: image))


def _between(values, low, high):
    """[n, len(values)] bool: low[i] <= value < high[i]."""
    return (values >= low[:, tf.newaxis]) & (values < high[:, tf.newaxis])


def cast_like(image: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Cast values of 0..255 to the type of an image; rounded and clipped for uint8."""
    if image.dtype == tf.uint8:
        values = tf.clip_by_value(tf.round(values), 0.0, 255.0)
    return tf.cast(values, image.dtype)
