"""Prepares an image file for a record, so that every reader of records can decode it.

A JPEG, and a PNG of 8 bits or fewer, goes into the record byte for byte. Anything else (BMP, GIF,
TIFF, WebP, 16 bits, CMYK) is encoded again as an 8-bit PNG: readers of records decode JPEG and PNG.

Photographs with an EXIF orientation are turned upright and lose the tag: decoders of records do not
know the tag, while most labeling tools show the photo upright.
"""

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageStat, JpegImagePlugin, UnidentifiedImageError

from object_detection.errors import ImageError

_JPEG = ("JPEG", "MPO")
_PNG_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
AS_IT_LIES = (
    "its EXIF orientation left out: the annotation states the size of the pixels as they lie"
)

# What Pillow raises of broken files. UnidentifiedImageError is an OSError.
_FAULTS = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, MemoryError, RuntimeError, struct.error, Image.DecompressionBombError),
)
# A file of some kilobytes can state an image larger than memory. 537 MB as RGB; Pillow's own bound.
MOST_PIXELS = 178_956_970
BIT_DEPTHS = (8, 10, 12, 14, 16)

_TOO_LARGE = f"the file's header states more than {MOST_PIXELS / 1e6:.0f} million pixels"


class StoredImage(NamedTuple):
    """An image as it goes into a record."""

    encoded: bytes
    format: str  # 'jpeg' or 'png'
    height: int
    width: int
    change: str | None = None  # what was done to the file, for the report
    kind: str = ""  # Pillow's name of the format the file had
    warning: str | None = None  # what of it is likely to be a mistake, for the report


def prepare(encoded, drawn_on=None, *, bit_depth=16):
    """Checks an encoded image through to its last byte and gives it back as a record holds it.

    Args:
        encoded: the bytes of an image file of any format that Pillow reads.
        drawn_on: gives the (height, width) that its annotations were made for, or None; asked
            where an EXIF tag wants the image turned by a quarter.
        bit_depth: bits that the values of 16-bit gray files have, of BIT_DEPTHS.

    Raises:
        ImageError: empty, cut off, not an image, of more than MOST_PIXELS pixels, or of a kind
            whose range of values is unknown.
    """
    if not encoded:
        raise ImageError("the image is empty")
    try:
        with _opened(io.BytesIO(encoded)) as image:
            return _stored(image, encoded, drawn_on, bit_depth)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("the file is not an image of a known format") from None
    except _FAULTS as error:
        raise ImageError(f"the image cannot be decoded: {error}") from None


def _opened(source):
    """Open an image and read its header; raise `ImageError` if it is too large."""
    with warnings.catch_warnings():
        # MOST_PIXELS says what is too large; half of it is no reason to warn.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(source)
        except Image.DecompressionBombError:
            raise ImageError(f"{_TOO_LARGE}: cut the image up") from None
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise ImageError(f"{_TOO_LARGE}: cut the image up")
    return image


