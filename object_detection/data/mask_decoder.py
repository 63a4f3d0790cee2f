"""Instance masks of a record, decoded to uint8 of 0 and 1 at the size they were stored in."""

from typing import NamedTuple

import tensorflow as tf

from object_detection.data import native_masks
from object_detection.structures.batch import CroppedMasks

# Where a PNG file holds its bit depth (1 byte) and color type (1 byte: 0 is gray).
_PNG_FORMAT_AT = 24
_PNG_HEADER_BYTES = 33


class MaskDecodeOptions(NamedTuple):
    """How masks are decoded; their content is the same with all options."""

    native: bool = False  # whether `native_masks` may decode; the graph is bound to this process
    crop: bool = False  # whether masks are cropped to their objects, or left whole


_DEFAULT = MaskDecodeOptions()


def decode_png_masks(
    encoded: tf.Tensor, image_size: tuple, options: MaskDecodeOptions = _DEFAULT
) -> CroppedMasks:
    """Decode masks stored as one encoded image for each object; every pixel not black counts.

    Args:
        encoded: [g] strings, usually PNG with one channel of 0/1 or 0/255. Color, palette and
            16-bit images are accepted too; their alpha channel is ignored.
        image_size: (height, width) of the masks where there is no object.
        options: how to decode.

    Raises:
        tf.errors.InvalidArgumentError: where a mask cannot be decoded, or their sizes differ.
    """
    return _decode(encoded, encoded, lambda decode: decode, image_size, options, [encoded])


def decode_box_masks(
    encoded: tf.Tensor,
    top: tf.Tensor,
    left: tf.Tensor,
    image_size: tuple,
    options: MaskDecodeOptions = _DEFAULT,
) -> CroppedMasks:
    """Decode masks stored as the part that the object fills, and its position in the image.

    Args:
        encoded: [g] strings, as in `decode_png_masks` but of any sizes.
        top, left: [g] int32, the row and column in the image of each one's first pixel.
        image_size: (height, width), int32 scalars.
        options: how to decode.

    Returns:
        The same as `decode_png_masks` of the whole masks.

    Raises:
        tf.errors.InvalidArgumentError: where a mask cannot be decoded, or reaches out of the image.
    """

    def placed(decode):
        def place(one):
            part, row, column = decode(one[0]), one[1], one[2]
            below = image_size[0] - row - tf.shape(part)[0]
            right = image_size[1] - column - tf.shape(part)[1]
            return tf.pad(part, [[row, below], [column, right]])

        return place

    corners = tf.cast(tf.stack([top, left], axis=1), tf.int64)
    natives = [encoded, corners, tf.stack(image_size)]
    return _decode(encoded, (encoded, top, left), placed, image_size, options, natives)


def crop_masks(masks: tf.Tensor) -> CroppedMasks:
    """Crop whole masks [g, h, w] uint8 of 0 and 1 to their objects."""
    shape = tf.shape(masks)
    starts, sides = [], []
    for axis in (1, 2):
        filled = tf.reduce_max(masks, axis=3 - axis)  # [g, length]
        first, last = (
            tf.argmax(values, axis=1, output_type=tf.int32)
            for values in (filled, tf.reverse(filled, [1]))
        )
        extent = tf.where(tf.reduce_max(filled, axis=1) > 0, shape[axis] - last - first, 1)
        side = tf.reduce_max(extent)
        side = tf.where(shape[0] > 0, tf.minimum(side, shape[axis]), 1)
        starts.append(tf.minimum(first, shape[axis] - side))
        sides.append(side)

    def window(one):
        mask, top, left = one
        return mask[top : top + sides[0], left : left + sides[1]]

    spec = tf.TensorSpec([None, None], tf.uint8)
    windows = tf.cond(
        shape[0] > 0,
        lambda: tf.map_fn(window, (masks, *starts), fn_output_signature=spec),
        lambda: tf.zeros([0, 1, 1], tf.uint8),
    )
    windows = tf.ensure_shape(windows, [None] * 3)
    return CroppedMasks(windows, shape[1:], tf.stack(starts, axis=1))


def empty_masks(
    count: tf.Tensor | int, image_size: tuple, options: MaskDecodeOptions = _DEFAULT
) -> CroppedMasks:
    """Return masks of zeros, for objects without masks.

    Args:
        count: number of objects, int32 scalar.
        image_size: (height, width) of the image, int32 scalars.
        options: with `crop` the rectangles have one pixel.
    """
    shape = tf.stack(image_size)
    if not options.crop:
        return CroppedMasks(tf.zeros([count, *image_size], tf.uint8), shape)
    pixels, origin = tf.zeros([count, 1, 1], tf.uint8), tf.zeros([count, 2], tf.int32)
    return CroppedMasks(pixels, shape, origin)


