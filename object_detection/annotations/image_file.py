"""Reads an image file as it is, and makes of it what every reader of records can decode.

A JPEG, and a PNG of 8 bits or fewer, goes into the record byte for byte. Anything else (BMP, GIF,
TIFF, WebP, 16 bits, CMYK) is written anew as an 8-bit PNG: readers of records decode JPEG and PNG.
"""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

SWAPPING_ORIENTATIONS = (5, 6, 7, 8)  # EXIF: the photo is to be turned by a quarter
EXIF_ORIENTATION = 0x0112


class ImageFault(ValueError):
    """A file that is no usable image; the sentence says why."""


class StoredImage(NamedTuple):
    """An image as it goes into a record."""

    encoded: bytes
    format: str  # 'jpeg' or 'png'
    height: int
    width: int
    change: str | None = None  # what was done to the file, for the report
    quarter_turned: bool = False  # EXIF wants it turned by a quarter (it is stored as it lies)


def prepare(encoded):
    """Checks an encoded image through to its last byte and gives it back as a record holds it.

    Args:
        encoded: the bytes of an image file of any format that Pillow reads.

    Raises:
        ImageFault: empty, cut off, not an image, or of a kind whose range of values is unknown.
    """
    if not encoded:
        raise ImageFault("the image is empty")
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            kind, mode, (width, height) = image.format, image.mode, image.size
            turned = image.getexif().get(EXIF_ORIENTATION) in SWAPPING_ORIENTATIONS
            if kind in ("JPEG", "MPO") and mode in ("L", "RGB"):
                image.draft("L", (width // 8, height // 8))  # reads every byte, computes little
                image.load()
                return StoredImage(encoded, "jpeg", height, width, quarter_turned=turned)
            image.load()
            if kind == "PNG" and mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
                fault = _png_fault(encoded)
                if not fault:
                    return StoredImage(encoded, "png", height, width, quarter_turned=turned)
                mode = f"{mode}, {fault}"
            pixels, note = _eight_bit(image)
            buffer = io.BytesIO()
            pixels.save(buffer, "PNG")
    except ImageFault:
        raise
    except UnidentifiedImageError:
        raise ImageFault("the file is not an image of a known format") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ImageFault(f"the image cannot be decoded: {error}") from None
    change = f"{kind} ({mode}) stored as 8-bit PNG{note}"
    return StoredImage(buffer.getvalue(), "png", height, width, change, turned)


def _png_fault(encoded):
    """What keeps a PNG that Pillow can read from being stored as it is; None if nothing does.

    TensorFlow checks every chunk's sum and wants the end chunk; Pillow forgives both.
    """
    if encoded[24] == 16:  # the header chunk is always the first
        return "16 bits"
    place, kind = 8, None
    while kind != b"IEND":
        if place + 12 > len(encoded):
            return "without its end"
        (size,), kind = struct.unpack_from(">I", encoded, place), encoded[place + 4 : place + 8]
        end = place + 8 + size
        if zlib.crc32(encoded[place + 4 : end]) != int.from_bytes(encoded[end : end + 4], "big"):
            return "with a wrong checksum"
        place = end + 4
    return None


def _eight_bit(image):
    """The image in 8 bits a channel, and a note on the values where these were reduced."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageFault(
                f"values from {values.min()} to {values.max()}: neither 8 nor 16 bits; "
                "scale them to 0..255 first"
            )
        # The high byte, as decoders of 16-bit PNGs give it: the same scale for every image.
        note = f", the high byte of values up to {values.max()}"
        return Image.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8)), note
    if image.mode == "F":
        raise ImageFault("floating-point pixels without a known range; scale them to 0..255 first")
    if image.mode in ("L", "RGB"):
        return image, ""
    return image.convert("RGB"), ""
