"""What COCO's json files of objects and of results have in common: ids, boxes, segmentations.

Everything that comes from a file is checked here before pycocotools sees it.
"""

import ast
import json
import math
import warnings
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_codec

from object_detection.client import run_lengths
from object_detection.client.run_lengths import RunLengthError, whole_number

FARTHEST = 1e6  # pixels; a vertex farther out is a broken number
LONGEST_OUTLINE = 4e6  # pixels; pycocotools takes about 200 bytes for each
LONGEST_ID = 1000  # characters
LONGEST_TEXT = 10_000_000  # characters of a segmentation that is written as text


class SegmentationError(ValueError):
    """A segmentation that is no mask; the sentence says why."""


class Segmentation(NamedTuple):
    """A segmentation as read: polygons, or run lengths that are still to be checked."""

    parts: tuple[Sequence[float], ...] | None  # each (x0, y0, x1, y1, ...)
    size: tuple[int, int] | None = None  # (height, width) that the run lengths state
    counts: bytes | tuple | None = None


def id_text(value: object) -> str | None:
    """Return an id of an image or annotation as text: 1 and 1.0 are "1"; None where it is none."""
    if isinstance(value, str):
        text = value.strip()
        fits = 0 < len(text) <= LONGEST_ID and text.isprintable()  # no half characters either
        return text if fits else None
    number = value if type(value) is int else whole_number(value)
    if number is not None:
        return str(number) if number.bit_length() < 3 * LONGEST_ID else None
    return repr(value) if isinstance(value, float) and math.isfinite(value) else None


class IdTable:
    """Known ids, looked up by whatever names the same: "1", 1, 1.0 and "0001".

    An id that is there letter for letter goes first; as a whole number it holds where only one
    known id has that number.

    Args:
        ids: by `id_text`.
    """

    def __init__(self, ids: Iterable[str]):
        self._known, self._by_number = set(), {}
        for text in ids:
            if text in self._known:
                continue
            self._known.add(text)
            number = whole_number(text)
            if number is not None:
                self._by_number[number] = None if number in self._by_number else text

    def find(self, value: object) -> str | None:
        """Return the known id that a value names, or None."""
        text = id_text(value)
        if text is None or text in self._known:
            return text
        number = whole_number(text)
        return None if number is None else self._by_number.get(number)


def read_box(bbox: object) -> tuple[float, float, float, float]:
    """Return COCO's (x, y, width, height) as (ymin, xmin, ymax, xmax) in pixels.

    Raises:
        ValueError: not four numbers; they may be written as text, and need not be finite.
    """
    if not isinstance(bbox, list | tuple) or len(bbox) != 4:
        raise ValueError("bbox is not four numbers")
    try:
        x, y, width, height = (float(number) for number in bbox)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("bbox is not four numbers") from None
    return y, x, y + height, x + width


def read_segmentation(value: object) -> Segmentation | None:
    """Read a segmentation of any form.

    Args:
        value: polygons `[[x, y, ...], ...]`, one flat polygon, polygons of points
            `[[[x, y], ...]]`, run lengths `{"size": ..., "counts": ...}`, or one of these as text
            of Python or JSON.

    Returns:
        The `Segmentation`; None where the value says that there is none (null, [], "").

    Raises:
        SegmentationError: none of these. Whether polygons and runs make up a mask is checked later.
    """
    if type(value) is list and value and all(type(part) is array for part in value):
        if any(len(part) > 2 for part in value):  # polygons, and not points
            return Segmentation(tuple(value))
    if isinstance(value, str):
        value = _from_text(value)
    if value is None or (isinstance(value, list | tuple | dict | str) and not len(value)):
        return None
    try:
        if isinstance(value, dict):
            return _runs(value)
        if isinstance(value, list | tuple):
            return Segmentation(_parts(value))
    except (SegmentationError, RunLengthError):
        raise
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError):
        pass
    raise SegmentationError("the segmentation is neither polygons nor run lengths")


