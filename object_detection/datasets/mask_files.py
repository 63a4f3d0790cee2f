"""Masks that lie in image files: id images, colour masks, silhouettes, one file or many.

A file is decoded where its mask is needed, which is in a worker process. The last few stay decoded:
one id image usually holds all objects of its photograph.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

KEPT = 2  # decoded files a process keeps
LOSSY = ("JPEG", "MPO")  # their black is not quite black
HALF = 128


class MaskFileFault(ValueError):
    """A mask file that cannot be read; the sentence says which and why."""


class _Decoded(NamedTuple):
    """The pixels of a file in the forms they are asked for; each [h, w]."""

    values: np.ndarray | None  # grey values, palette indices or ids; None: there are only colours
    colours: np.ndarray | None  # red + 256 green + 65536 blue, uint32; None: wider than 8 bits
    drawn: np.ndarray  # bool: what counts where no values are named


def pixels(mask):
    """The pixels of a mask that lies in a file.

    Args:
        mask: a `MaskFile`. Its ints are compared with grey values, palette indices or ids (in a
            file of colours: with its greys), its triples with colours (in a palette: with the
            colours it stands for). Transparency does not count then. Of a file of one bit, 1 and
            255 both mean its white.

    Returns:
        [h, w] bool.

    Raises:
        MaskFileFault: no such file, or it cannot be decoded.
    """
    try:
        state = mask.path.stat()
        decoded = _decoded(mask.path, state.st_mtime_ns, state.st_size)
    except FileNotFoundError:
        raise MaskFileFault(f"there is no mask file {mask.path}") from None
    except UnidentifiedImageError:
        raise MaskFileFault(f"{mask.path} is not an image of a known format") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise MaskFileFault(f"{mask.path} cannot be decoded: {error}") from None
    if mask.values is None:
        return decoded.drawn
    numbers = [value for value in mask.values if np.ndim(value) == 0]
    codes = [_code(value) for value in mask.values if np.ndim(value)]
    if decoded.values is None:
        codes += [_code((value,) * 3) for value in numbers if 0 <= value <= 255]
        numbers = []
    found = np.zeros(decoded.drawn.shape, bool)
    if numbers and decoded.values.dtype == bool:  # white is 1 to some tools and 255 to others
        numbers = [value in (1, 255) for value in numbers if value in (0, 1, 255)]
    if numbers:
        found |= _any_of(decoded.values, numbers)
    if codes and decoded.colours is not None:
        found |= _any_of(decoded.colours, codes)
    return found


def size(mask):
    """(height, width) of the file of a `MaskFile`; raises `MaskFileFault`."""
    return pixels(mask._replace(values=None)).shape


def _code(colour):
    """A colour triple as the one number that stands for it in `_Decoded.colours`."""
    red, green, blue = (int(part) for part in colour)
    return red + (green << 8) + (blue << 16)


def _any_of(array, numbers):
    if len(numbers) == 1:
        return array == numbers[0]
    return np.isin(array, numbers)


@lru_cache(KEPT)
def _decoded(path, changed_at, length):
    """The file decoded; when it was changed and how long it is tell a new file from an old one."""
    with Image.open(path) as image:
        image.load()
        drawn = _drawn(image)
        if image.mode in ("1", "L", "P"):
            return _Decoded(np.array(image), _packed(image), drawn)
        if image.mode in ("LA", "PA"):
            return _Decoded(np.array(image.getchannel(0)), _packed(image), drawn)
        if image.mode == "F" or image.mode.startswith("I"):
            return _Decoded(np.array(image), None, drawn)
        return _Decoded(None, _packed(image), drawn)


def _packed(image):
    """Colours as one number a pixel, [h, w] uint32."""
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0).astype(np.uint32)
    return red + (green << 8) + (blue << 16)


def _drawn(image):
    """What counts as the object where no values are named, [h, w] bool.

    The alpha channel decides where it says anything. Else it is what is not black; of a palette
    that shows everything black, what is not its first entry.
    """
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if alpha.min() != alpha.max():
            return alpha > 0
    if image.mode == "F" or image.mode.startswith("I"):
        return np.asarray(image) != 0
    if image.format in LOSSY:
        return np.asarray(image.convert("L")) >= HALF
    drawn = _packed(image) != 0
    if image.mode == "P" and not drawn.any():
        return np.asarray(image) != 0
    return drawn
