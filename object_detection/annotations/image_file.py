"""Reads an image file as it is, and makes of it what every reader of records can decode.

A JPEG, and a PNG of 8 bits or fewer, goes into the record byte for byte. Anything else (BMP, GIF,
TIFF, WebP, 16 bits, CMYK) is written anew as an 8-bit PNG: readers of records decode JPEG and PNG.
What an EXIF tag wants turned is turned (`image_turning.py`).
"""

import io
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from object_detection.annotations import image_turning

_JPEG = ("JPEG", "MPO")
_PNG_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
AS_IT_LIES = (
    "its EXIF orientation left out: the annotation states the size of the pixels as they lie"
)

# What Pillow raises of broken files. UnidentifiedImageError is an OSError.
_FAULTS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class ImageFault(ValueError):
    """A file that is no usable image; the sentence says why."""


class StoredImage(NamedTuple):
    """An image as it goes into a record."""

    encoded: bytes
    format: str  # 'jpeg' or 'png'
    height: int
    width: int
    change: str | None = None  # what was done to the file, for the report
    kind: str = ""  # Pillow's name of the format the file had


def prepare(encoded, drawn_on=None):
    """Checks an encoded image through to its last byte and gives it back as a record holds it.

    Args:
        encoded: the bytes of an image file of any format that Pillow reads.
        drawn_on: gives the (height, width) that its annotations were made for, or None; asked
            where an EXIF tag wants the image turned by a quarter.

    Raises:
        ImageFault: empty, cut off, not an image, or of a kind whose range of values is unknown.
    """
    if not encoded:
        raise ImageFault("the image is empty")
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return _stored(image, encoded, drawn_on)
    except ImageFault:
        raise
    except UnidentifiedImageError:
        raise ImageFault("the file is not an image of a known format") from None
    except _FAULTS as error:
        raise ImageFault(f"the image cannot be decoded: {error}") from None


def sizes(source: Path | bytes) -> set[tuple[int, int]]:
    """Return the (height, width) that an image may have been annotated in, read from its header.

    Args:
        source: path of a file, or the bytes of one.

    Returns:
        The size of the pixels as they lie in the file and, where an EXIF tag turns the image by a
        quarter, that of the image upright. Empty: no image.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            lies = image.height, image.width
            turned = image_turning.orientation(image) in image_turning.QUARTER_TURNS
            return {lies, lies[::-1]} if turned else {lies}
    except _FAULTS:
        return set()


def _stored(image, encoded, drawn_on):
    """An open image as a record holds it."""
    kind, mode, (width, height) = image.format, image.mode, image.size
    number, change = _turn(image, drawn_on)
    if change and number == 1:
        encoded = image_turning.without_tag(encoded)
    if kind in _JPEG and mode in ("L", "RGB"):
        if number == 1:
            # An eighth of the size: it reads every byte, and computes little.
            image.draft("L", (max(width // 8, 1), max(height // 8, 1)))
            image.load()
        else:
            encoded = image_turning.turned_jpeg(image, number)
        if number in image_turning.QUARTER_TURNS:
            height, width = width, height
        return StoredImage(encoded, "jpeg", height, width, change, kind)
    image.load()
    is_plain = kind == "PNG" and mode in _PNG_MODES
    fault = _png_fault(encoded) if is_plain else None
    if is_plain and not fault and number == 1:
        return StoredImage(encoded, "png", height, width, change, kind)
    changes = [change] if change else []
    if fault or not is_plain:
        image, note = _eight_bit(image)
        mode = f"{mode}, {fault}" if fault else mode
        changes.insert(0, f"{kind} ({mode}) stored as 8-bit PNG{note}")
    if number != 1:
        image = image.transpose(image_turning.TURNS[number])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return StoredImage(
        buffer.getvalue(), "png", image.height, image.width, "; ".join(changes), kind
    )


def _turn(image, drawn_on):
    """The EXIF orientation to follow, 1 if there is none, and what the report says of it."""
    number, (width, height) = image_turning.orientation(image), image.size
    if number == 1:
        return 1, None
    if number in image_turning.QUARTER_TURNS and drawn_on:
        if image_turning.drawn_as_it_lies(number, (height, width), drawn_on()):
            return 1, AS_IT_LIES
    return number, f"turned upright, as its EXIF orientation ({number}) says"


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
    """The image in 8 bits a channel, and a note on what of it was left out."""
    frames = getattr(image, "n_frames", 1)
    first = f", the first of {frames} frames" if frames > 1 else ""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageFault(
                f"values from {values.min()} to {values.max()}: neither 8 nor 16 bits; "
                "scale them to 0..255 first"
            )
        # The high byte, as decoders of 16-bit PNGs give it: the same scale for every image.
        note = f", the high byte of values up to {values.max()}{first}"
        return Image.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8)), note
    if image.mode == "F":
        raise ImageFault("floating-point pixels without a known range; scale them to 0..255 first")
    if image.mode in ("L", "RGB"):
        return image, first
    return image.convert("RGB"), first
