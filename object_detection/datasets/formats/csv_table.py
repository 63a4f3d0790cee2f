"""Reads tables with one row an object: the CSV files of many tools, with or without polygons.

    filename,xmin,ymin,xmax,ymax,class
    filename,width,height,class,xmin,ymin,xmax,ymax      (tutorials of TFOD, Roboflow)
    filename,xmin,ymin,xmax,ymax,segmentation,class      (polygons; azoda)
    image,xmin,ymin,xmax,ymax,segmentation,class,confidence  (shares of the image; pixelflow)
    "image","xmin","ymin","xmax","ymax","label"          (VoTT)

Columns are known by their names, in any order; others are ignored. A row without a class is an
image without objects.
"""

import csv
import io
import math
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
    Polygons,
    RunLengths,
)
from object_detection.datasets.formats import shapes
from object_detection.datasets.report import DERIVED, NOTED, SKIPPED_OBJECT
from object_detection.errors import AnnotationError, MaskError
from object_detection.structures import coco_json

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
    annotated: AnnotatedObject | None


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
    table = read_table(path)
    if with_masks and "segmentation" not in table.columns:
        names = NAMES["segmentation"].replace(" ", ", ")
        raise AnnotationError(
            f"{path} has no column of masks, which are to be written (--include_masks). Name one "
            f"of its columns {names}; or convert the boxes without --include_masks. Its header is "
            f"{table.header[:120]!r}"
        )
    findings = []
    rows = [row for row in _read_rows(table, Path(path).name, findings) if row]
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
    names = sorted({row.annotated.class_name for row in rows if row.annotated})
    return AnnotationSet(
        str(path), tuple(Category(name) for name in names), images, tuple(findings)
    )


def _read_rows(table, name, findings):
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
        annotated = None
        try:
            if any(cells[table.width :]):
                raise AnnotationError(
                    f"the row has {len(cells)} cells and the header {table.width}: text that "
                    "contains the separator needs quotes"
                )
            annotated = _object(values, key, table.delimiter, findings)
        except AnnotationError as reason:
            findings.append(Finding(SKIPPED_OBJECT, str(reason), key))
        yield _Row(key, values["image"], _size(values), annotated)


def _object(values, key, delimiter, findings):
    """The object of a row; None if the row is an image without objects."""
    numbers = [_number(values, name, delimiter) for name in BOX]
    class_name = values["class"]
    if class_name.lower() in NO_CLASS:
        if any(numbers):
            raise AnnotationError("the row has a box but no class")
        return None
    if len(class_name) > shapes.LONGEST_CLASS_NAME:
        raise AnnotationError(f"the class is no name: {files.shortened(class_name)}")
    mask, fault = None, None
    try:
        mask = parse_segmentation(values.get("segmentation", ""))
    except AnnotationError as error:
        fault = str(error)
    missing = [name for name, number in zip(BOX, numbers, strict=True) if number is None]
    if missing and mask is None:
        if fault:
            raise AnnotationError(fault)
        raise AnnotationError("the row has a class, but neither a whole box nor a segmentation")
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
        raise AnnotationError(f"{name} is {text[:40]!r}, not a number") from None


def _is_true(text):
    return (text or "").lower() in ("1", "1.0", "true", "yes")


def _size(values):
    """The (height, width) that a row states, or None."""
    return shapes.size_of(values.get("height"), values.get("width"))


def _numbers(annotated):
    """All coordinates of an object that are numbers."""
    box = annotated.box or ()
    return [
        *(side for side in box if math.isfinite(side)),
        *_finite_numbers(annotated.mask),
    ]


def _check_coordinates(path, rows, coordinates):
    """Refuse a declared unit with which every object would be lost, or be one pixel large."""
    largest = [max(map(abs, _numbers(row.annotated)), default=0) for row in rows if row.annotated]
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
            number.is_integer()
            for row in rows
            if row.annotated
            for number in _numbers(row.annotated)
        ):
            raise AnnotationError(
                f"{path}: no number of the table is above {LARGEST_SHARE:g}, so that every object "
                f"would lie within the first pixel. They are shares of the image's sides: use "
                f"--coordinates={NORMALIZED}, or leave the flag out; where only pixels are taken, "
                "multiply them by the image's width and height"
            )