def to_rle(value: object, height: int, width: int) -> dict | None:
    """Return a segmentation of any form as a COCO run-length code that pycocotools can take.

    Args:
        value: as `read_segmentation` takes it.
        height, width: of the image in pixels.

    Returns:
        {"size": [height, width], "counts": bytes}, or None where there is no segmentation.

    Raises:
        SegmentationError, RunLengthError: it makes up no mask of this image.
    """
    read = read_segmentation(value)
    if read is None:
        return None
    if read.parts is None:
        return encode(run_lengths.check(*read.size, read.counts, height, width))
    parts = usable_polygons(read.parts)
    if not parts:
        raise SegmentationError("no polygon of three points or more")
    return polygons_to_rle(parts, height, width)


def checked_rle(rle: dict, height: int | None = None, width: int | None = None) -> dict:
    """Return a run-length code in the form that pycocotools can take without harm.

    Args:
        rle, height, width: as `run_lengths.parse` takes them; it says what it raises.
    """
    return encode(run_lengths.parse(rle, height, width))


def encode(runs: run_lengths.Runs) -> dict:
    """Return checked runs as {"size": [height, width], "counts": compressed bytes}."""
    height, width = runs.height, runs.width
    counts = run_lengths.merge_empty(runs.counts).tolist()
    return rle_codec.frPyObjects({"size": [height, width], "counts": counts}, height, width)


def polygons_to_rle(parts: Sequence, height: int, width: int) -> dict:
    """Return the union of polygons, checked by `usable_polygons`, as a run-length code."""
    codes = rle_codec.frPyObjects([list(part) for part in parts], height, width)
    return codes[0] if len(codes) == 1 else rle_codec.merge(codes)


def usable_polygons(parts: Iterable[Sequence[float]]) -> list[Sequence[float]]:
    """Return the polygons of three points or more; smaller ones hold no area.

    Raises:
        SegmentationError: x without y, a vertex that is no place in an image, or an outline that
            no object has.
    """
    parts = [part for part in parts if len(part) >= 6]
    length = 0.0
    for part in parts:
        if len(part) % 2:
            raise SegmentationError(f"a polygon of {len(part)} numbers: x without y")
        points = np.asarray(part, np.float64)
        if not np.isfinite(points).all() or np.abs(points).max() > FARTHEST:
            raise SegmentationError("a polygon with a vertex that is no place in an image")
        points = points.reshape(-1, 2)
        length += np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum()
    if length > LONGEST_OUTLINE:
        raise SegmentationError(
            f"polygons whose outline is {length:.0f} pixels long; at most {LONGEST_OUTLINE:.0f} "
            "are drawn"
        )
    return parts


def _runs(value):
    counts = value["counts"]
    if isinstance(counts, str):
        counts = run_lengths.to_bytes(counts)
    elif not isinstance(counts, bytes):
        counts = tuple(whole_number(number) for number in counts)
        if None in counts:
            raise SegmentationError("the 'counts' of the run lengths are not all whole numbers")
    return Segmentation(None, run_lengths.read_size(value["size"]), counts)


def _parts(value):
    """The polygons of a list, flat; raises what converting numbers raises."""
    if isinstance(value[0], int | float):
        return (_numbers(value),)  # one polygon without the outer list
    if all(map(_is_point, value)) and len(value) > 2:
        return (_numbers([number for point in value for number in point]),)
    parts = []
    for part in value:
        if isinstance(part, list | tuple) and len(part) > 2 and all(map(_is_point, part)):
            part = [number for point in part for number in point]
        parts.append(part if isinstance(part, array) else _numbers(part))
    return tuple(parts)


def _numbers(part):
    if not isinstance(part, list | tuple | array):
        raise TypeError
    return array("d", [_number(value) for value in part])


def _number(value):
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _is_point(point):
    is_pair = isinstance(point, list | tuple | array) and len(point) == 2
    return is_pair and all(isinstance(number, int | float) for number in point)


def _from_text(text):
    """The value that a text writes, in JSON or as Python's literals; nothing is executed."""
    text = text.strip()
    if not text or text.lower() in ("nan", "none", "null"):
        return None
    if len(text) > LONGEST_TEXT:
        raise SegmentationError(f"the segmentation is a text of {len(text)} characters")
    return parse_literal(text)


def parse_literal(text: str) -> object:
    """Return the value of a text in the notation of JSON or of Python.

    Raises:
        SegmentationError: the text is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():  # of '1if': Python's remarks on its own grammar
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise SegmentationError("the segmentation is neither polygons nor run lengths") from None
