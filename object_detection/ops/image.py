"""Resizing images to the size the model sees.

A resizer is a callable `(image [h, w, 3]) -> (resized [H, W, 3] float32, true_shape [2] int32)`. It
also takes images of one size at once, [B, h, w, 3], which gives [B, H, W, 3] and one true shape.
Where it pads, `true_shape` is the (height, width) before padding, and the padding lies below and on
the right. One structure for each message of TFOD's `image_resizer.proto`; sizes may be known only
when the graph runs.

Masks are never resized: `ops.masks` reads their targets straight from the stored masks.

Kept from TFOD, because published weights were trained so: TensorFlow 1's sampling (pixel corners,
no half-pixel centers, no antialiasing), its roundings, and aligned corners in `ConditionalShape`
alone. Changed: `grayscale` gives three equal channels where TFOD gives one, which its Keras
backbones refuse.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

Resizer = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

BILINEAR = "BILINEAR"
NEAREST_NEIGHBOR = "NEAREST_NEIGHBOR"
BICUBIC = "BICUBIC"
AREA = "AREA"

_RESIZE_OPS = {
    BILINEAR: tf.raw_ops.ResizeBilinear,
    NEAREST_NEIGHBOR: tf.raw_ops.ResizeNearestNeighbor,
    BICUBIC: tf.raw_ops.ResizeBicubic,
    AREA: tf.raw_ops.ResizeArea,
}

_GRAY_WEIGHTS = (
    0.2989,
    0.5870,
    0.1140,
)  # luma of ITU-R BT.601, as tf.image.rgb_to_grayscale has it


@dataclass(frozen=True)
class KeepAspectRatio:
    """Scales until one side reaches its bound; no side exceeds its bound.

    The short side is bound by `min_dimension` and the long one by `max_dimension`. A square image
    counts as a portrait. With `pad_to_max_dimension` the result is a square of `max_dimension`.
    """

    min_dimension: int
    max_dimension: int
    method: str = BILINEAR
    pad_to_max_dimension: bool = False
    pad_value: tuple[float, float, float] = (0.0, 0.0, 0.0)
    grayscale: bool = False

    @property
    def static_shape(self):
        """(height, width) of every result; None where it depends on the image."""
        side = self.max_dimension if self.pad_to_max_dimension else None
        return side, side

    def true_shape(self, height, width):
        """(height, width) that an image of this size gets, before padding; int32 scalars."""
        height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        low, high = float(self.min_dimension), float(self.max_dimension)
        landscape = height < width
        scale = tf.minimum(
            tf.where(landscape, low, high) / height, tf.where(landscape, high, low) / width
        )
        # An extremely long image must not lose its short side to the rounding.
        rounded = (tf.maximum(tf.round(scale * side), 1.0) for side in (height, width))
        return tuple(tf.cast(side, tf.int32) for side in rounded)

    def __call__(self, image):
        size = self.true_shape(*_size_of(image))
        resized = resize(image, size, method=self.method, grayscale=self.grayscale)
        if self.pad_to_max_dimension:
            resized = pad(resized, self.static_shape, self.pad_value)
        return resized, tf.stack(size)


@dataclass(frozen=True)
class FixedShape:
    """Stretches every image to one size."""

    height: int
    width: int
    method: str = BILINEAR
    grayscale: bool = False

    @property
    def static_shape(self):
        """(height, width) of every result."""
        return self.height, self.width

    def true_shape(self, height, width):
        """(height, width) that an image of this size gets; int32 scalars."""
        del height, width
        return tf.constant(self.height), tf.constant(self.width)

    def __call__(self, image):
        resized = resize(image, self.static_shape, method=self.method, grayscale=self.grayscale)
        shape = tf.TensorShape([None] * (resized.shape.rank - 3)).concatenate(self.static_shape)
        return tf.ensure_shape(resized, shape.concatenate([3])), tf.constant(self.static_shape)


@dataclass(frozen=True)
class ConditionalShape:
    """Scales an image only where it is larger (`shrink`) or smaller (not `shrink`) than
    `threshold`.

    Larger is decided by the long side and smaller by the short one; that side then becomes
    `threshold`.
    """

    threshold: int
    shrink: bool
    method: str = BILINEAR
    grayscale: bool = False

    @property
    def static_shape(self):
        """(None, None): the result's size depends on the image."""
        return None, None

    def true_shape(self, height, width):
        """(height, width) that an image of this size gets; int32 scalars, fractions cut off."""
        if self.shrink:
            side = tf.maximum(height, width)
            target = tf.minimum(side, self.threshold)
        else:
            side = tf.minimum(height, width)
            target = tf.maximum(side, self.threshold)
        ratio = tf.cast(target, tf.float32) / tf.cast(side, tf.float32)
        scaled = (tf.cast(length, tf.float32) * ratio for length in (height, width))
        return tuple(tf.maximum(tf.cast(length, tf.int32), 1) for length in scaled)

    def __call__(self, image):
        size = self.true_shape(*_size_of(image))
        resized = resize(
            image, size, method=self.method, grayscale=self.grayscale, align_corners=True
        )
        return resized, tf.stack(size)


