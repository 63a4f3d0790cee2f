"""Changes of an image's size. Boxes are fractions of it and stay; masks keep their own size.

Sampled as TFOD does, by TensorFlow 1's rules. Only where a picture shrinks onto a larger canvas are
masks made smaller with it, by nearest neighbors: kept, they would grow by the canvas.
"""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.data.augment.color import cast_like
from object_detection.data.augment.crop import Color, mean_color
from object_detection.data.augment.geometry import (
    drop_outside,
    drop_vanished,
    keep_visible,
    take_window,
)
from object_detection.ops import image as image_ops

# In TFOD's order.
_METHODS = (
    image_ops.BILINEAR,
    image_ops.NEAREST_NEIGHBOR,
    image_ops.BICUBIC,
    image_ops.AREA,
)


@dataclass(frozen=True)
class RandomImageScale:
    """Scales the image by `min_scale_ratio` to `max_scale_ratio`."""

    min_scale_ratio: float
    max_scale_ratio: float

    def __call__(self, example, seed):
        scale = tf.random.stateless_uniform([], seed, self.min_scale_ratio, self.max_scale_ratio)
        size = scaled_size(example.image, scale)
        return example._replace(image=resize_image(example.image, size, align_corners=True))


@dataclass(frozen=True)
class ResizeImage:
    """Stretches the image to one size."""

    height: int
    width: int
    method: str = image_ops.BILINEAR

    def __call__(self, example, seed):
        del seed
        size = (self.height, self.width)
        return example._replace(image=resize_image(example.image, size, self.method))


@dataclass(frozen=True)
class RandomResizeMethod:
    """Stretches the image to one size with one of four resampling methods."""

    height: int
    width: int

    def __call__(self, example, seed):
        size = (self.height, self.width)
        methods = [
            lambda method=method: resize_image(example.image, size, method) for method in _METHODS
        ]
        index = tf.random.stateless_uniform([], seed, 0, len(methods), tf.int32)
        return example._replace(image=tf.switch_case(index, methods))


@dataclass(frozen=True)
class RandomDownscaleToTargetPixels:
    """Makes an image of more pixels smaller, to `min_pixels` up to less than `max_pixels`.

    `random_coef` is the probability of leaving it as it is.
    """

    random_coef: float
    min_pixels: int
    max_pixels: int

    def __call__(self, example, seed):
        of_keeping, of_size = tf.unstack(tf.random.split(seed, 2))
        highest = max(self.max_pixels, self.min_pixels + 1)
        target = tf.random.stateless_uniform([], of_size, self.min_pixels, highest, tf.int32)
        pixels = tf.reduce_prod(tf.shape(example.image)[:2])
        scale = tf.sqrt(tf.cast(target, tf.float32) / tf.cast(pixels, tf.float32))
        selected = tf.random.stateless_uniform([], of_keeping) >= self.random_coef
        image = tf.cond(
            selected & (pixels > target),
            lambda: resize_image(example.image, scaled_size(example.image, scale)),
            lambda: example.image,
        )
        return example._replace(image=image)


@dataclass(frozen=True)
class RandomScaleCropAndPadToSquare:
    """Scales the image to `scale_min` to `scale_max` times a square, and shows a square of it.

    What is larger than the square is cropped at a random place, what is smaller lies in its upper
    left corner, with black around it. Objects are clipped to the square, those outside dropped.
    """

    output_size: int
    scale_min: float
    scale_max: float

    def __call__(self, example, seed):
        seeds = tf.unstack(tf.random.split(seed, 2))
        scale = tf.random.stateless_uniform([], seeds[0], self.scale_min, self.scale_max)
        shape = tf.cast(tf.shape(example.image)[:2], tf.float32)
        size = tf.cast(scale * self.output_size * shape / tf.reduce_max(shape), tf.int32)
        size = tf.maximum(size, 1)
        space = tf.cast(tf.maximum(size - self.output_size, 0), tf.float32)
        offset = tf.cast(space * tf.random.stateless_uniform([2], seeds[1]), tf.int32)
        return scale_and_crop(example, size, offset, tf.fill([2], self.output_size))


