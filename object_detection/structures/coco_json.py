"""Reader of the values that COCO's json files of annotations and of results share.

Reads ids, boxes and segmentations; checks everything before pycocotools sees it.
"""

import ast
import json
import math
import warnings
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from object_detection.errors import MaskError
from object_detection.structures import polygons, run_lengths
from object_detection.structures.run_lengths import whole_number

LONGEST_ID = 1000  # characters
LONGEST_TEXT = 10_000_000  # characters of a segmentation that is written as text


class Segmentation(NamedTuple):
    """A segmentation as read: polygons, or run lengths that are not checked yet."""

    parts: tuple[Sequence[float], ...] | None  # each (x0, y0, x1, y1, ...)
    size: tuple[int, int] | None = None  # (height, width) that the run lengths state
    counts: bytes | tuple | None = None


def id_text(value: object) -> str | None:
    """Return an id of an image or annotation as text: 1 and 1.0 are "1"; None if it is invalid."""
    if isinstance(value, str):
        text = value.strip()
        fits = 0 < len(text) <= LONGEST_ID and text.isprintable()  # no half characters either
        return text if fits else None
    number = value if type(value) is int else whole_number(value)
    if number is not None:
        return str(number) if number.bit_length() < 3 * LONGEST_ID else None
    return repr(value) if isinstance(value, float) and math.isfinite(value) else None


class IdTable:
    """Known ids, found under any equivalent spelling: "1", 1, 1.0 and "0001".

    An exact match takes precedence; otherwise an integer matches if exactly one known id has that
    value.

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
        """Return the known id that a value refers to, or None."""
        text = id_text(value)
        if text is None or text in self._known:
            return text
        number = whole_number(text)
        return None if number is None else self._by_number.get(number)


def read_box(bbox: object) -> tuple[float, float, float, float]:
    """Return COCO's (x, y, width, height) as (ymin, xmin, ymax, xmax) in pixels.

    Raises:
        ValueError: Not four numbers. Numbers may be written as text, and need not be finite.
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
        The `Segmentation`; None if the value says that there is no mask (null, [], "").

    Raises:
        MaskError: None of these forms. Polygons and runs are checked later.
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
    except MaskError:
        raise
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError):
        pass
    raise MaskError("the segmentation is neither polygons nor run lengths")


def to_rle(value: object, height: int, width: int) -> dict | None:
    """Return a segmentation of any form as a COCO RLE that pycocotools can take.

    Args:
        value: As for `read_segmentation`.
        height, width: of the image in pixels.

    Returns:
        {"size": [height, width], "counts": bytes}, or None without a segmentation.

    Raises:
        MaskError: It is not a mask of this image.
    """
    read = read_segmentation(value)
    if read is None:
        return None
    if read.parts is None:
        return run_lengths.encode(run_lengths.check(*read.size, read.counts, height, width))
    parts = polygons.usable_polygons(read.parts)
    if not parts:
        raise MaskError("no polygon of three points or more")
    return polygons.to_rle(parts, height, width)


def _runs(value):
    counts = value["counts"]
    if isinstance(counts, str):
        counts = run_lengths.to_bytes(counts)
    elif not isinstance(counts, bytes):
        counts = tuple(whole_number(number) for number in counts)
        if None in counts:
            raise MaskError("the 'counts' of the run lengths are not all whole numbers")
    return Segmentation(None, run_lengths.read_size(value["size"]), counts)


def _parts(value):
    """Return the polygons of a list, flat; raises whatever converting numbers raises."""
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
    """Return the value of a text in JSON or of Python literals; nothing is executed."""
    text = text.strip()
    if not text or text.lower() in ("nan", "none", "null"):
        return None
    if len(text) > LONGEST_TEXT:
        raise MaskError(f"the segmentation is a text of {len(text)} characters")
    return parse_literal(text)


def parse_literal(text: str) -> object:
    """Return the value of a text in the notation of JSON or of Python.

    Raises:
        MaskError: the text is neither.
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
        raise MaskError("the segmentation is neither polygons nor run lengths") from None
