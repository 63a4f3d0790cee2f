"""A segmentation that stands as text in a cell of a table: Python's or JSON's lists, or numbers."""

import math
import re

from object_detection.datasets import files
from object_detection.datasets.record import Polygons, RunLengths
from object_detection.ops import coco_json

EMPTY = frozenset(("", "nan", "none", "null", "[]", "[[]]", "()", "{}"))
FORMS = "[[x1, y1, x2, y2, ...], ...], [x1, y1, ...], [[x1, y1], ...] or COCO's run lengths"


class SegmentationFault(ValueError):
    """Text that is no segmentation; the sentence says why."""


def parse(text):
    """The mask that a text describes.

    Args:
        text: one or more polygons, flat or as points, as lists of Python or JSON; bare numbers with
            spaces or commas between them; or COCO's run lengths as a dict.

    Returns:
        `Polygons`, `RunLengths`, or None where the text says that there is no mask.

    Raises:
        SegmentationFault: it is none of these.
    """
    text = text.strip()
    if text.lower() in EMPTY:
        return None
    value = _value(text)
    if isinstance(value, dict) and {"size", "counts"} <= value.keys():
        return _runs(value)
    try:
        parts = tuple(part for part in _parts(value) if part)
    except RecursionError:
        raise SegmentationFault("the segmentation is nested too deep") from None
    except OverflowError:
        raise SegmentationFault("the segmentation has a number of more than 300 digits") from None
    return Polygons(parts) if parts else None


def _value(text):
    """The text as lists, tuples, dicts and numbers; nothing of it is ever executed."""
    if re.fullmatch(r"[-+.\deE\s,;]+", text):
        numbers = re.split(r"[\s,;]+", text.strip(" ,;"))
        try:
            return [float(number) for number in numbers]
        except ValueError:
            raise SegmentationFault(f"the segmentation is {_short(text)}") from None
    try:
        return coco_json.parse_literal(text)
    except coco_json.SegmentationError:
        raise SegmentationFault(
            f"the segmentation is {_short(text)}; it is to be {FORMS}"
        ) from None


def _runs(value):
    try:
        height, width = (int(side) for side in value["size"])
        counts = value["counts"]
        if isinstance(counts, str):
            counts = counts.encode()
        elif not isinstance(counts, bytes):
            counts = tuple(int(number) for number in counts)
    except (TypeError, ValueError, OverflowError):
        raise SegmentationFault("run lengths whose 'size' or 'counts' cannot be read") from None
    return RunLengths(height, width, counts)


def _parts(value):
    """The polygons of a value, each flat: (x0, y0, x1, y1, ...)."""
    if not isinstance(value, list | tuple):
        raise SegmentationFault(f"the segmentation is {_short(value)}; it is to be {FORMS}")
    if all(_is_number(item) for item in value):
        return [tuple(float(number) for number in value)]
    if all(_is_point(item) for item in value):
        return [tuple(coordinate for point in value for coordinate in _point(point))]
    return [part for item in value for part in _parts(item)]


def _is_number(item):
    return isinstance(item, int | float) and not isinstance(item, bool)


def _is_point(item):
    if isinstance(item, dict):
        return _is_number(item.get("x")) and _is_number(item.get("y"))
    return isinstance(item, list | tuple) and len(item) == 2 and all(map(_is_number, item))


def _point(item):
    pair = (item["x"], item["y"]) if isinstance(item, dict) else item
    return tuple(float(number) for number in pair)


def numbers_of(mask):
    """All coordinates of `Polygons` that are numbers; none for run lengths and None."""
    parts = mask.parts if isinstance(mask, Polygons) else ()
    return [number for part in parts for number in part if math.isfinite(number)]


def _short(value):
    text = value if isinstance(value, str) else files.shortened(value)
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