@dataclass(frozen=True)
class LargeScaleJitter:
    """Zooms in or out by a factor of `scale_min` to `scale_max`; the image keeps its shape.

    Above 1 a part of the image is taken, at a random place and in its own pixels: the model's
    resizer enlarges it. Below 1 the image shrinks, onto a canvas of its former size. So nothing is
    ever larger than the record's image. What is cut gets a new box from what is seen of its mask,
    and is dropped where that is nothing, or less than `min_visible` of it.

    Attributes:
        random_coef: the probability of leaving the image as it is.
        color: of the canvas, 0..255; None is the image's mean.
    """

    scale_min: float = 0.1
    scale_max: float = 2.0
    min_visible: float = 0.0
    random_coef: float = 0.0
    color: Color = None

    def __call__(self, example, seed):
        of_keeping, of_scale, of_place = tf.unstack(tf.random.split(seed, 3))
        scale = tf.random.stateless_uniform([], of_scale, self.scale_min, self.scale_max)
        place = tf.random.stateless_uniform([2], of_place)
        selected = tf.random.stateless_uniform([], of_keeping) >= self.random_coef
        return tf.cond(selected, lambda: self.zoom(example, scale, place), lambda: example)

    def zoom(self, example, scale, place):
        """Zoom the example; `place` [2] of 0..1 is where its part, or its canvas, begins."""
        shape = tf.shape(example.image)[:2]

        def part():
            extent = tf.minimum(scaled_size(example.image, 1.0 / scale), shape)
            corner = tf.cast(place * tf.cast(shape - extent + 1, tf.float32), tf.int32)
            taken = take_window(example, corner, extent)
            return keep_visible(example, taken, self.min_visible)

        def smaller():
            size = tf.minimum(scaled_size(example.image, scale), shape)
            offset = -tf.cast(place * tf.cast(shape - size + 1, tf.float32), tf.int32)
            fill = mean_color(example.image) if self.color is None else self.color
            taken = scale_onto(example, size, offset, shape, image_ops.AREA, fill)
            return drop_vanished(example, taken)

        return tf.cond(scale > 1.0, part, smaller)


def scale_and_crop(example, size, offset, extent):
    """Scale an example's image to a size, and take a rectangle of it.

    Args:
        example: `Example`.
        size: [2] int32 (height, width) that the whole image gets.
        offset: [2] int32 (y, x) of the rectangle's first pixel, in pixels of the scaled image.
        extent: [2] int32 (height, width) of the rectangle.

    Returns:
        `Example` of `extent` pixels, black beyond the image; its boxes are clipped, and objects
        outside dropped.
    """
    return drop_outside(scale_onto(example, size, offset, extent))


def scale_onto(example, size, offset, extent, method=image_ops.BILINEAR, fill=None):
    """Do `scale_and_crop`, but keep all objects, and do not clip boxes."""
    image = resize_image(example.image, size, method)
    masks = example.masks
    if masks is not None:
        masks = masks.with_whole(resize_masks(masks.pixels, tf.minimum(size, masks.shape)))
    return take_window(example._replace(image=image, masks=masks), offset, extent, fill)


def resize_masks(masks, size):
    """Resize masks [g, height, width] by the pixel under the middle of each new one."""

    def sampled():
        maps = tf.raw_ops.ResizeNearestNeighbor(
            images=masks[..., tf.newaxis], size=size, half_pixel_centers=True
        )
        return maps[..., 0]

    same = tf.reduce_all(tf.shape(masks)[1:] == size)
    nothing = tf.zeros([0, size[0], size[1]], masks.dtype)
    empty = tf.shape(masks)[0] == 0
    return tf.cond(same, lambda: masks, lambda: tf.cond(empty, lambda: nothing, sampled))


def resize_image(image, size, method=image_ops.BILINEAR, align_corners=False):
    """Resize an image to a size ([2] or (height, width)), in the image's type."""
    size = tf.unstack(size) if isinstance(size, tf.Tensor) else size
    pixels = image_ops.resize(image, size, method=method, align_corners=align_corners)
    return cast_like(image, pixels)


def scaled_size(image, scale):
    """Return [2] int32 (height, width) of an image times a scale, rounded down, at least 1."""
    size = tf.cast(tf.shape(image)[:2], tf.float32) * scale
    return tf.maximum(tf.cast(size, tf.int32), 1)
