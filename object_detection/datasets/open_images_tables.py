"""The tables of Open Images, read row by row into compact columns: tens of bytes a row.

Columns are known by their names, so the tables of all versions (V2 to V7) and those of the
challenges fit.
"""

import csv
import math
from array import array
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection.datasets.record import Category, Finding
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
SIDES = ("YMin", "XMin", "YMax", "XMax")
SIZE = ("ImageHeight", "ImageWidth")
UNKNOWN = -1  # of a flag
FLAG = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1}
BROKEN = (SKIPPED_OBJECT, "the row is cut off, or a number is none")
LARGEST_SIDE = 65_535  # pixels of a mask in the table
NO_CLASS = {
    "boxes": (SKIPPED_OBJECT, "the label map has no such class"),
    "masks": (SKIPPED_OBJECT, "the label map has no such class"),
    "labels": (NOTED, "image-level labels of classes that the label map does not have"),
}
NAMED = 10  # images or lines that a finding on many rows names
csv.field_size_limit(2**31 - 1)  # a mask inside a table may be longer than the module expects


class Names:
    """Names with numbers from 0 on, in the order of their coming.

    Args:
        allowed: take these alone; None: take every name.
    """

    def __init__(self, allowed=None):
        self.places = {} if allowed is None else {name: place for place, name in enumerate(allowed)}
        self._is_open = allowed is None

    def place(self, name):
        """The number of a name; None: it is not allowed."""
        place = self.places.get(name)
        if place is None and self._is_open:
            name.encode()  # raises `UnicodeEncodeError`, a ValueError, for what was no UTF-8
            place = self.places[name] = len(self.places)
        return place

    def list(self):
        return list(self.places)


class Texts:
    """A list of strings in one piece of memory."""

    def __init__(self):
        self._bytes, self._ends = bytearray(), array("Q", [0])

    def append(self, text):
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))

    def __getitem__(self, place):
        return self._bytes[self._ends[place] : self._ends[place + 1]].decode()


class LeftOut:
    """Rows that are left out, counted by reason, the first of each by name."""

    def __init__(self, table):
        self.table, self._counts, self._first = table, Counter(), {}

    def add(self, group, reason, key):
        self._counts[group, reason] += 1
        first = self._first.setdefault((group, reason), [])
        if len(first) < NAMED and key not in first:
            first.append(key)

    def findings(self):
        """One `Finding` a reason."""
        for (group, reason), count in self._counts.items():
            first = self._first[group, reason]
            more = ", ..." if count > len(first) else ""
            rows = "row" if count == 1 else "rows"
            key = f"{self.table}: {count} {rows} ({', '.join(first)}{more})"
            yield Finding(group, reason, key)


class ByImage(NamedTuple):
    """Rows sorted by image."""

    order: np.ndarray  # [rows] places of the rows, those of one image together, else as they stood
    begins: np.ndarray  # [images + 1] where each image's begin

    def rows(self, image):
        """The places of an image's rows."""
        return self.order[self.begins[image] : self.begins[image + 1]].tolist()


def by_image(images, count):
    """`ByImage` of the image numbers [rows] of a table, there being so many images."""
    images = np.frombuffer(images, np.int32) if len(images) else np.zeros(0, np.int32)
    order = np.argsort(images, kind="stable").astype(np.int32)
    return ByImage(order, np.concatenate([[0], np.cumsum(np.bincount(images, minlength=count))]))


class Table(NamedTuple):
    """A table's rows of images at hand; columns that it does not have are empty."""

    name: str  # of the file
    lines: array  # number of a row's line
    images: array  # number of its image
    labels: array  # number of its class
    boxes: array  # four a row: ymin, xmin, ymax, xmax as shares of the image; NaN: none stated
    flags: array  # five a row, as in `FLAGS`: 0, 1 or UNKNOWN
    confidences: array  # of image-level labels
    masks: Texts  # name of the mask's file, or the mask itself
    sizes: array  # two a row: height and width of a mask that stands in the table
    has_masks: bool = False  # whether the masks are in the table, not in files that it names


def read(path, images, labels, *, kind):
    """Reads a table.

    Args:
        path: of the CSV.
        images: `Names` of the images at hand. Rows of others are left out.
        labels: `Names` of the classes.
        kind: 'boxes', 'masks' or 'labels'.

    Returns:
        A `Table` and the `Finding`s about it.

    Raises:
        AnnotationError: it cannot be read, or columns are missing.
    """
    left_out = LeftOut(Path(path).name)
    try:
        # A byte that is no UTF-8 costs its row, not the table.
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            rows = csv.reader(stream)
            header = [name.strip() for name in next(rows, [])]
            "".join(header).encode()  # raises where the file is no text at all
            table = _read(rows, _Places.of(path, header, kind), images, labels, left_out)
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeError, csv.Error) as error:
        raise AnnotationError(f"{path} is not a table in UTF-8: {error}") from None
    return table, list(left_out.findings())