def sizes(source: Path | bytes) -> set[tuple[int, int]]:
    """Return the (height, width) that an image may have been annotated in, read from its header.

    Args:
        source: path of a file, or the bytes of one.

    Returns:
        The size of the pixels as they lie in the file and, where an EXIF tag turns the image by a
        quarter, that of the image upright. Empty: no image.
    """
    try:
        with _opened(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            lies = image.height, image.width
            turned = orientation(image) in QUARTER_TURNS
            return {lies, lies[::-1]} if turned else {lies}
    except _FAULTS:
        return set()


def significant_bits(largest: int) -> int | None:
    """Return the bits that the values of a 16-bit image seem to have; None where it fills 16.

    Cameras and scanners store 10, 12 or 14 bits in 16; the high byte of these is nearly black. One
    image cannot prove it: a dark photograph of 16 bits looks the same.

    Args:
        largest: value of the image.
    """
    return next((bits for bits in BIT_DEPTHS[:-1] if 0 < largest < 1 << bits), None)


def few_bits(largest: int) -> str | None:
    """Return a warning about a 16-bit image that `significant_bits` takes for one of fewer."""
    bits = significant_bits(largest)
    if bits is None:
        return None
    return (
        f"the 16-bit image has no value of {1 << bits} or more, as if its values had {bits} bits: "
        f"as 8 bits it is nearly black. If it is so of the whole set, use --bit_depth={bits}"
    )


def to_eight_bits(values: np.ndarray, bit_depth: int = 16) -> np.ndarray:
    """Return values of `bit_depth` bits as uint8; larger ones become 255.

    The scale is the same for every image, whatever values it has.
    """
    return np.minimum(values.astype(np.uint32) >> (bit_depth - 8), 255).astype(np.uint8)


def _stored(image, encoded, drawn_on, bit_depth):
    """An open image as a record holds it."""
    kind, mode, (width, height) = image.format, image.mode, image.size
    number, change = _turn(image, drawn_on)
    if change and number == 1:
        encoded = without_tag(encoded)
    if kind in _JPEG and mode in ("L", "RGB"):
        if number == 1:
            # An eighth of the size: it reads every byte, and computes little.
            image.draft("L", (max(width // 8, 1), max(height // 8, 1)))
            image.load()
        else:
            encoded = turned_jpeg(image, number)
        if number in QUARTER_TURNS:
            height, width = width, height
        return StoredImage(encoded, "jpeg", height, width, change, kind)
    image.load()
    is_plain = kind == "PNG" and mode in _PNG_MODES
    fault = _png_fault(encoded) if is_plain else None
    if is_plain and not fault and number == 1:
        return StoredImage(encoded, "png", height, width, change, kind)
    changes, warning = [change] if change else [], None
    if fault or not is_plain:
        image, note, warning = _eight_bit(image, fault == "16 bits", bit_depth)
        mode = f"{mode}, {fault}" if fault else mode
        changes.insert(0, f"{kind} ({mode}) stored as 8-bit PNG{note}")
    if number != 1:
        image = image.transpose(TURNS[number])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return StoredImage(
        buffer.getvalue(), "png", image.height, image.width, "; ".join(changes), kind, warning
    )


def _turn(image, drawn_on):
    """The EXIF orientation to follow, 1 if there is none, and what the report says of it."""
    number, (width, height) = orientation(image), image.size
    if number == 1:
        return 1, None
    if number in QUARTER_TURNS and drawn_on:
        if drawn_as_it_lies(number, (height, width), drawn_on()):
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


def _eight_bit(image, had_16_bits, bit_depth):
    """The image in 8 bits a channel, a note on what of it was left out, and a warning or None."""
    frames = getattr(image, "n_frames", 1)
    first = f", the first of {frames} frames" if frames > 1 else ""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(
                f"values from {values.min()} to {values.max()}: neither 8 nor 16 bits; "
                "scale them to 0..255 first"
            )
        # Of 16 bits the high byte, as decoders of 16-bit PNGs give it.
        which = "high byte" if bit_depth == 16 else f"high 8 of {bit_depth} bits"
        note = f", the {which} of values up to {values.max()}{first}"
        warning = few_bits(int(values.max())) if bit_depth == 16 else None
        if values.max() >= 1 << bit_depth:
            warning = f"the image has values of more than --bit_depth={bit_depth} bits: made white"
        return Image.fromarray(to_eight_bits(values, bit_depth)), note, warning
    if image.mode == "F":
        raise ImageError("floating-point pixels without a known range; scale them to 0..255 first")
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return image, first, _dark_color(image) if had_16_bits else None


def _dark_color(image):
    """A warning about the high bytes of 16-bit color; Pillow gives no more of it than these."""
    largest = max(high for _, high in ImageStat.Stat(image.convert("RGB")).extrema)
    bits = significant_bits((largest << 8) + 255)
    if bits is None or largest == 0:
        return None
    return (
        f"the 16-bit color image has no value of {1 << bits} or more, as if its values had {bits} "
        "bits: as 8 bits it is nearly black. Scale it to 8 bits with an image tool"
    )


ORIENTATION = 0x0112
# EXIF's number -> what brings the pixels upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTER_TURNS = (5, 6, 7, 8)  # these exchange height and width
_TEXT_CHUNKS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")  # where a PNG may hold the tag


def orientation(image):
    """EXIF's orientation of an open Pillow image, 1 to 8; 1 where it says none or nonsense."""
    if image.format == "TIFF":
        return 1  # Pillow turns these itself as it reads them
    try:
        number = image.getexif().get(ORIENTATION)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return 1  # a broken tag is no reason to lose the image
    return number if number in TURNS else 1


def drawn_as_it_lies(number, size, drawn_on):
    """Whether the annotations belong to the pixels as they lie in the file.

    Only the size that the annotations state can tell, and only of a quarter turn.

    Args:
        number: the orientation.
        size: (height, width) of the pixels as they lie.
        drawn_on: (height, width) the annotations were made for, or None.
    """
    if number not in QUARTER_TURNS or drawn_on is None or size[0] == size[1]:
        return False
    return tuple(drawn_on) == tuple(size)


def turned_jpeg(image, number):
    """The bytes of a JPEG turned upright, as good as it was: its own tables compress it again.

    Args:
        image: an open JPEG of gray or RGB.
        number: its orientation, 2 to 8.
    """
    image.load()
    tables, sampling = image.quantization, JpegImagePlugin.get_sampling(image)
    if number in QUARTER_TURNS:
        tables = {
            key: np.reshape(table, (8, 8)).T.ravel().tolist() for key, table in tables.items()
        }
        sampling = sampling if sampling == 2 else 0  # halved only in width has no turned form
    options = {"icc_profile": image.info["icc_profile"]} if "icc_profile" in image.info else {}
    buffer = io.BytesIO()
    upright = image.transpose(TURNS[number])
    upright.save(buffer, "JPEG", qtables=tables, subsampling=max(sampling, 0), **options)
    return buffer.getvalue()


def without_tag(encoded):
    """A JPEG or PNG without the parts that may hold the tag; its pixels are not touched."""
    return _jpeg_without(encoded) if encoded.startswith(b"\xff\xd8") else _png_without(encoded)


def _jpeg_without(encoded):
    """A JPEG without its Exif and XMP segments (APP1) and its index of further pictures (MPF)."""
    kept, place = [encoded[:2]], 2
    while place + 4 <= len(encoded) and encoded[place] == 0xFF:
        marker = encoded[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        if marker == 0xDA:  # the pixels begin
            break
        end = place + 2 + int.from_bytes(encoded[place + 2 : place + 4], "big")
        is_index = marker == 0xE2 and encoded[place + 4 : place + 8] == b"MPF\0"
        if marker != 0xE1 and not is_index:
            kept.append(encoded[place:end])
        place = end
    return b"".join([*kept, encoded[place:]])


def _png_without(encoded):
    kept, place = [encoded[:8]], 8
    while place + 8 <= len(encoded):
        end = place + 12 + int.from_bytes(encoded[place : place + 4], "big")
        if encoded[place + 4 : place + 8] not in _TEXT_CHUNKS:
            kept.append(encoded[place:end])
        place = end
    return b"".join(kept)
