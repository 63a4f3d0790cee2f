"""Masks of every form to pixels, exactly as COCO's own tools rasterize them."""

import io

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from object_detection.annotations import mask_files
from object_detection.annotations.record import (
    Bitmap,
    EncodedBitmap,
    MaskFile,
    Polygons,
    RunLengths,
    Stretched,
    Union,
)

FARTHEST = 1e6  # pixels; a vertex farther out is a broken number and would cost gigabytes


class MaskFault(ValueError):
    """A mask that cannot be read; the sentence says why."""


def rasterize(mask, height, width):
    """The pixels of a mask, cut at the border of the image.

    Args:
        mask: one of the kinds of mask in `record.py`.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        [height, width] uint8 of 0 and 1.

    Raises:
        MaskFault: run lengths that do not add up, polygons without area, numbers that are none,
            a file that cannot be read.
    """
    if isinstance(mask, Polygons):
        return _fill(mask, height, width)
    if isinstance(mask, Union):
        return np.maximum.reduce([rasterize(piece, height, width) for piece in _pieces(mask)])
    return _placed(_as_bitmap(mask), height, width)


def cropped(mask, height, width):
    """The pixels of a mask from its first to its last row and column inside the image.

    The same pixels as `rasterize` gives, without the empty rest of the image.

    Args:
        mask: one of the kinds of mask in `record.py`.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        A `Bitmap` of uint8, 0 and 1; None where no pixel of the mask lies in the image.

    Raises:
        MaskFault: as for `rasterize`.
    """
    if isinstance(mask, Polygons) and not mask.holes:
        runs = _polygon_runs(_needed(_usable(mask.parts)), height, width)
        bitmap = _columns_of_runs(_uncompressed(runs["counts"]), height)
    elif isinstance(mask, RunLengths):
        bitmap = _columns_of_runs(_checked_counts(mask), mask.height)
    elif isinstance(mask, Polygons | Union):
        bitmap = Bitmap(rasterize(mask, height, width))
    else:
        bitmap = _as_bitmap(mask)
    return _tight(bitmap, height, width)


def _columns_of_runs(counts, height):
    """The columns of run lengths from the first to the last that hold a pixel."""
    ends = np.cumsum(counts)
    filled = np.flatnonzero(counts[1::2])  # of the runs of ones
    if not filled.size:
        return Bitmap(np.zeros((height, 0), np.uint8))
    start, end = 2 * filled[0], 2 * filled[-1] + 1  # the first zeros that count, the last ones
    first, last = int(ends[start]) // height, int(ends[end] - 1) // height
    kept = np.zeros(end - start + 2, np.int64)
    kept[:-1] = counts[start : end + 1]
    kept[0] = ends[start] - first * height
    kept[-1] = (last + 1) * height - ends[end]
    values = np.zeros(len(kept), np.uint8)
    values[1::2] = 1
    pixels = np.repeat(values, kept)
    return Bitmap(pixels.reshape(-1, height).T, 0, first)


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
    return Bitmap(pixels, top + int(rows[0]), left + int(columns[0]))


def extent(mask):
    """The box (ymin, xmin, ymax, xmax) that just holds the mask, before any cut; None if empty.

    Of polygons it is that of the vertices (COCO's boxes are made so), else of the pixels.
    """
    if isinstance(mask, Polygons):
        parts = _needed(_usable(mask.parts))
        points = np.concatenate([np.reshape(part, (-1, 2)) for part in parts])
        (xmin, ymin), (xmax, ymax) = points.min(axis=0), points.max(axis=0)
        return float(ymin), float(xmin), float(ymax), float(xmax)
    if isinstance(mask, Union):
        return _around([extent(piece) for piece in _pieces(mask)])
    mask = _as_bitmap(mask)
    rows, columns = np.flatnonzero(mask.pixels.any(axis=1)), np.flatnonzero(mask.pixels.any(axis=0))
    if not rows.size:
        return None
    top, left = float(mask.top), float(mask.left)
    return top + rows[0], left + columns[0], top + rows[-1] + 1, left + columns[-1] + 1


def decode_runs(runs):
    """The pixels [h, w] uint8 of COCO run lengths, plain or compressed.

    The lengths are checked before they are used: pycocotools trusts them, and reads past its
    memory where they are wrong.
    """
    counts = _checked_counts(runs)
    values = np.arange(len(counts), dtype=np.uint8) & 1
    return np.repeat(values, counts).reshape(runs.width, runs.height).T