def is_product(values, count, size):
    """Return whether the values make `count` masks of this size; all int32 scalars, bool."""
    height, width = (tf.cast(side, tf.int64) for side in size)
    pixels = tf.minimum(height * width, tf.int32.max)  # with the count, a product of 62 bits
    return tf.cast(values, tf.int64) == tf.cast(count, tf.int64) * pixels


def decode_numerical_masks(values, count, stored_size, image_size):
    """Decode masks stored as one list of numbers, object by object and row by row.

    Args:
        values: [count * h * w] float32; above 0 is the object.
        count: number of objects, int32 scalar.
        stored_size: (height, width) the record states, int32 scalars. Records without them are read
            with the size of the image.
        image_size: (height, width) of the image, int32 scalars.

    Returns:
        [count, h, w] uint8 of 0 and 1.
    """
    stated = is_product(tf.size(values), count, stored_size) & (count > 0)
    size = tf.where(stated, tf.stack(stored_size), tf.stack(image_size))
    masks = tf.cast(values > 0, tf.uint8)
    return tf.reshape(masks, tf.concat([[count], size], axis=0))


def _decode(encoded, elements, with_decoder, image_size, options, natives):
    """`CroppedMasks` by the library from the arguments `natives`, else by TensorFlow."""

    def by_tensorflow():
        masks = _decode_any_number(encoded, elements, with_decoder, image_size)
        return crop_masks(masks) if options.crop else CroppedMasks.from_whole(masks)

    if not options.native:
        return by_tensorflow()
    if options.crop:
        types = [tf.uint8, tf.int32, tf.int32]
        pixels, origin, shape = tf.numpy_function(
            native_masks.decode_cropped, natives, types, stateful=False
        )
        pixels.set_shape([None] * 3)
        origin.set_shape([None, 2])
        shape.set_shape([2])
        decoded = CroppedMasks(pixels, shape, origin)
    else:
        pixels = tf.numpy_function(native_masks.decode, natives, tf.uint8, stateful=False)
        pixels.set_shape([None] * 3)
        decoded = CroppedMasks.from_whole(pixels)
    return tf.cond(tf.shape(pixels)[0] > 0, lambda: decoded, by_tensorflow)


def _are_plain(encoded):
    """Whether all masks are gray PNGs of at most 8 bits."""
    long_enough = tf.reduce_all(tf.strings.length(encoded) >= _PNG_HEADER_BYTES)

    def check():
        stored = tf.io.decode_raw(tf.strings.substr(encoded, _PNG_FORMAT_AT, 2), tf.uint8)
        return tf.reduce_all((stored[:, 0] <= 8) & (stored[:, 1] == 0))

    return tf.cond(long_enough, check, lambda: False)


def _decode_any_number(encoded, elements, with_decoder, image_size):
    """[g, h, w] uint8 of `elements`, [0, *image_size] where there is none.

    `with_decoder` makes the function of one element, given the one that decodes its PNG.
    """

    def decode_each(decode):
        spec = tf.TensorSpec([None, None], tf.uint8)
        masks = tf.map_fn(with_decoder(decode), elements, fn_output_signature=spec)
        return tf.minimum(masks, 1)

    masks = tf.cond(
        tf.size(encoded) > 0,
        lambda: tf.cond(
            _are_plain(encoded),
            lambda: decode_each(_decode_gray),
            lambda: decode_each(_decode_any),
        ),
        lambda: tf.zeros([0, image_size[0], image_size[1]], tf.uint8),
    )
    return tf.ensure_shape(masks, [None, None, None])


def decode_file(encoded):
    """Return the mask [h, w] uint8 of 0 and 1 that one file holds; errors as of TensorFlow."""
    plain = _are_plain(encoded[tf.newaxis])
    return tf.minimum(_decode_gray(encoded) if plain else _decode_any(encoded), 1)


def _decode_gray(encoded):
    return tf.io.decode_png(encoded, channels=1)[..., 0]


def _decode_any(encoded):
    # 16 bits keep a 1 of 65535 above zero; images of 8 bits are only scaled up.
    pixels = tf.io.decode_image(encoded, channels=0, dtype=tf.uint16, expand_animations=False)
    channels = tf.shape(pixels)[-1]
    colors = channels - tf.cast((channels == 2) | (channels == 4), tf.int32)
    return tf.cast(tf.reduce_any(pixels[..., :colors] > 0, axis=-1), tf.uint8)
