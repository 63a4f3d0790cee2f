"""Reads Open Images: boxes, instance masks and image-level labels from its tables.

The tables hold millions of rows. They are read row by row into compact columns, tens of bytes a
row; an image and its objects are made on demand. Columns are known by their names, so that the
tables of all versions (V2 to V7) and those of the challenges fit.
"""

import base64
import binascii
import csv
import math
import os
import zlib
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection.datasets import files
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
    ImageLabel,
    MaskFile,
    RunLengths,
    Stretched,
)
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

# How far a side of a mask's box may be from that of its box in the other table, as a share of the
# image: the tables round differently.
SAME_BOX = 0.001
LARGEST_MASK = 1 << 26  # bytes of run lengths; a mask of more is a bomb
# Flag -> name of the feature. TFOD writes the first four.
FEATURES = ("occluded", "truncated", "group_of", "depiction", "inside")


class Source(NamedTuple):
    """The files of a set. Only the images, and boxes or masks, have to be there."""

    image_dir: str
    boxes: str = ""
    masks: str = ""  # table of the masks
    mask_dir: str = ""  # folder of the PNGs that the table of the masks names
    image_labels: str = ""
    descriptions: str = ""


def read(source, *, class_names=None, masks_only=False):
    """Reads a set.

    Args:
        source: the `Source`.
        class_names: the classes to read (MIDs such as '/m/01g317'); None: those of the
            descriptions, else all that have a box or a mask.
        masks_only: leave out boxes without a mask, with one finding an image.

    Returns:
        An `AnnotationSet` with every image of the folder, sorted by id, boxes as shares of the
        image. Rows of images that are not there are counted and left out.

    Raises:
        AnnotationError: no images; no table; a table that cannot be read.
    """
    if not (source.boxes or source.masks):
        raise AnnotationError("Open Images needs a table of boxes or one of masks")
    paths, findings = _image_paths(source)
    categories = read_descriptions(source.descriptions) if source.descriptions else []
    if class_names is None and categories:
        class_names = [category.name for category in categories]
    images, labels = Names(sorted(paths)), Names(class_names)
    read_tables = {}
    for kind in ("boxes", "masks"):
        path = getattr(source, kind)
        if path:
            read_tables[kind], about = read_table(path, images, labels, kind=kind)
            findings += about
    _check_classes(class_names, read_tables, findings)
    if source.image_labels:
        closed = Names(labels.list())  # a class that has no box gets no number
        read_tables["labels"], about = read_table(
            source.image_labels, images, closed, kind="labels"
        )
        findings += about
    if (
        read_tables.get("masks")
        and not read_tables["masks"].has_masks
        and not Path(source.mask_dir or "?").is_dir()
    ):
        raise AnnotationError(
            f"{source.masks} names PNGs: there is no folder of masks '{source.mask_dir}'"
        )
    findings += [
        each for kind in ("boxes", "masks") for each in _unknown_groups(read_tables.get(kind))
    ]
    return AnnotationSet(
        source.boxes or source.masks,
        tuple(_categories(labels.list(), categories, keep_order=class_names is not None)),
        _Images(source, paths, labels.list(), read_tables, masks_only=masks_only),
        tuple(findings),
    )


def _check_classes(class_names, read_tables, findings):
    """Raises `AnnotationError` where the tables have rows, and none of the classes asked for."""
    refused = [each for each in findings if (each.group, each.reason) == NO_CLASS["boxes"]]
    if refused and not any(table.images for table in read_tables.values()):
        raise AnnotationError(
            f"no object is of a class that is asked for ({', '.join(class_names[:3])}, ...); the "
            f"tables have {refused[0].key.partition('(')[2].rstrip(')')}. The names in a label map "
            "of Open Images are such MIDs; words for them are display names"
        )


def _categories(names, described, *, keep_order):
    """The classes: as described, as given, or as found (then sorted)."""
    by_name = {category.name: category for category in described}
    known = names if keep_order else sorted(names)
    return [by_name.get(name, Category(name)) for name in known]


