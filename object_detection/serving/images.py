"""Images as they come over the network: looked at before they are decoded, and never trusted."""

import io

import numpy as np
from PIL import Image

from object_detection.prediction import pixels
from object_detection.serving.limits import Refusal

# Those that photographs come in. Pillow's other decoders, some of which run programs, stay shut.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "MPO")
# What TensorFlow decodes.
_OF_TENSORFLOW = ("JPEG", "PNG", "BMP", "GIF")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "I")
_LEAST_SIDE = 2
_ORIENTATION = 0x0112


def decode(encoded, limits, take=None):
    """The upright pixels of an image file.

    Args:
        encoded: bytes of the file.
        limits: `Limits`.
        take: is told the bytes of the pixels before they are decoded; see `Budget.account`.

    Returns:
        uint8 [h, w, 3].

    Raises:
        Refusal: 400 for what is no whole image, 413 for one that is too large.
    """
    with _opened(encoded, limits) as image:
        if take is not None:
            take(3 * image.width * image.height)
        return _read(lambda: np.asarray(pixels.read(image)))


def decodable(encoded, limits, *, upright=False):
    """A file that TensorFlow's `decode_image` takes, and the size that it will see.

    Args:
        encoded: bytes of an image file.
        limits: `Limits`.
        upright: turn it as its EXIF orientation says, which TensorFlow does not.

    Returns:
        (bytes, (height, width)). The bytes are the file itself where TensorFlow reads it, else PNG.

    Raises:
        Refusal: as `decode`.
    """
    with _opened(encoded, limits) as image:
        return _read(lambda: _decodable(image, encoded, upright))


def check_array(array, limits):
    """Raises `Refusal` unless an array [..., h, w, 3] is of images of a size that is served."""
    if array.ndim < 3 or array.shape[-1] != 3:
        raise Refusal(400, f"an image must be [height, width, 3], got shape {list(array.shape)}")
    _check_size(array.shape[-2], array.shape[-3], limits)


def png_of(array):
    """The bytes of a PNG file of uint8 [h, w, 3]."""
    return _png(array)[0]


def _decodable(image, encoded, upright):
    turned = upright and image.getexif().get(_ORIENTATION, 1) != 1
    if image.format in _OF_TENSORFLOW and image.mode in _MODES and not turned:
        image.load()  # so that one that is cut off does not spoil a batch
        return encoded, (image.height, image.width)
    if not upright:
        image.getexif()[_ORIENTATION] = 1
    return _png(np.asarray(pixels.read(image)))


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", compress_level=1)
    return file.getvalue(), array.shape[:2]


def _opened(encoded, limits):
    """A Pillow image whose header was read, of a size that is served."""
    if not encoded:
        raise Refusal(400, "the image is empty: 0 bytes")
    try:
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise Refusal(413, str(fault)) from None
    except Image.UnidentifiedImageError:
        known = ", ".join(FORMATS[:-1])
        raise Refusal(400, f"not an image: {len(encoded)} bytes that are none of {known}") from None
    except Exception as fault:  # see `_read`
        raise Refusal(400, f"not an image that can be read: {fault}") from None
    _check_size(image.width, image.height, limits)
    return image


def _check_size(width, height, limits):
    if min(width, height) < _LEAST_SIDE:
        raise Refusal(
            400, f"an image of {width} x {height} pixels; the least side is {_LEAST_SIDE}"
        )
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise Refusal(
            413,
            f"an image of {width} x {height} pixels; served are {limits.max_side} on a side and "
            f"{limits.max_pixels} in all (--max_side, --max_pixels)",
        )


def _read(function):
    try:
        return function()
    except Exception as fault:  # Pillow raises whatever broken data lead to
        raise Refusal(400, f"an image that cannot be read: {fault}") from None
