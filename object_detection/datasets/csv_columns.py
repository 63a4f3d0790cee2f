"""What the columns of a table of objects mean, by the names that tools give them."""

import csv
import io
import re
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.errors import AnnotationError

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


def read(path):
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
    _check(path, names, columns)
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


def _check(path, names, columns):
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
    if sum(_is_number(name) for name in names) >= 2 or not columns:
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


def _is_number(text):
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