def _image_paths(source):
    """Image id -> path below the folder of the images, and findings."""
    root = Path(source.image_dir)
    if not root.is_dir():
        raise AnnotationError(f"there is no folder {root}")
    paths, findings = {}, []
    avoid = source.mask_dir and os.path.realpath(source.mask_dir)
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            each for each in folders if os.path.realpath(Path(folder, each)) != avoid
        )
        place = os.path.relpath(folder, root)
        for name in sorted(names):
            image_id, suffix = os.path.splitext(name)
            if suffix.lower() not in files.IMAGE_SUFFIXES or name.startswith("."):
                continue
            path = name if place == "." else f"{place}/{name}"
            if paths.setdefault(image_id, path) != path:
                reason = f"a second image of this id is left out; {paths[image_id]} is taken"
                findings.append(Finding(NOTED, reason, path))
    if not paths:
        raise AnnotationError(f"{root} holds no images")
    return paths, findings


def _unknown_groups(boxes):
    """Yields a finding on boxes with an unknown IsGroupOf."""
    if boxes is None:
        return
    groups = boxes.flags[FLAGS.index("IsGroupOf") :: len(FLAGS)]
    unknown = groups.count(UNKNOWN)
    if not unknown:
        return
    reason = "IsGroupOf is unknown (-1): written as 0, for readers take every other number for yes"
    yield Finding(NOTED, reason, f"{boxes.name}: {unknown} rows")


class _Images(Sequence):
    """The images of a set, each made when it is asked for."""

    def __init__(self, source, paths, label_names, read_tables, *, masks_only):
        self._root, self._labels, self._tables = Path(source.image_dir), label_names, read_tables
        self._ids, self._paths, self._masks_only = sorted(paths), paths, masks_only
        self._by_image = {
            kind: rows_by_image(table.images, len(self._ids)) for kind, table in read_tables.items()
        }
        self._mask_of = (
            _Masks(source.mask_dir, read_tables["masks"]) if "masks" in read_tables else None
        )

    def __len__(self):
        return len(self._ids)

    def __getitem__(self, place):
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        place = range(len(self))[place]  # of a negative one, and of one that is too large
        image_id = self._ids[place]
        objects, findings = self._objects(place)
        return AnnotatedImage(
            key=image_id,
            source_id=image_id,
            filename=image_id + os.path.splitext(self._paths[image_id])[1],
            objects=objects,
            path=self._root / self._paths[image_id],
            normalized=True,
            labels=self._image_labels(place),
            complete=partial(_with, findings=findings) if findings else None,
        )

    def _rows(self, kind, image):
        return self._by_image[kind].rows(image) if kind in self._tables else []

    def _image_labels(self, image):
        rows = self._rows("labels", image)
        table = self._tables.get("labels")
        return tuple(
            ImageLabel(
                self._labels[table.labels[row]],
                table.confidences[row] if table.confidences else 1.0,
            )
            for row in rows
        )

    def _objects(self, image):
        """The objects of an image: boxes with their masks, then masks that have no box."""
        objects = [self._object("boxes", row) for row in self._rows("boxes", image)]
        findings = []
        for row in self._rows("masks", image):
            masked = self._object("masks", row)
            place = _same_box(masked, objects)
            if place is not None:
                mask, fault = masked.mask, masked.mask_fault
                objects[place] = objects[place]._replace(mask=mask, mask_fault=fault, area=None)
                continue
            if "boxes" in self._tables:
                reason = "a mask whose box is not in the table of boxes; its own is taken"
                findings.append(Finding(NOTED, reason, masked.key))
            objects.append(masked)
        # An image of bare boxes keeps them: the conversion leaves it out, and says so.
        if self._masks_only and not all(map(_is_bare, objects)):
            bare = sum(_is_bare(each) for each in objects)
            if bare:
                key = f"{self._ids[image]}: {bare} of {len(objects)} boxes"
                findings.append(Finding(SKIPPED_OBJECT, "boxes without a mask", key))
            objects = [each for each in objects if not _is_bare(each)]
        return tuple(objects), tuple(findings)

    def _object(self, kind, row):
        """The object of a row of the boxes or of the masks."""
        table = self._tables[kind]
        box = tuple(table.boxes[4 * row : 4 * row + 4])
        flags = table.flags[5 * row : 5 * row + 5]
        occluded, truncated, group_of, depiction, inside = flags or (0,) * 5
        values = (occluded, truncated, max(group_of, 0), depiction, inside)
        mask, fault = self._mask_of(row) if kind == "masks" else (None, None)
        # Said here, so that no report lists the areas of fourteen million boxes as taken from them.
        area = (box[2] - box[0]) * (box[3] - box[1]) if kind == "boxes" else None
        return AnnotatedObject(
            key=f"{self._ids[table.images[row]]} ({table.name} line {table.lines[row]})",
            class_name=self._labels[table.labels[row]],
            box=None if any(map(math.isnan, box)) else box,
            mask=mask,
            mask_fault=fault,
            area=area,
            truncated=truncated == 1,
            group_of=group_of == 1,
            attributes=tuple(zip(FEATURES, values, strict=True)) if flags else (),
        )