def _are_shares(rows):
    largest = [max(map(abs, _numbers(row.annotated)), default=0) for row in rows if row.annotated]
    return bool(largest) and max(largest) <= LARGEST_SHARE and max(largest) > 0


def _tiny(rows):
    """Boxes in a table of pixels that end within the first one: shares that came in between?"""
    reason = "the box ends within the first pixel or two: is it in shares of the image's sides?"
    return [
        Finding(NOTED, reason, row.key)
        for row in rows
        if row.annotated and row.annotated.box and max(row.annotated.box) <= LARGEST_SHARE
    ]


def _repeated(rows):
    """Return findings on objects with identical rows: a table merged with itself?"""
    times = Counter((row.image, row.annotated._replace(key="")) for row in rows if row.annotated)
    return [
        Finding(NOTED, "duplicate row: the same object more than once; each is kept", row.key)
        for row in rows
        if row.annotated and times[row.image, row.annotated._replace(key="")] > 1
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
        objects = tuple(row.annotated for row in own if row.annotated)
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


# What we call a column, and its names in the wild: lower case, without spaces, '_' and '-'.
NAMES = {
    "image": "filename image file imagename imagefile imagepath filepath path img imgname imgpath "
    "imageid fname",
    "class": "class label classname labelname category categoryname name objectclass tag",
    "xmin": "xmin x1 left minx bboxxmin boxxmin",
    "ymin": "ymin y1 top miny bboxymin boxymin",
    "xmax": "xmax x2 right maxx bboxxmax boxxmax",
    "ymax": "ymax y2 bottom maxy bboxymax boxymax",
    "segmentation": "segmentation segmentations polygon polygons points",
    "width": "width imagewidth imgwidth",
    "height": "height imageheight imgheight",
    "crowd": "iscrowd crowd",
    "difficult": "difficult isdifficult",
    "truncated": "truncated istruncated",
}
BOX = ("ymin", "xmin", "ymax", "xmax")
DELIMITERS = ",;\t|"
HEADER = "filename,xmin,ymin,xmax,ymax,class"
csv.field_size_limit(2**31 - 1)  # a segmentation may be far longer than the module expects


class Table(NamedTuple):
    """A table as read."""

    columns: dict[str, int]  # our name -> place in a row
    width: int  # cells of the header
    rows: list[tuple[int, list[str]]]  # number of the line it begins on, cells
    delimiter: str
    header: str = ""  # its first line, for messages


def read_table(path):
    """Reads a table whose first line names its columns.

    Args:
        path: of the file: UTF-8 or UTF-16, cells separated by comma, semicolon, tab or bar.

    Returns:
        A `Table`, rows without any text left out.

    Raises:
        AnnotationError: no such file; it is empty; its first line is no header; a column is
            missing; or it is of a format that has a command of its own.
    """
    text = files.read_text(path).replace("\0", "\N{REPLACEMENT CHARACTER}")  # no name has a zero
    text = re.sub(r"\Asep=.\r?\n", "\n", text)  # Excel's own first line
    header = next((line for line in text.splitlines() if line.strip(" ,;\t|")), None)
    if header is None:
        raise AnnotationError(f"{path} is empty; its first line is to name the columns: {HEADER}")
    delimiter = max(DELIMITERS, key=lambda mark: len(_columns(_cells(header, mark))))
    names = _cells(header, delimiter)
    columns = _columns(names)
    _check_header(path, names, columns)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows, begins = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise AnnotationError(f"{path} line {begins}: {error}") from None
    return Table(columns, len(names), rows[1:], delimiter, ",".join(names))


def _cells(line, delimiter):
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))


def _plain(name):
    return re.sub(r"[\s_\-./]", "", name).lower()


def _columns(names):
    """Our name of each column that is known -> its place; of several, the name listed first."""
    plain = [_plain(name) for name in names]
    columns = {}
    for ours, theirs in NAMES.items():
        place = next((plain.index(name) for name in theirs.split() if name in plain), None)
        if place is not None:
            columns[ours] = place
    return columns


