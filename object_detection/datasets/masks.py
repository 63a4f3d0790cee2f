"""Decodes masks of every form to pixels, exactly as COCO's own tools rasterize them.

Masks in image files (id images, color masks, silhouettes) are decoded when they are needed, which
is in a worker process. The last few files stay decoded: one id image usually holds all objects of
its photograph.
"""

import io
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from pycocotools import mask as coco_mask

from object_detection.datasets.annotations import (
    EncodedBitmap,
    MaskFile,
    Polygons,
    RunLengths,
    Stretched,
    Union,
)
from object_detection.errors import MaskError
from object_detection.structures import polygons, run_lengths
from object_detection.structures.masks import CroppedMask


def rasterize(mask, height, width):
    """The pixels of a mask, cut at the border of the image.

    Args:
        mask: one of the kinds of mask in `annotations.py`.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        [height, width] uint8 of 0 and 1.

    Raises:
        MaskError: run lengths that do not add up, polygons without area, coordinates that are not
            finite, a file that cannot be read.
    """
    if isinstance(mask, Polygons):
        return _fill(mask, height, width)
    if isinstance(mask, Union):
        return np.maximum.reduce([rasterize(piece, height, width) for piece in _pieces(mask)])
    return _as_crop(mask, height, width).full(height, width).view(np.uint8)


def cropped(mask, height, width):
    """The pixels of a mask from its first to its last row and column inside the image.

    The same pixels as `rasterize` gives, without the empty rest of the image.

    Args:
        mask: one of the kinds of mask in `annotations.py`.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        A `CroppedMask` of uint8, 0 and 1; None where no pixel of the mask lies in the image.

    Raises:
        MaskError: as for `rasterize`.
    """
    if isinstance(mask, Polygons) and not mask.holes:
        runs = polygons.to_rle(_needed(polygons.usable_polygons(mask.parts)), height, width)
        bitmap = _columns_of_runs(run_lengths.read_counts(runs["counts"]), height)
    elif isinstance(mask, RunLengths):
        bitmap = _columns_of_runs(_checked_counts(mask, height, width), height)
    elif isinstance(mask, Polygons | Union):
        bitmap = CroppedMask(rasterize(mask, height, width))
    else:
        bitmap = _as_crop(mask, height, width)
    return _tight(bitmap, height, width)


def _columns_of_runs(counts, height):
    """The columns of run lengths from the first to the last that hold a pixel."""
    ends = np.cumsum(counts)
    filled = np.flatnonzero(counts[1::2])  # of the runs of ones
    if not filled.size:
        return CroppedMask(np.zeros((height, 0), np.uint8))
    start, end = 2 * filled[0], 2 * filled[-1] + 1  # the first zeros that count, the last ones
    first, last = int(ends[start]) // height, int(ends[end] - 1) // height
    kept = np.zeros(end - start + 2, np.int64)
    kept[:-1] = counts[start : end + 1]
    kept[0] = ends[start] - first * height
    kept[-1] = (last + 1) * height - ends[end]
    values = np.zeros(len(kept), np.uint8)
    values[1::2] = 1
    pixels = np.repeat(values, kept)
    return CroppedMask(pixels.reshape(-1, height).T, 0, first)