def _with(image, findings):
    """What `AnnotatedImage.complete` is to be: the image as it is, and what was found about it."""
    return image, findings


def _is_bare(annotated):
    return annotated.mask is None and annotated.mask_fault is None


def _same_box(masked, objects):
    """Place of the object without a mask whose class and box are those of `masked`, or None."""
    best, nearest = None, SAME_BOX
    for place, each in enumerate(objects):
        if masked.box is None or each.class_name != masked.class_name or not _is_bare(each):
            continue
        apart = max(abs(a - b) for a, b in zip(each.box, masked.box, strict=True))
        if apart <= nearest:
            best, nearest = place, apart
    return best


class _Masks:
    """The masks of a table, each made when it is asked for.

    Args:
        folder: of the PNGs; they may lie in folders below it.
        table: the `Table`.
    """

    def __init__(self, folder, table):
        self._table = table
        self._folders = [Path(place) for place, _, _ in os.walk(folder)] if folder else []

    def __call__(self, row):
        """The mask of a row, which covers the image in a size of its own; and why there is none."""
        text = self._table.masks[row]
        if not text:
            return None, None
        if self._table.has_masks:
            height, width = self._table.sizes[2 * row : 2 * row + 2]
            return _runs(text, height, width)
        fault = files.name_fault(text)
        if fault or not files.is_inside(self._folders[0] / text, self._folders[0]):
            return None, f"the table names no file of the masks: {fault or 'it is elsewhere'}"
        path = self._folders[0] / text
        if len(self._folders) > 1:
            paths = (folder / text for folder in self._folders)
            path = next((each for each in paths if files.is_file(each)), path)
        return Stretched(MaskFile(path)), None


def _runs(text, height, width):
    """A mask stored in the table: COCO's run lengths, packed, as base64."""
    try:
        unpacker = zlib.decompressobj()
        counts = unpacker.decompress(base64.b64decode(text), LARGEST_MASK)
        if not unpacker.eof:
            raise ValueError("cut off, or far too long")
    except (ValueError, binascii.Error, zlib.error) as error:
        return None, f"the mask in the table cannot be unpacked ({error})"
    return Stretched(RunLengths(height, width, counts)), None


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
        allowed: take only these; None: take every name.
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


def rows_by_image(images, count):
    """Return the `ByImage` of the image numbers [rows] of a table with `count` images."""
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
    sizes: array  # two a row: height and width of a mask in the table
    has_masks: bool = False  # whether the masks are in the table, not in files that it names


def read_table(path, images, labels, *, kind):
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
            table = _read_rows(rows, _Places.of(path, header, kind), images, labels, left_out)
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeError, csv.Error) as error:
        raise AnnotationError(f"{path} is not a table in UTF-8: {error}") from None
    return table, list(left_out.findings())


class _Places(NamedTuple):
    """Positions of the columns in a row."""

    kind: str
    image: int
    label: int
    sides: tuple[int, ...]  # of ymin, xmin, ymax, xmax; empty: no boxes
    flags: tuple[int | None, ...]  # of the five flags; empty: none of them
    confidence: int | None
    mask: int | None
    size: tuple[int, ...]  # of height and width of a mask in the table

    @classmethod
    def of(cls, path, header, kind):
        """The places by the header; raises `AnnotationError` where one is missing."""
        begin = "Box" if "BoxXMin" in header else ""
        sides = () if kind == "labels" else (f"{begin}{side}" for side in SIDES)
        mask, size = (), ()
        if kind == "masks":
            is_inside = "Mask" in header and "MaskPath" not in header  # as in the challenges
            mask, size = (("Mask",), SIZE) if is_inside else (("MaskPath",), ())
        required = ("ImageID", "LabelName", *sides, *mask, *size)
        missing = [name for name in required if name not in header]
        if missing:
            raise AnnotationError(
                f"{path} has no column {', '.join(missing)}: it is no table of {kind} of Open "
                f"Images'. Its first line is {ascii(','.join(header)[:120])}"
            )
        image, label, *rest = (header.index(name) for name in required)
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


def _read_rows(rows, places, images, labels, left_out):
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


def read_descriptions(path):
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
