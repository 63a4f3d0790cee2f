"""The size that an image file states in its header, read before any memory is taken for its pixels.

A file of a hundred bytes can state a million rows of a million pixels. Decoders that believe it
allocate terabytes, so every file of a record is held against `MAX_PIXELS` first.
"""

import functools

import tensorflow as tf

# 2^29 bytes as RGB: the size at which TensorFlow refuses PNG files and Pillow any file.
MAX_PIXELS = 2**29 // 3
JPEG_XL = "JPEG XL is not read; store the image as JPEG or PNG"
TOO_MANY_PIXELS = (
    f"its header states {{}} x {{}} pixels (height x width); at most {MAX_PIXELS} pixels are read"
)

_PNG, _JPEG, _GIF, _BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM"


def stated_size(encoded: tf.Tensor) -> tf.Tensor:
    """Return the size that an image file states.

    Args:
        encoded: string scalar, the bytes of a JPEG, PNG, GIF, BMP or WebP file.

    Returns:
        [2] int64 (height, width); numbers without meaning for a file of another format, which
        TensorFlow does not decode.

    Raises:
        tf.errors.InvalidArgumentError: a JPEG file without a readable header.
    """
    is_jpeg, is_png = _begins(encoded, _JPEG), _begins(encoded, _PNG)
    kind = tf.where(is_png, 2, tf.cast(is_jpeg, tf.int32))
    branches = [
        lambda: _of_rarer(encoded),
        lambda: tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64),
        lambda: _of_pngs(encoded),
    ]
    return tf.ensure_shape(tf.switch_case(kind, branches), [2])


def stated_sizes(encoded: tf.Tensor) -> tf.Tensor:
    """Return the sizes [g, 2] int64 (height, width) of files [g]; errors as of `stated_size`."""

    def one_by_one():
        return tf.map_fn(stated_size, encoded, fn_output_signature=tf.TensorSpec([2], tf.int64))

    # Most masks are PNG files: their headers are read in one step.
    are_pngs = tf.reduce_all(_begins(encoded, _PNG))
    return tf.ensure_shape(tf.cond(are_pngs, lambda: _of_pngs(encoded), one_by_one), [None, 2])


def is_jpeg_xl(encoded: tf.Tensor) -> tf.Tensor:
    """Return whether files [...] are JPEG XL, whose sizes are not read: bool [...].

    TensorFlow reads such files since 2.21; TFOD never did.
    """
    return _begins(encoded, b"\xff\x0a") | _begins(encoded, b"\x00\x00\x00\x0cJXL ")


def has_too_many_pixels(size: tf.Tensor) -> tf.Tensor:
    """Return whether sizes [..., 2] int64 (height, width) go beyond `MAX_PIXELS`, as bool [...]."""
    height, width = tf.unstack(size, axis=-1)
    # Each side first: their product may not fit into 64 bits.
    return (height > MAX_PIXELS) | (width > MAX_PIXELS) | (height * width > MAX_PIXELS)


def decode_image(encoded: bytes) -> tf.Tensor:
    """Decode an image file of a foreign source eagerly.

    Returns:
        [h, w, 3] uint8.

    Raises:
        ValueError: the file cannot be decoded, or states more than `MAX_PIXELS` pixels.
    """
    try:
        if is_jpeg_xl(tf.constant(encoded)):
            raise ValueError(JPEG_XL)
        size = stated_size(tf.constant(encoded))
        if not has_too_many_pixels(size):
            return tf.io.decode_image(encoded, channels=3, expand_animations=False)
    # TensorFlow quotes raw bytes in some of its messages, which then are no text.
    except (tf.errors.OpError, UnicodeError, ValueError, MemoryError) as error:
        raise ValueError(sentence_of(error)) from error
    raise ValueError(TOO_MANY_PIXELS.format(*size.numpy()))


def sentence_of(error: Exception) -> str:
    """Return what an error of TensorFlow says, without the names of nodes and files around it."""
    if isinstance(error, UnicodeDecodeError):
        text = bytes(error.object).decode("utf-8", "backslashreplace")
    else:
        text = getattr(error, "message", None) or str(error) or type(error).__name__
    return text.split("}} ")[-1].split(" [Op:")[0].split("\n")[0][:_SENTENCE]


_SENTENCE = 200  # characters: TensorFlow quotes whole records


def _begins(encoded, start):
    return tf.strings.substr(encoded, 0, len(start)) == start


def _head(encoded, size, kind, little_endian=True):
    """Numbers of the first `size` bytes of files [...]: [..., n] int64; zeros after a file's end.

    The files' kind of number is int32 or uint8, and int32 loses its sign.
    """
    head = tf.strings.substr(encoded, 0, size)
    numbers = tf.io.decode_raw(head, kind, little_endian=little_endian, fixed_length=size)
    numbers = tf.cast(numbers, tf.int64)
    return numbers % 2**32 if kind == tf.int32 else numbers


def _of_pngs(encoded):
    """[..., 2] int64 of PNG files: bytes 16 to 24 are width and height, the highest byte first."""
    return _head(encoded, 24, tf.int32, little_endian=False)[..., 5:3:-1]


@functools.partial(
    tf.function,
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
    experimental_attributes={"_noinline": True},  # costs nothing where it is not called
)
def _of_rarer(encoded):
    """[2] int64 of a GIF, BMP or WebP file."""
    octets = _head(encoded, _LONGEST_GIF_HEAD, tf.uint8)

    def number(at, size=2):  # the lowest byte first
        places = 256 ** tf.range(size, dtype=tf.int64)
        return tf.reduce_sum(octets[at : at + size] * places)

    # Rows of BMP files may be stored from the top, which a negative height says.
    height = number(22, 4)
    bmp = [tf.where(height < 2**31, height, 2**32 - height), number(18, 4)]
    sizes = [
        (_begins(encoded, _GIF), _of_gif(octets, number)),
        (_begins(encoded, _BMP), tf.stack(bmp)),
    ]
    size = _of_webp(octets, number)
    for is_it, its_size in sizes:
        size = tf.where(is_it, its_size, size)
    return size


# Header, table of 256 colors, two extensions (how often to repeat, and of the first image), and the
# description of the first image.
_LONGEST_GIF_HEAD = 13 + 3 * 256 + 19 + 8 + 10
_REPEAT, _CONTROL, _IMAGE = (0x21, 0xFF), (0x21, 0xF9), 0x2C


def _of_gif(octets, number):
    """The larger sides of the screen and of the first image, where the usual writers put it."""
    at = 13 + tf.where(octets[10] >= 128, 3 * 2 ** (octets[10] % 8 + 1), 0)
    for mark, length in ((_REPEAT, 19), (_CONTROL, 8)):
        is_there = (octets[at] == mark[0]) & (octets[at + 1] == mark[1])
        at += tf.where(is_there, tf.constant(length, tf.int64), 0)
    screen = tf.stack([number(8), number(6)])
    image = tf.stack([number(at + 7), number(at + 5)])
    return tf.where(octets[at] == _IMAGE, tf.maximum(screen, image), screen)


def _of_webp(octets, number):
    lossless = number(21, 4)
    kind = octets[15]  # the last letter of VP8X, VP8L or "VP8 "
    extended = tf.stack([number(27, 3), number(24, 3)]) + 1
    lossless = tf.stack([lossless // 2**14 % 2**14, lossless % 2**14]) + 1
    plain = tf.stack([number(28), number(26)]) % 2**14
    return tf.where(kind == ord("X"), extended, tf.where(kind == ord("L"), lossless, plain))
