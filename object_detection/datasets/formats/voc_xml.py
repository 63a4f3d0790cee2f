"""Reads one xml of Pascal VOC's form, as the VOC challenges and dozens of tools write it.

TFOD divides `xmin` and the others by the image's size unchanged, though VOC counts pixels
from 1 and includes the last one; so do we: published models and records were made that way.
"""

import math
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets.annotations import AnnotatedObject, Finding, Polygons
from object_detection.datasets.files import parse_xml
from object_detection.datasets.report import NOTED, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

CORNERS = ("ymin", "xmin", "ymax", "xmax")
UNSPECIFIED = "Unspecified"  # VOC's word for a pose nobody has looked at
FALSE_WORDS = ("", "0", "false", "no", "none", "unspecified")


class VocAnnotation(NamedTuple):
    """What one xml says."""

    filename: str  # of the image; '' if it is not stated
    folder: str
    size: tuple[int, int] | None  # height, width
    objects: tuple[AnnotatedObject, ...]
    places: tuple[int, ...]  # of each object in the file, from 1: unusable ones are counted too
    findings: tuple[Finding, ...]


def read(path):
    """Reads one xml.

    Raises:
        AnnotationError: it cannot be read, is no well-formed XML, or not of VOC's form.
    """
    path = Path(path)
    root = _root(path)
    objects, places, findings = [], [], []
    for place, element in enumerate(root.findall("object"), start=1):
        key = f"{path.name}: object {place}"
        try:
            annotated, notes = _object(element, key)
        except AnnotationError as reason:
            findings.append(Finding(SKIPPED_OBJECT, str(reason), key))
            continue
        findings += [Finding(NOTED, note, key) for note in notes]
        objects.append(annotated)
        places.append(place)
    return VocAnnotation(
        filename=_text(root, "filename"),
        folder=_text(root, "folder"),
        size=_size(root.find("size")),
        objects=tuple(objects),
        places=tuple(places),
        findings=tuple(findings),
    )


def _root(path):
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"the xml cannot be read: {error.strerror}") from None
    try:
        root = parse_xml(content)
    except ValueError as error:
        raise AnnotationError(f"the xml {error}") from None
    if root.tag != "annotation":
        raise AnnotationError(
            f"the xml is not of VOC's form: it begins with <{root.tag}>, not <annotation>"
        )
    return root


def _text(element, tag):
    return (element.findtext(tag) or "").strip()


def _size(element):
    """(height, width) as stated; None where they are missing or no sizes."""
    if element is None:
        return None
    try:
        height, width = (_number(_text(element, tag)) for tag in ("height", "width"))
    except ValueError:
        return None
    return (int(height), int(width)) if min(height, width) >= 1 else None


def _number(text):
    """A finite number; some write a comma for the point."""
    value = float(text.replace(",", "."))
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _is_true(text):
    try:
        return float(text) != 0
    except ValueError:
        return text.lower() not in FALSE_WORDS


def _object(element, key):
    """One `<object>`: the `AnnotatedObject`, and what is worth a word about it."""
    name = _text(element, "name")
    if not name:
        raise AnnotationError("the object has no name")
    if _is_true(_text(element, "deleted")):
        raise AnnotationError("the object is marked as deleted")
    mask, fault = _polygons(element)
    box, notes = _box(element, has_mask=mask is not None)
    return AnnotatedObject(
        key=key,
        class_name=name,
        box=box,
        mask=mask,
        mask_fault=fault,
        difficult=_is_true(_text(element, "difficult")),
        truncated=_is_true(_text(element, "truncated")),
        view=_text(element, "pose") or UNSPECIFIED,
    ), notes


def _box(element, *, has_mask):
    """The `<bndbox>` of the object itself (its `<part>`s have their own), and notes."""
    bndbox = element.find("bndbox")
    if bndbox is None:
        if has_mask:
            return None, ()
        turned = ": it has a turned box" if element.find("robndbox") is not None else ""
        raise AnnotationError(f"the object has no bndbox{turned}")
    sides = {}
    for tag in CORNERS:
        try:
            sides[tag] = _number(_text(bndbox, tag))
        except ValueError:
            raise AnnotationError(f"{tag} is no number: {_text(bndbox, tag)!r}") from None
    notes = ()
    for low, high in (("ymin", "ymax"), ("xmin", "xmax")):
        if sides[low] > sides[high]:
            sides[low], sides[high] = sides[high], sides[low]
            notes = ("the corners of the box stood the wrong way round: exchanged",)
    return tuple(sides[tag] for tag in CORNERS), notes


def _polygons(element):
    """The outline that some tools add: x1, y1, x2, y2 ... or a list of points; or why none."""
    parts = []
    for polygon in element.findall("polygon"):
        try:
            if polygon.find("x1") is not None:
                points = _numbered_points(polygon)
            else:
                tags = polygon.findall("pt") or polygon.findall("point")
                points = [(_number(_text(p, "x")), _number(_text(p, "y"))) for p in tags]
        except ValueError as error:
            return None, f"the polygon holds what is no number ({error})"
        if points:
            parts.append(tuple(number for point in points for number in point))
    return (Polygons(tuple(parts)), None) if parts else (None, None)


def _numbered_points(polygon):
    texts = {child.tag: (child.text or "").strip() for child in reversed(polygon)}
    points, place = [], 1
    while f"x{place}" in texts:
        points.append((_number(texts[f"x{place}"]), _number(texts.get(f"y{place}", ""))))
        place += 1
    return points