def _checked_counts(runs):
    """The lengths of the runs, one int64 each; they add up to the size of the image."""
    height, width = runs.height, runs.width
    if min(height, width) < 1:
        raise MaskFault(f"run lengths of an image of {height} x {width} pixels")
    counts = runs.counts
    try:
        packed = isinstance(counts, bytes)
        counts = _uncompressed(counts) if packed else np.asarray(counts, np.int64)
    except OverflowError:
        raise MaskFault("run lengths hold a number of more than 64 bits") from None
    if counts.ndim != 1 or (counts < 0).any():
        raise MaskFault("run lengths hold a negative number")
    if (counts > height * width).any() or counts.sum() != height * width:
        raise MaskFault(
            f"run lengths add up to {counts.sum()} pixels, an image of {height} x {width} has "
            f"{height * width}"
        )
    return counts


def _uncompressed(text):
    """The run lengths in COCO's compressed text.

    Each number stands in groups of five bits, lowest first, as characters from '0' on; bit 5 says
    that more follow, bit 4 of the last group is the sign. From the fourth number on it is the
    difference to the number two places before.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise MaskFault("the compressed run lengths are cut off or hold foreign characters")
    ends = np.flatnonzero(codes < 32)  # the last group of each number
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > 7:
        raise MaskFault("the compressed run lengths hold a number of more than 32 bits")
    starts = ends - lengths + 1
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    counts = np.add.reduceat((codes & 31) << (5 * place), starts)
    counts -= (codes[ends] >> 4) << (5 * lengths)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


def _pieces(union):
    if not union.masks:
        raise MaskFault("a mask of no pieces")
    return union.masks


def _around(boxes):
    """The box around boxes, of which any may be None."""
    boxes = [box for box in boxes if box]
    if not boxes:
        return None
    ymin, xmin, ymax, xmax = zip(*boxes, strict=True)
    return min(ymin), min(xmin), max(ymax), max(xmax)


def _as_bitmap(mask):
    if isinstance(mask, Stretched):
        return Bitmap(_nearest(_as_bitmap(mask.mask).pixels, mask.height, mask.width))
    if isinstance(mask, RunLengths):
        return Bitmap(decode_runs(mask))
    if isinstance(mask, EncodedBitmap):
        return Bitmap(_decode(mask.encoded), mask.top, mask.left)
    if isinstance(mask, MaskFile):
        try:
            return Bitmap(mask_files.pixels(mask), mask.top, mask.left)
        except mask_files.MaskFileFault as fault:
            raise MaskFault(str(fault)) from None
    return mask


def _nearest(pixels, height, width):
    """Pixels [h, w] in another size: each new pixel is the old one that holds its centre."""
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
        raise MaskFault(f"the image that holds the mask cannot be decoded: {error}") from None
    return pixels.any(axis=2) if pixels.ndim == 3 else pixels != 0


def _fill(polygons, height, width):
    parts, holes = _needed(_usable(polygons.parts)), _usable(polygons.holes)
    filled = _filled(parts, height, width)
    return filled & (1 - _filled(holes, height, width)) if holes else filled


def _filled(parts, height, width):
    return coco_mask.decode(_polygon_runs(parts, height, width))


def _polygon_runs(parts, height, width):
    """The union of polygons as pycocotools' run lengths."""
    parts = coco_mask.frPyObjects([list(part) for part in parts], height, width)
    return parts[0] if len(parts) == 1 else coco_mask.merge(parts)


def _needed(parts):
    if not parts:
        raise MaskFault("no polygon of three points or more")
    return parts


def _usable(parts):
    """The parts of three points or more; smaller ones hold no area."""
    parts = [part for part in parts if len(part) >= 6]
    for part in parts:
        if len(part) % 2:
            raise MaskFault(f"a polygon of {len(part)} numbers: x without y")
        if not np.isfinite(part).all() or np.abs(part).max() > FARTHEST:
            raise MaskFault("a polygon with a vertex that is no place in an image")
    return parts


def _placed(bitmap, height, width):
    """Pixels of a bitmap on an empty canvas of the image's size."""
    canvas = np.zeros((height, width), np.uint8)
    rows, columns = bitmap.pixels.shape
    top, left = max(bitmap.top, 0), max(bitmap.left, 0)
    bottom, right = min(bitmap.top + rows, height), min(bitmap.left + columns, width)
    if top < bottom and left < right:
        canvas[top:bottom, left:right] = (
            bitmap.pixels[
                top - bitmap.top : bottom - bitmap.top, left - bitmap.left : right - bitmap.left
            ]
            != 0
        )
    return canvas
