"""Reads tables with one row an object: the CSV files of many tools, with or without polygons.

    filename,xmin,ymin,xmax,ymax,class
    filename,width,height,class,xmin,ymin,xmax,ymax      (tutorials of TFOD, Roboflow)
    filename,xmin,ymin,xmax,ymax,segmentation,class      (polygons; azoda)
    image,xmin,ymin,xmax,ymax,segmentation,class,confidence  (shares of the image; pixelflow)
    "image","xmin","ymin","xmax","ymax","label"          (VoTT)

Columns are known by their names, in any order; others are left alone. A row without a class is an
image without objects.
"""

import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import csv_columns, drawn, files, segmentation_text
from object_detection.datasets.csv_columns import BOX
from object_detection.datasets.record import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
)
from object_detection.datasets.report import DERIVED, NOTED, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

AUTO, PIXELS, NORMALIZED = "auto", "pixels", "normalized"
# The largest number of a file whose numbers are taken for shares of the image: shares may lie a
# little over 1, and no real object ends within the first pixel and a half.
LARGEST_SHARE = 1.5
# Above it no number that is declared to be a share is one: the object would be ten images wide.
LARGEST_DECLARED_SHARE = 10.0
EXCHANGED = "the corners of the box stood the wrong way round: exchanged"
NO_CLASS = frozenset(("", "nan", "null", "<na>"))  # 'none' may well be somebody's class
NO_NUMBER = NO_CLASS | {"none", "na", "n/a"}


class _Row(NamedTuple):
    key: str
    image: str
    size: tuple[int, int] | None
    found: AnnotatedObject | None


class _NoObject(Exception):
    """Why a row gives no object."""


def read(path, image_dir=None, *, coordinates=AUTO, with_masks=False):
    """Reads one table.

    Args:
        path: of the table.
        image_dir: folder of the images; None: the one of the table.
        coordinates: 'pixels'; 'normalized': shares of the image's width and height; 'auto':
            normalized where no number of the whole file is above 1.5, which a finding tells.
        with_masks: masks are to be written: the table needs a column of segmentations.

    Returns:
        An `AnnotationSet`: images in the order of their first rows, classes sorted, without ids.

    Raises:
        AnnotationError: the file cannot be read, has no header, or columns are missing; there is no
            such folder of images; the numbers are clearly not what `coordinates` says.
    """
    if image_dir and not Path(image_dir).is_dir():
        raise AnnotationError(f"there is no folder {image_dir}")
    table = csv_columns.read(path)
    if with_masks and "segmentation" not in table.columns:
        names = csv_columns.NAMES["segmentation"].replace(" ", ", ")
        raise AnnotationError(
            f"{path} has no column of masks, which are to be written (--include_masks). Name one "
            f"of its columns {names}; or convert the boxes without --include_masks. Its header is "
            f"{table.header[:120]!r}"
        )
    findings = []
    rows = [row for row in _rows(table, Path(path).name, findings) if row]
    _check_coordinates(path, rows, coordinates)
    normalized = coordinates == NORMALIZED
    if coordinates == AUTO:
        normalized = _are_shares(rows)
        if normalized:
            reason = "no number of the table is above 1.5: all are shares of the image's sides"
            findings.append(Finding(DERIVED, reason, Path(path).name))
    if not normalized:
        findings += _tiny(rows)
    findings += _repeated(rows)
    images = _images(rows, files.ImageFolder(image_dir or Path(path).parent), normalized, findings)
    names = sorted({row.found.class_name for row in rows if row.found})
    return AnnotationSet(
        str(path), tuple(Category(name) for name in names), images, tuple(findings)
    )


def _rows(table, name, findings):
    """The rows as `_Row`s; what is wrong with them goes to `findings`."""
    for line, cells in table.rows:
        key = f"{name} line {line}"
        cells = [cell.strip() for cell in cells]
        values = {
            ours: cells[place] if place < len(cells) else ""
            for ours, place in table.columns.items()
        }
        fault = files.name_fault(values["image"]) if values["image"] else "the row names no image"
        if fault:
            findings.append(Finding(SKIPPED_OBJECT, fault, key))
            continue
        found = None
        try:
            if any(cells[table.width :]):
                raise _NoObject(
                    f"the row has {len(cells)} cells and the header {table.width}: text that holds "
                    "the separator must stand in quotes"
                )
            found = _object(values, key, table.delimiter, findings)
        except _NoObject as reason:
            findings.append(Finding(SKIPPED_OBJECT, str(reason), key))
        yield _Row(key, values["image"], _size(values), found)


