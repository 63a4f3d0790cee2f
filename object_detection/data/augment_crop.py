"""Random square crops, which may reach beyond the image, of image, boxes and masks together."""

from dataclasses import dataclass

import tensorflow as tf

from object_detection.ops import boxes as box_ops


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
    """The part of an example that a square shows.

    Args:
        example: `Example`.
        corner: [2] int32 (y, x) of the square in pixels of the image; may lie outside.
        side: int32 scalar, of the square in pixels.

    Returns:
        `Example` of side x side pixels, zeros where the square reaches beyond the image.
    """
    shape = tf.shape(example.image)[:2]
    size = tf.cast(tf.tile(shape, [2]), tf.float32)
    start = tf.cast(tf.tile(corner, [2]), tf.float32)
    moved = (example.boxes_normalized * size - start) / tf.cast(side, tf.float32)
    whole = tf.constant([0.0, 0.0, 1.0, 1.0])
    clipped = box_ops.clip(moved, whole)
    seen = tf.where(tf.reduce_all(clipped[:, 2:] > clipped[:, :2], axis=1))[:, 0]
    image = _window(example.image[tf.newaxis], corner, tf.stack([side, side]))[0]
    masks = example.masks
    if masks is not None:  # a mask may be stored at another size than its image
        ratio = tf.cast(tf.shape(masks)[1:], tf.float32) / tf.cast(shape, tf.float32)
        at = tf.cast(tf.round(tf.cast(corner, tf.float32) * ratio), tf.int32)
        extent = tf.cast(tf.round(tf.cast(side, tf.float32) * ratio), tf.int32)
        masks = _window(masks[..., tf.newaxis], at, tf.maximum(extent, 1))[..., 0]
    return example._replace(image=image, boxes_normalized=clipped, masks=masks).select(seen)


def _window(maps, corner, extent):
    """[n, height, width, C] of maps [n, h, w, C] from `corner` on, zeros outside of them."""
    shape = tf.shape(maps)[1:3]
    first = tf.clip_by_value(corner, 0, shape)
    last = tf.clip_by_value(corner + extent, 0, shape)
    inside = maps[:, first[0] : last[0], first[1] : last[1]]
    before = first - corner
    before = tf.where(last > first, before, 0)
    after = extent - before - (last - first)
    rows, columns = (tf.stack([before[axis], after[axis]]) for axis in (0, 1))
    nothing = tf.zeros([2], tf.int32)
    return tf.pad(inside, tf.stack([nothing, rows, columns, nothing]))