def _tight(bitmap, height, width):
    """A bitmap cut at the border of the image, then at its own pixels; None if none is left."""
    pixels, top, left = bitmap
    pixels = pixels[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    top, left = max(top, 0), max(left, 0)
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not rows.size:
        return None
    pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if pixels.dtype != np.uint8 or pixels.max() > 1:
        pixels = pixels != 0
    pixels = np.ascontiguousarray(pixels).view(np.uint8)
    return CroppedMask(pixels, top + int(rows[0]), left + int(columns[0]))


def extent(mask, height=None, width=None):
    """The box (ymin, xmin, ymax, xmax) that just holds the mask, before any cut; None if empty.

    Of polygons it is that of the vertices (COCO's boxes are made so), else of the pixels.

    Args:
        mask: one of the kinds of mask in `annotations.py`.
        height, width: of the image in pixels, where known: run lengths have to be of that size.

    Raises:
        MaskError: as for `rasterize`.
    """
    if isinstance(mask, Polygons):
        parts = _needed(polygons.usable_polygons(mask.parts))
        points = np.concatenate([np.reshape(part, (-1, 2)) for part in parts])
        (xmin, ymin), (xmax, ymax) = points.min(axis=0), points.max(axis=0)
        return float(ymin), float(xmin), float(ymax), float(xmax)
    if isinstance(mask, Union):
        return _around([extent(piece, height, width) for piece in _pieces(mask)])
    mask = _as_crop(mask, height, width)
    rows, columns = np.flatnonzero(mask.pixels.any(axis=1)), np.flatnonzero(mask.pixels.any(axis=0))
    if not rows.size:
        return None
    top, left = float(mask.top), float(mask.left)
    return top + rows[0], left + columns[0], top + rows[-1] + 1, left + columns[-1] + 1


def decode_runs(runs, height=None, width=None):
    """The pixels [h, w] uint8 of COCO run lengths, plain or compressed.

    Args:
        runs: `RunLengths`.
        height, width: of the image in pixels, where known: the runs have to be of that size.

    Raises:
        MaskError: runs that make up no such mask.
    """
    counts = _checked_counts(runs, height, width)
    return run_lengths.unpack(counts).reshape(runs.width, runs.height).T.view(np.uint8)


def _checked_counts(runs, height=None, width=None):
    """The lengths of the runs, one int64 each; they add up to the size of the image."""
    return run_lengths.check(runs.height, runs.width, runs.counts, height, width).counts


def _pieces(union):
    if not union.masks:
        raise MaskError("a mask of no pieces")
    return union.masks


def _around(boxes):
    """Return the box around boxes; each may be None."""
    boxes = [box for box in boxes if box]
    if not boxes:
        return None
    ymin, xmin, ymax, xmax = zip(*boxes, strict=True)
    return min(ymin), min(xmin), max(ymax), max(xmax)


def _as_crop(mask, height=None, width=None):
    if isinstance(mask, Stretched):
        return CroppedMask(_nearest(_as_crop(mask.mask).pixels, mask.height, mask.width))
    if isinstance(mask, RunLengths):
        return CroppedMask(decode_runs(mask, height, width))
    if isinstance(mask, EncodedBitmap):
        return CroppedMask(_decode(mask.encoded), mask.top, mask.left)
    if isinstance(mask, MaskFile):
        return CroppedMask(file_pixels(mask), mask.top, mask.left)
    return mask


def _nearest(pixels, height, width):
    """Pixels [h, w] in another size: each new pixel is the old one that holds its center."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip((height, width), pixels.shape, strict=True)
    )
    return pixels[rows[:, np.newaxis], columns]


def _decode(encoded):
    """The pixels [h, w] bool of an image file that is a mask."""
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
                return np.asarray(image.convert("RGBA"))[..., 3] > 0
            pixels = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise MaskError(f"the image that holds the mask cannot be decoded: {error}") from None
    return pixels.any(axis=2) if pixels.ndim == 3 else pixels != 0


def _fill(mask, height, width):
    parts, holes = (
        _needed(polygons.usable_polygons(mask.parts)),
        polygons.usable_polygons(mask.holes),
    )
    filled = _filled(parts, height, width)
    return filled & (1 - _filled(holes, height, width)) if holes else filled


def _filled(parts, height, width):
    return coco_mask.decode(polygons.to_rle(parts, height, width))


def _needed(parts):
    if not parts:
        raise MaskError("no polygon of three points or more")
    return parts


KEPT = 2  # decoded files a process keeps
LOSSY = ("JPEG", "MPO")  # their black is not quite black
HALF = 128


class _MaskImage(NamedTuple):
    """The pixels of a file in the forms they are asked for; each [h, w]."""

    values: np.ndarray | None  # gray values, palette indices or ids; None: there are only colors
    colors: np.ndarray | None  # red + 256 green + 65536 blue, uint32; None: wider than 8 bits
    drawn: np.ndarray  # bool: what counts where no values are named


def file_pixels(mask):
    """The pixels of a mask that lies in a file.

    Args:
        mask: a `MaskFile`. Its ints are compared with gray values, palette indices or ids (in a
            file of colors: with its grays), its triples with colors (in a palette: with the
            colors it shows). Transparency does not count then. Of a file of one bit, 1 and
            255 both mean its white.

    Returns:
        [h, w] bool.

    Raises:
        MaskError: no such file, or it cannot be decoded.
    """
    try:
        state = mask.path.stat()
        decoded = _decode_file(mask.path, state.st_mtime_ns, state.st_size)
    except FileNotFoundError:
        raise MaskError(f"there is no mask file {mask.path}") from None
    except UnidentifiedImageError:
        raise MaskError(f"{mask.path} is not an image of a known format") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise MaskError(f"{mask.path} cannot be decoded: {error}") from None
    if mask.values is None:
        return decoded.drawn
    numbers = [value for value in mask.values if np.ndim(value) == 0]
    codes = [_code(value) for value in mask.values if np.ndim(value)]
    if decoded.values is None:
        codes += [_code((value,) * 3) for value in numbers if 0 <= value <= 255]
        numbers = []
    is_object = np.zeros(decoded.drawn.shape, bool)
    if numbers and decoded.values.dtype == bool:  # white is 1 to some tools and 255 to others
        numbers = [value in (1, 255) for value in numbers if value in (0, 1, 255)]
    if numbers:
        is_object |= _any_of(decoded.values, numbers)
    if codes and decoded.colors is not None:
        is_object |= _any_of(decoded.colors, codes)
    return is_object


def file_size(mask):
    """(height, width) of the file of a `MaskFile`; raises `MaskError`."""
    return file_pixels(mask._replace(values=None)).shape


def _code(color):
    """A color triple packed into one number, as in `_MaskImage.colors`."""
    red, green, blue = (int(part) for part in color)
    return red + (green << 8) + (blue << 16)


def _any_of(array, numbers):
    if len(numbers) == 1:
        return array == numbers[0]
    return np.isin(array, numbers)


@lru_cache(KEPT)
def _decode_file(path, changed_at, length):
    """The file decoded; when it was changed and how long it is tell a new file from an old one."""
    with Image.open(path) as image:
        image.load()
        drawn = _drawn(image)
        if image.mode in ("1", "L", "P"):
            return _MaskImage(np.array(image), _packed(image), drawn)
        if image.mode in ("LA", "PA"):
            return _MaskImage(np.array(image.getchannel(0)), _packed(image), drawn)
        if image.mode == "F" or image.mode.startswith("I"):
            return _MaskImage(np.array(image), None, drawn)
        return _MaskImage(None, _packed(image), drawn)


def _packed(image):
    """Colors as one number a pixel, [h, w] uint32."""
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
