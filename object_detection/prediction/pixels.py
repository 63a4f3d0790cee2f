"""Reads images of any common kind as uint8 RGB, which models take."""

import io
import os
import warnings

import numpy as np
from PIL import Image, ImageOps

from object_detection import addresses
from object_detection.datasets import image_file
from object_detection.errors import ImageError

MAX_PIXELS = image_file.MOST_PIXELS  # of an image file


class FewBitsWarning(UserWarning):
    """A 16-bit image whose values seem to have fewer bits."""


def read(image, *, bit_depth=16):
    """Return the pixels of an image as uint8 [h, w, 3], upright.

    Gray images are repeated over the channels and alpha is dropped, as TensorFlow's decoder does in
    training; of 16 bits the upper 8 are kept, as there. A `FewBitsWarning` is issued if the values
    seem to have fewer bits.

    Args:
        image: A path, the bytes of an image file, a Pillow image (all are rotated by their EXIF
            orientation), or an array [h, w], [h, w, 1], [h, w, 3] or [h, w, 4] of uint8 or
            uint16 in 0..255 or 0..65535, of bool, or of float in 0..255.
        bit_depth: Number of bits of the values of 16-bit gray images: 8, 10, 12, 14 or 16; use the
            value with which the training records were made (--bit_depth).

    Raises:
        ImageError: No such file, not an image, truncated, of more than `MAX_PIXELS` pixels, or
            an array of another kind.
    """
    if isinstance(image, (str, os.PathLike)):
        problem = addresses.problem_with(os.fspath(image), "image")
        if problem:
            raise ImageError(f"the path of the image {problem}")
        return _of_file(image, os.fspath(image), bit_depth)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _of_file(io.BytesIO(image), f"an image file of {len(image)} bytes", bit_depth)
    if isinstance(image, Image.Image):
        return _of_pil(image, bit_depth)
    return _of_array(np.asarray(image), bit_depth)


def enlarge(image, shorter):
    """Enlarge uint8 [h, w, 3] bilinearly to a shorter side of `shorter` pixels; never shrink."""
    height, width = image.shape[:2]
    factor = max(1.0, shorter / min(height, width))
    size = round(width * factor), round(height * factor)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _of_file(file, name, bit_depth):
    try:
        with warnings.catch_warnings():
            # MAX_PIXELS says what is too large; half of it is no reason to warn.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file) as opened:
                return _of_pil(opened, bit_depth)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image of a format that Pillow knows") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: {error}") from error


def _of_pil(image, bit_depth):
    width, height = image.size
    if not width or not height:
        raise ImageError(f"the image is {width} x {height}: it has no pixel")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"the image says that it is {width} x {height}, {width * height / 1e6:.0f} million "
            f"pixels; up to {MAX_PIXELS / 1e6:.0f} million are read. Cut it up, or if it is to be "
            "trusted raise object_detection.prediction.pixels.MAX_PIXELS"
        )
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _of_array(np.asarray(image), bit_depth)
    return np.asarray(image.convert("RGB"))


def _of_array(pixels, bit_depth):
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        raise ImageError(
            f"an image must be [h, w], [h, w, 1], [h, w, 3] or [h, w, 4], got {list(pixels.shape)}"
        )
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    return np.ascontiguousarray(_eight_bits(pixels, bit_depth))


def _eight_bits(pixels, bit_depth):
    """Return pixels of any number type as uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    low, high = pixels.min(), pixels.max()
    if np.issubdtype(pixels.dtype, np.integer) and low >= 0 and high <= 65535:
        wide = pixels.dtype == np.uint16 or high > 255
        if not wide:
            return pixels.astype(np.uint8)
        warning = image_file.few_bits(int(high)) if bit_depth == 16 else None
        if warning:
            warnings.warn(warning, FewBitsWarning, stacklevel=2)
        return image_file.to_eight_bits(pixels, bit_depth)
    if np.issubdtype(pixels.dtype, np.floating) and low >= 0 and 1 < high <= 255:
        return np.rint(pixels).astype(np.uint8)
    raise ImageError(
        f"pixels are {pixels.dtype} from {low} to {high}; give uint8 or uint16, or float in 0..255"
        " (multiply by 255 what runs from 0 to 1)"
    )