class _Places(NamedTuple):
    """Where in a row things stand."""

    kind: str
    image: int
    label: int
    sides: tuple[int, ...]  # of ymin, xmin, ymax, xmax; empty: no boxes
    flags: tuple[int | None, ...]  # of the five flags; empty: none of them
    confidence: int | None
    mask: int | None
    size: tuple[int, ...]  # of height and width of a mask that stands in the table

    @classmethod
    def of(cls, path, header, kind):
        """The places by the header; raises `AnnotationError` where one is missing."""
        begin = "Box" if "BoxXMin" in header else ""
        sides = () if kind == "labels" else (f"{begin}{side}" for side in SIDES)
        mask, size = (), ()
        if kind == "masks":
            is_inside = "Mask" in header and "MaskPath" not in header  # as in the challenges
            mask, size = (("Mask",), SIZE) if is_inside else (("MaskPath",), ())
        wanted = ("ImageID", "LabelName", *sides, *mask, *size)
        missing = [name for name in wanted if name not in header]
        if missing:
            raise AnnotationError(
                f"{path} has no column {', '.join(missing)}: it is no table of {kind} of Open "
                f"Images'. Its first line is {ascii(','.join(header)[:120])}"
            )
        image, label, *rest = (header.index(name) for name in wanted)
        flags = [header.index(name) if name in header else None for name in FLAGS]
        has_flags = kind != "labels" and any(place is not None for place in flags)
        has_confidence = kind == "labels" and "Confidence" in header
        return cls(
            kind,
            image,
            label,
            tuple(rest[:4]),
            tuple(flags) if has_flags else (),
            header.index("Confidence") if has_confidence else None,
            rest[4] if mask else None,
            tuple(rest[5:]),
        )


def _read(rows, places, images, labels, left_out):
    """The rows as a `Table`. A loop over millions: what it says twice, it says for speed."""
    codes = "Iiifbf"  # lines, images, labels, boxes, flags, confidences
    table = Table(left_out.table, *map(array, codes), Texts(), array("i"), bool(places.size))
    may_lack_box = places.kind == "masks"
    for cells in _whole_rows(rows, left_out):
        try:
            image, label = images.place(cells[places.image]), labels.place(cells[places.label])
            if image is None:
                left_out.add(SKIPPED_IMAGE, "no image file of this name", cells[places.image])
                continue
            if label is None:
                left_out.add(*NO_CLASS[places.kind], cells[places.label])
                continue
            box = [float(cells[place] or "nan") for place in places.sides]
            if not (may_lack_box or all(map(math.isfinite, box))):
                raise ValueError(box)
            size = [int(cells[place]) for place in places.size]
            if not all(0 < side <= LARGEST_SIDE for side in size):
                raise ValueError(size)
            if places.confidence is not None:
                table.confidences.append(float(cells[places.confidence] or 1))
            if places.mask is not None:
                table.masks.append(cells[places.mask].strip())
        except (IndexError, ValueError):
            left_out.add(*BROKEN, f"line {rows.line_num}")
            continue
        table.flags.extend(
            UNKNOWN if place is None or place >= len(cells) else FLAG.get(cells[place], UNKNOWN)
            for place in places.flags
        )
        table.boxes.extend(box)
        table.sizes.extend(size)
        table.lines.append(rows.line_num)
        table.images.append(image)
        table.labels.append(label)
    return table


def _whole_rows(rows, left_out):
    """Yield the rows that are not empty; those that the csv module cannot read are left out."""
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:  # a null byte, for some versions of Python
            left_out.add(*BROKEN, f"line {rows.line_num}")
            continue
        if cells:
            yield cells


def descriptions(path):
    """The classes of a table of descriptions, in its order: the ids that TFOD's label maps have.

    Args:
        path: `class-descriptions-boxable.csv` or another, with or without a header.

    Returns:
        A list of `Category`: named by MID (/m/01g317), with the words for it as display name.

    Raises:
        AnnotationError: it cannot be read, or holds something else.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            rows = [cells for cells in csv.reader(stream) if any(cells)]
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"{path} is not a table in UTF-8: {error}") from None
    if rows and rows[0][0].strip() == "LabelName":
        rows = rows[1:]
    for cells in rows:
        if len(cells) != 2 or not cells[0].strip().startswith("/"):
            raise AnnotationError(
                f"{path} holds the row {','.join(cells)[:80]!r}; class descriptions are rows such "
                "as /m/01g317,Person"
            )
    names = {mid.strip(): words.strip() for mid, words in rows}
    return [
        Category(mid, number, (("display_name", words),))
        for number, (mid, words) in enumerate(names.items(), start=1)
    ]