@dataclass(frozen=True)
class PadToMultiple:
    """Pads both sides with zeros up to the next multiple, without scaling."""

    multiple: int
    grayscale: bool = False

    @property
    def static_shape(self):
        """(None, None): the result's size depends on the image."""
        return None, None

    def true_shape(self, height, width):
        """The image's own (height, width); int32 scalars."""
        return tf.cast(height, tf.int32), tf.cast(width, tf.int32)

    def __call__(self, image):
        size = _size_of(image)
        padded_size = tuple(-(-side // self.multiple) * self.multiple for side in size)
        return pad(as_float(image, grayscale=self.grayscale), padded_size), tf.stack(size)


@dataclass(frozen=True)
class Identity:
    """Leaves the image at its size."""

    @property
    def static_shape(self):
        """(None, None): the result's size is the image's."""
        return None, None

    def true_shape(self, height, width):
        """The image's own (height, width); int32 scalars."""
        return tf.cast(height, tf.int32), tf.cast(width, tf.int32)

    def __call__(self, image):
        return as_float(image), tf.stack(_size_of(image))


def resize(image, size, *, method=BILINEAR, grayscale=False, align_corners=False):
    """Resizes as TensorFlow 1 did.

    Args:
        image: [h, w, 3] or [B, h, w, 3], uint8 or float32, values 0..255.
        size: (height, width), ints or int32 scalars.
        method: a key of TFOD's ResizeType.
        grayscale: whether to replace the three channels by their luma.
        align_corners: whether the corner pixels of source and result coincide.

    Returns:
        [height, width, 3] float32, or [B, height, width, 3].
    """
    image = tf.cast(image, tf.float32)  # resized faster than uint8
    single = image.shape.rank == 3
    size = tf.cast(tf.stack(size), tf.int32)
    images = image[tf.newaxis] if single else image
    resized = _RESIZE_OPS[method](images=images, size=size, align_corners=align_corners)
    return as_float(resized[0] if single else resized, grayscale=grayscale)


def pad(image, size, value=(0.0, 0.0, 0.0)):
    """Pads [..., h, w, 3] float32 below and on the right to `size` (height, width)."""
    height, width = _size_of(image)
    amounts = [[0, size[0] - height], [0, size[1] - width], [0, 0]]
    batch = image.shape.rank - 3
    padded = tf.pad(image, [[0, 0]] * batch + amounts)
    if any(value):
        inside = tf.pad(tf.ones([height, width, 1], tf.bool), amounts)
        padded = tf.where(inside, padded, value)
    static = [side if isinstance(side, int) else None for side in size]
    return tf.ensure_shape(padded, [*[None] * batch, *static, 3])


def as_float(image, *, grayscale=False):
    """Return [..., 3] float32 of any image; with `grayscale` its luma in three channels."""
    image = tf.cast(image, tf.float32)
    if grayscale:
        luma = tf.tensordot(image, tf.constant(_GRAY_WEIGHTS), [[-1], [0]])
        image = tf.repeat(luma[..., tf.newaxis], 3, axis=-1)
    return image


def _size_of(image):
    """(height, width) of [..., h, w, 3] as int32 scalars."""
    shape = tf.shape(image)
    return shape[-3], shape[-2]