def _check_header(path, names, columns):
    """Raises `AnnotationError` where the columns are not those of a table of objects."""
    plain = {_plain(name) for name in names}
    if {"imageid", "labelname"} <= plain:
        raise AnnotationError(f"{path} is a table of Open Images: use create_oid_tf_record")
    if "regionshapeattributes" in plain:
        raise AnnotationError(
            f"{path} is a table of VIA's, which holds its shapes as JSON: save the project as JSON "
            "and use create_via_tf_record"
        )
    first = ",".join(names)
    if sum(_is_numeric(name) for name in names) >= 2 or not columns:
        raise AnnotationError(
            f"{path} has no header: its first line is {first[:80]!r}. Put a line above it that "
            f"names the columns in their order, such as {HEADER}"
        )
    missing = [name for name in ("image", "class") if name not in columns]
    if not ("segmentation" in columns and not columns.keys() & set(BOX)):
        missing += [name for name in BOX if name not in columns]
    if missing:
        known = [f"{name} (or {', '.join(NAMES[name].split()[:4])})" for name in missing]
        raise AnnotationError(
            f"{path}: no column for {'; '.join(known)}; its header is {first[:120]!r}"
        )


def _is_numeric(text):
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


EMPTY = frozenset(("", "nan", "none", "null", "[]", "[[]]", "()", "{}"))
FORMS = "[[x1, y1, x2, y2, ...], ...], [x1, y1, ...], [[x1, y1], ...] or COCO's run lengths"


def parse_segmentation(text):
    """The mask that a text describes.

    Args:
        text: one or more polygons, flat or as points, as lists of Python or JSON; bare numbers with
            spaces or commas between them; or COCO's run lengths as a dict.

    Returns:
        `Polygons`, `RunLengths`, or None where the text says that there is no mask.

    Raises:
        AnnotationError: it is none of these.
    """
    text = text.strip()
    if text.lower() in EMPTY:
        return None
    value = _literal(text)
    if isinstance(value, dict) and {"size", "counts"} <= value.keys():
        return _run_lengths(value)
    try:
        parts = tuple(part for part in _parts(value) if part)
    except RecursionError:
        raise AnnotationError("the segmentation is nested too deep") from None
    except OverflowError:
        raise AnnotationError("the segmentation has a number of more than 300 digits") from None
    return Polygons(parts) if parts else None


def _literal(text):
    """The text as lists, tuples, dicts and numbers; nothing of it is ever executed."""
    if re.fullmatch(r"[-+.\deE\s,;]+", text):
        numbers = re.split(r"[\s,;]+", text.strip(" ,;"))
        try:
            return [float(number) for number in numbers]
        except ValueError:
            raise AnnotationError(f"the segmentation is {_short(text)}") from None
    try:
        return coco_json.parse_literal(text)
    except MaskError:
        raise AnnotationError(f"the segmentation is {_short(text)}; it is to be {FORMS}") from None


def _run_lengths(value):
    try:
        height, width = (int(side) for side in value["size"])
        counts = value["counts"]
        if isinstance(counts, str):
            counts = counts.encode()
        elif not isinstance(counts, bytes):
            counts = tuple(int(number) for number in counts)
    except (TypeError, ValueError, OverflowError):
        raise AnnotationError("run lengths whose 'size' or 'counts' cannot be read") from None
    return RunLengths(height, width, counts)


def _parts(value):
    """The polygons of a value, each flat: (x0, y0, x1, y1, ...)."""
    if not isinstance(value, list | tuple):
        raise AnnotationError(f"the segmentation is {_short(value)}; it is to be {FORMS}")
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


def _finite_numbers(mask):
    """All coordinates of `Polygons` that are numbers; none for run lengths and None."""
    parts = mask.parts if isinstance(mask, Polygons) else ()
    return [number for part in parts for number in part if math.isfinite(number)]


def _short(value):
    text = value if isinstance(value, str) else files.shortened(value)
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
