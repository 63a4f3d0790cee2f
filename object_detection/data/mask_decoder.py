"""Instance masks of a record, decoded to uint8 of 0 and 1 at the size they were stored in."""

from typing import NamedTuple

import tensorflow as tf

from object_detection.data import native_masks

# Where a PNG file holds its bit depth (1 byte) and color type (1 byte: 0 is gray).
_PNG_FORMAT_AT = 24
_PNG_HEADER_BYTES = 33


class Cut(NamedTuple):
    """Masks of an image, each cut to a rectangle that holds its object."""

    masks: tf.Tensor  # [g, h, w] uint8, zeros where it ends before
    origin: tf.Tensor  # [g, 2] int32 (row, column) of its first pixel in the whole mask
    shape: tf.Tensor  # [2] int32 (height, width) of the whole masks


class Way(NamedTuple):
    """How PNG files are decoded: the masks are the same."""

    native: bool = (
        False  # whether `native_masks` may do it; such a graph runs in this process alone
    )
    cut: bool = False  # whether the result is a `Cut`


_BY_TENSORFLOW = Way()


def decode_png_masks(encoded, image_size, way=_BY_TENSORFLOW):
    """Masks stored as one encoded image for each object; whatever is not black is the object.

    Args:
        encoded: [g] strings, usually PNG with one channel of 0/1 or 0/255. Colour, palette and
            16-bit images are taken too; their alpha channel does not count.
        image_size: (height, width) of the result where there is no object.
        way: the `Way`.

    Returns:
        [g, h, w] uint8 of 0 and 1, or a `Cut`.

    Raises:
        tf.errors.InvalidArgumentError: where a mask cannot be decoded, or their sizes differ.
    """
    return _decode(encoded, encoded, lambda decode: decode, image_size, way, [encoded])


def decode_box_masks(encoded, top, left, image_size, way=_BY_TENSORFLOW):
    """Masks stored as the part of them that the object fills, and where in the image it lies.

    Args:
        encoded: [g] strings, as in `decode_png_masks` but of any sizes.
        top, left: [g] int32, the row and column of the image of each one's first pixel.
        image_size: (height, width), int32 scalars.
        way: the `Way`.

    Returns:
        What `decode_png_masks` makes of the whole masks.

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
    return _decode(encoded, (encoded, top, left), placed, image_size, way, natives)


def cut_masks(masks):
    """Whole masks [g, h, w] uint8 of 0 and 1 as a `Cut`."""
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
    return Cut(tf.ensure_shape(windows, [None] * 3), tf.stack(starts, axis=1), shape[1:])


def no_masks(count, image_size, way=_BY_TENSORFLOW):
    """Return what stands for the masks of objects that have none: zeros.

    Args:
        count: number of objects, int32 scalar.
        image_size: (height, width) of the image, int32 scalars.
        way: the `Way`.

    Returns:
        [count, height, width] uint8, or a `Cut` whose parts have one pixel.
    """
    if not way.cut:
        return tf.zeros([count, *image_size], tf.uint8)
    return Cut(
        masks=tf.zeros([count, 1, 1], tf.uint8),
        origin=tf.zeros([count, 2], tf.int32),
        shape=tf.stack(image_size),
    )


def is_product(values, count, size):
    """Return whether the values make `count` masks of this size; all int32 scalars, bool."""
    height, width = (tf.cast(side, tf.int64) for side in size)
    pixels = tf.minimum(height * width, tf.int32.max)  # with the count, a product of 62 bits
    return tf.cast(values, tf.int64) == tf.cast(count, tf.int64) * pixels


def decode_numerical_masks(values, count, stored_size, image_size):
    """Masks stored as one list of numbers, object by object and row by row.

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


def _decode(encoded, elements, with_decoder, image_size, way, natives):
    """What the library makes of the arguments `natives`, else what TensorFlow makes."""

    def by_tensorflow():
        masks = _decode_any_number(encoded, elements, with_decoder, image_size)
        return cut_masks(masks) if way.cut else masks

    if not way.native:
        return by_tensorflow()
    function, types = native_masks.decode, tf.uint8
    if way.cut:
        function, types = native_masks.decode_cut, [tf.uint8, tf.int32, tf.int32]
    found = tf.numpy_function(function, natives, types, stateful=False)
    if way.cut:
        for tensor, shape in zip(found, ([None] * 3, [None, 2], [2]), strict=True):
            tensor.set_shape(shape)
        found = Cut(*found)
        return tf.cond(tf.shape(found.masks)[0] > 0, lambda: found, by_tensorflow)
    found.set_shape([None] * 3)
    return tf.cond(tf.shape(found)[0] > 0, lambda: found, by_tensorflow)


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
    colours = channels - tf.cast((channels == 2) | (channels == 4), tf.int32)
    return tf.cast(tf.reduce_any(pixels[..., :colours] > 0, axis=-1), tf.uint8)