def _object(values, key, delimiter, findings):
    """The object of a row; None where the row stands for an image without objects."""
    numbers = [_number(values, name, delimiter) for name in BOX]
    class_name = values["class"]
    if class_name.lower() in NO_CLASS:
        if any(numbers):
            raise _NoObject("the row has a box but no class")
        return None
    if len(class_name) > drawn.LONGEST_CLASS_NAME:
        raise _NoObject(f"the class is no name: {files.shortened(class_name)}")
    mask, fault = None, None
    try:
        mask = segmentation_text.parse(values.get("segmentation", ""))
    except segmentation_text.SegmentationFault as error:
        fault = str(error)
    missing = [name for name, number in zip(BOX, numbers, strict=True) if number is None]
    if missing and mask is None:
        if fault:
            raise _NoObject(fault)
        raise _NoObject("the row has a class, but neither a whole box nor a segmentation")
    if 0 < len(missing) < 4:
        reason = "a part of the box is missing: it is taken from the segmentation"
        findings.append(Finding(NOTED, reason, key))
    flags = {name: _is_true(values.get(name)) for name in ("crowd", "difficult", "truncated")}
    box = None if missing else _upright(numbers, key, findings)
    return AnnotatedObject(key, class_name, box, mask, mask_fault=fault, **flags)


def _upright(numbers, key, findings):
    """The box of two corners that may have been written in the wrong order; that is named."""
    ymin, xmin, ymax, xmax = numbers
    if ymin > ymax or xmin > xmax:
        findings.append(Finding(NOTED, EXCHANGED, key))
    return min(ymin, ymax), min(xmin, xmax), max(ymin, ymax), max(xmin, xmax)


def _number(values, name, delimiter):
    """A cell as a number; None where it is empty."""
    text = values.get(name, "")
    if text.lower() in NO_NUMBER:
        return None
    try:
        return float(text.replace(",", ".") if delimiter != "," else text)
    except ValueError:
        raise _NoObject(f"{name} is {text[:40]!r}, not a number") from None


def _is_true(text):
    return (text or "").lower() in ("1", "1.0", "true", "yes")


def _size(values):
    """The (height, width) that a row states, or None."""
    return drawn.size_of(values.get("height"), values.get("width"))


def _numbers(found):
    """All coordinates of an object that are numbers."""
    box = found.box or ()
    return [
        *(side for side in box if math.isfinite(side)),
        *segmentation_text.numbers_of(found.mask),
    ]


def _check_coordinates(path, rows, coordinates):
    """Refuse a declared unit with which every object would be lost, or be one pixel large."""
    largest = [max(map(abs, _numbers(row.found)), default=0) for row in rows if row.found]
    if coordinates == NORMALIZED:
        beyond = sum(number > LARGEST_DECLARED_SHARE for number in largest)
        if 2 * beyond > len(largest):
            raise AnnotationError(
                f"{path}: --coordinates=normalized says that all numbers are shares of the image's "
                f"sides, from 0 to 1, but {beyond} of {len(largest)} objects have one above "
                f"{LARGEST_DECLARED_SHARE:g} (the largest is {max(largest):g}). They are pixels: "
                f"use --coordinates={PIXELS}, or leave the flag out"
            )
    elif coordinates == PIXELS and _are_shares(rows):
        if not all(
            number.is_integer() for row in rows if row.found for number in _numbers(row.found)
        ):
            raise AnnotationError(
                f"{path}: no number of the table is above {LARGEST_SHARE:g}, so that every object "
                f"would lie within the first pixel. They are shares of the image's sides: use "
                f"--coordinates={NORMALIZED}, or leave the flag out; where only pixels are taken, "
                "multiply them by the image's width and height"
            )


def _are_shares(rows):
    largest = [max(map(abs, _numbers(row.found)), default=0) for row in rows if row.found]
    return bool(largest) and max(largest) <= LARGEST_SHARE and max(largest) > 0


def _tiny(rows):
    """Boxes in a table of pixels that end within the first one: shares that came in between?"""
    reason = "the box ends within the first pixel or two: is it in shares of the image's sides?"
    return [
        Finding(NOTED, reason, row.key)
        for row in rows
        if row.found and row.found.box and max(row.found.box) <= LARGEST_SHARE
    ]


def _repeated(rows):
    """Objects that stand there more than once, word for word: a table merged with itself?"""
    times = Counter((row.image, row.found._replace(key="")) for row in rows if row.found)
    return [
        Finding(NOTED, "the same object stands there more than once; each is kept", row.key)
        for row in rows
        if row.found and times[row.image, row.found._replace(key="")] > 1
    ]


def _images(rows, folder, normalized, findings):
    """The images with their objects; names that mean one file are one image."""
    paths, by_path = {}, {}
    for row in rows:
        if row.image not in paths:
            paths[row.image] = folder.path(row.image, any_suffix=True)
        by_path.setdefault(paths[row.image], []).append(row)
    findings += folder.findings()
    images = []
    for path, own in by_path.items():
        name = files.relative_name(path, folder.root)
        objects = tuple(row.found for row in own if row.found)
        sizes = {row.size for row in own if row.size}
        if len(sizes) > 1:
            findings.append(Finding(NOTED, "the rows of the image state several sizes", name))
        images.append(
            AnnotatedImage(
                key=name,
                source_id=name,
                filename=name,
                objects=objects,
                path=path,
                stated_size=sizes.pop() if len(sizes) == 1 else None,
                normalized=normalized,
            )
        )
    return tuple(images)
