"""AutoAugment's steps that change pixels where they are: of a uint8 image, by a share 0..1.

Each step is `(image [h, w, 3] uint8, share, seed) -> image`; the share of its range is a number.
"""

import tensorflow as tf

from object_detection.data.augment_color import gray

GREY = 128  # of what is put over or laid bare


def auto_contrast(image, share, seed):
    """Stretches each channel to 0..255."""
    del share, seed
    pixels = tf.cast(image, tf.float32)
    low, high = (reduce(pixels, axis=[0, 1]) for reduce in (tf.reduce_min, tf.reduce_max))
    stretched = 255.0 * tf.math.divide_no_nan(pixels - low, high - low)
    return tf.where(high > low, _whole(stretched), image)


def equalize(image, share=0.0, seed=None):
    """Spreads each channel's values evenly over 0..255."""
    del share, seed
    return tf.stack([_equalized(channel) for channel in tf.unstack(image, axis=-1)], axis=-1)


def posterize(image, share, seed):
    """Keeps the upper bits, at most 4, at least 1."""
    del seed
    bits = max(int(share * 4), 1)
    return tf.bitwise.bitwise_and(image, tf.constant(256 - 2 ** (8 - bits), tf.uint8))


def solarize(image, share, seed):
    """Inverts values from a threshold on."""
    del seed
    return tf.where(tf.cast(image, tf.int32) < int(share * 256), image, 255 - image)


def solarize_add(image, share, seed):
    """Adds up to 110 to dark values."""
    del seed
    more = tf.minimum(tf.cast(image, tf.int32) + int(share * 110), 255)
    return tf.where(image < 128, tf.cast(more, tf.uint8), image)


def colour(image, share, seed):
    """Less or more colour."""
    del seed
    return _blend(gray(image), image, share)


def contrast(image, share, seed):
    """Less or more distance from the mean luma."""
    del seed
    mean = tf.reduce_mean(tf.cast(gray(image), tf.float32))
    return _blend(mean, image, share)


def brightness(image, share, seed):
    """Darker or brighter."""
    del seed
    return _blend(tf.zeros_like(image), image, share)


def sharpness(image, share, seed):
    """Blurred or sharpened; the outermost pixels stay."""
    del seed
    kernel = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32) / 13.0
    kernel = tf.tile(kernel[:, :, tf.newaxis, tf.newaxis], [1, 1, 3, 1])
    pixels = tf.cast(image, tf.float32)
    smooth = tf.nn.depthwise_conv2d(pixels[tf.newaxis], kernel, [1, 1, 1, 1], "SAME")[0]
    shape = tf.shape(image)
    inner = tf.pad(tf.ones([shape[0] - 2, shape[1] - 2, 1], tf.bool), [[1, 1], [1, 1], [0, 0]])
    return _blend(tf.where(inner, smooth, pixels), image, share)


def cutout(image, share, seed):
    """A grey square of up to 200 pixels around a random pixel."""
    return cut(image, int(share * 100), tf.random.stateless_uniform([2], seed))


def cut(image, half, place):
    """The image with grey up to `half` pixels beside its pixel at `place` ([2] of 0..1)."""
    shape = tf.shape(image)[:2]
    centre = tf.cast(place * tf.cast(shape, tf.float32), tf.int32)
    half = tf.broadcast_to(half, [2])
    rows, columns = (
        (tf.range(shape[axis]) >= centre[axis] - half[axis])
        & (tf.range(shape[axis]) < centre[axis] + half[axis])
        for axis in (0, 1)
    )
    inside = (rows[:, tf.newaxis] & columns[tf.newaxis])[..., tf.newaxis]
    return tf.where(inside, tf.constant(GREY, image.dtype), image)


STEPS = {
    "AutoContrast": auto_contrast,
    "Equalize": equalize,
    "Posterize": posterize,
    "Solarize": solarize,
    "SolarizeAdd": solarize_add,
    "Color": colour,
    "Contrast": contrast,
    "Brightness": brightness,
    "Sharpness": sharpness,
    "Cutout": cutout,
}


def _blend(plain, image, share):
    """From `plain` towards the image and beyond: 0.1 of the way for a share of 0, 1.9 for 1."""
    plain, image = tf.cast(plain, tf.float32), tf.cast(image, tf.float32)
    return _whole(plain + (share * 1.8 + 0.1) * (image - plain))


def _whole(pixels):
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)


def _equalized(channel):
    values = tf.cast(channel, tf.int32)
    counts = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    last = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0))
    step = (tf.reduce_sum(counts) - counts[last]) // 255
    table = (tf.cumsum(counts, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.cast(tf.minimum(table, 255), tf.uint8)
    return tf.where(step > 0, tf.gather(table, values), channel)
