"""Photographs whose EXIF tag says that they lie on their side: turned upright, the tag gone.

Decoders of records know nothing of the tag, while most labelling tools show the photo upright.
"""

import io
import struct

import numpy as np
from PIL import Image, JpegImagePlugin

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
        image: an open JPEG of grey or RGB.
        number: its orientation, 2 to 8.
    """
    image.load()
    tables, sampling = image.quantization, JpegImagePlugin.get_sampling(image)
    if number in QUARTER_TURNS:
        tables = {
            key: np.reshape(table, (8, 8)).T.ravel().tolist() for key, table in tables.items()
        }
        sampling = sampling if sampling == 2 else 0  # halved in width alone has no turned form
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
