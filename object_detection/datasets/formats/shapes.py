"""What the drawing tools have in common: shapes as masks, shapes that are one object, ticks.

Of a tool that draws outlines, a box is an outline too: its mask is all of the box.
"""

import math

import numpy as np

from object_detection.datasets.annotations import IGNORE_CLASS, Category, Finding, Polygons, Union
from object_detection.datasets.files import shortened
from object_detection.datasets.report import SKIPPED_OBJECT
from object_detection.errors import AnnotationError

BOX_AS_MASK = "drawn as a box: where masks are written, its mask is the whole box"
IGNORED = (
    f"an ignore region, written as class '{IGNORE_CLASS}', which the label map does not have: "
    f'give both readers of the config ignore_class: "{IGNORE_CLASS}"'
)
FARTHEST = 1e6  # pixels
LONGEST_CLASS_NAME = 1000  # letters
SAGITTA = 0.02  # pixels by which a chord may leave its arc
TICKED = ("true", "1", "yes", "on")
FLAGS = {
    "difficult": "difficult",
    "truncated": "truncated",
    "crowd": "crowd",
    "iscrowd": "crowd",
    "groupof": "group_of",
    "isgroupof": "group_of",
}


def number(value):
    """A coordinate, also one written as text or with a comma; raises `AnnotationError`."""
    try:
        read = float(value.strip().replace(",", ".")) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        read = math.nan
    if not abs(read) <= FARTHEST:
        raise AnnotationError(f"a coordinate is {shortened(value)}, which is no place in an image")
    return read


def class_name(value: object, missing: str) -> str:
    """Return the class that a tool states for an object.

    Args:
        value: as the tool's file has it; numbers are taken as texts.
        missing: what to say where there is none.

    Raises:
        AnnotationError: no class, or a value that is no name.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise AnnotationError(missing)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise AnnotationError(f"the class is {shortened(value)}, not a text")
    name = str(value).strip()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise AnnotationError("the class contains half a character (a lone surrogate)") from None
    if "\0" in name or len(name) > LONGEST_CLASS_NAME:
        raise AnnotationError(f"the class is no name: {shortened(name)}")
    return name


def size_of(height: object, width: object) -> tuple[int, int] | None:
    """Return the (height, width) in pixels that a file states; None where they are no size."""
    try:
        size = number(height), number(width)
    except AnnotationError:
        return None
    whole = all(side.is_integer() and side > 0 for side in size)
    return (int(size[0]), int(size[1])) if whole else None


def points_of(stated):
    """Return points as (x, y) tuples.

    Args:
        stated: pairs, or dicts with x and y.

    Raises:
        AnnotationError: a point without two coordinates.
    """
    points = []
    for point in stated if isinstance(stated, list | tuple) else ():
        if isinstance(point, dict):
            point = (point.get("x"), point.get("y"))
        if not isinstance(point, list | tuple) or len(point) < 2:
            raise AnnotationError(f"a point is {shortened(point)}, not x and y")
        points.append((number(point[0]), number(point[1])))
    return points


def polygon(stated):
    """The inside of a closed line, as `Polygons`.

    Args:
        stated: its points, as `points_of` takes them.

    Raises:
        AnnotationError: fewer than three points, or points that are none.
    """
    points = points_of(stated)
    if len(points) < 3:
        raise AnnotationError(f"a polygon of {len(points)} points encloses nothing")
    return Polygons((tuple(value for point in points for value in point),))


def rectangle(box, degrees=0.0):
    """A box (ymin, xmin, ymax, xmax) as `Polygons`, turned clockwise about its center."""
    ymin, xmin, ymax, xmax = box
    corners = np.array([(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)], float)
    return _turned(corners, degrees)


def ellipse(x, y, x_radius, y_radius, degrees=0.0):
    """An ellipse about (x, y), turned clockwise, as `Polygons` that no pixel can tell from it.

    Raises:
        AnnotationError: it has no size.
    """
    x_radius, y_radius = abs(x_radius), abs(y_radius)
    if not (0 < x_radius < math.inf and 0 < y_radius < math.inf):
        raise AnnotationError("a circle or ellipse without size")
    # A chord over an angle 2 a leaves the arc by r a^2 / 2. Quarters keep the outermost points.
    quarter = math.ceil(math.pi / 4 * math.sqrt(max(x_radius, y_radius) / 2 / SAGITTA))
    quarter = min(max(quarter, 4), 400)
    angles = np.arange(4 * quarter) * (np.pi / 2 / quarter)
    points = np.stack([x + x_radius * np.cos(angles), y + y_radius * np.sin(angles)], axis=1)
    return _turned(points, degrees, center=(x, y))


def _turned(points, degrees, center=None):
    """Points [n, (x, y)] as `Polygons`, turned clockwise as one sees it (y points down)."""
    if degrees % 360:
        center = points.mean(axis=0) if center is None else np.array(center)
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        points = (points - center) @ np.array([[cos, sin], [-sin, cos]]) + center
    return Polygons((tuple(float(value) for value in points.ravel()),))


def box_of(points):
    """The box (ymin, xmin, ymax, xmax) around points (x, y): corners in any order."""
    xs, ys = zip(*points, strict=True)
    return min(ys), min(xs), max(ys), max(xs)


def attempt(make, key, findings):
    """What `make()` gives; None where that is no object, and a finding says why.

    Args:
        make: reads one shape; raises `AnnotationError`, or whatever malformed content leads to.
        key: what a report calls the shape.
        findings: takes in the finding.
    """
    try:
        return make()
    except AnnotationError as fault:
        reason = str(fault)
    except (AttributeError, TypeError, ValueError, LookupError, OverflowError) as error:
        reason = f"the shape is not in the tool's form ({error!r})"
    findings.append(Finding(SKIPPED_OBJECT, reason, key))
    return None


def joined(objects):
    """Objects that are parts of one, as one: masks united, flags of any of them.

    Args:
        objects: one or more `AnnotatedObject`s of one class.
    """
    first, *others = objects
    if not others:
        return first
    boxes, masks = ([getattr(each, name) for each in objects] for name in ("box", "mask"))
    box = None
    if all(boxes):  # else the mask says it
        ymin, xmin, ymax, xmax = zip(*boxes, strict=True)
        box = min(ymin), min(xmin), max(ymax), max(xmax)
    flags = {
        name: any(getattr(each, name) for each in objects) for name in sorted(set(FLAGS.values()))
    }
    return first._replace(box=box, mask=united(masks), area=None, **flags)


def united(masks):
    """Masks as one mask."""
    if len(masks) == 1:
        return masks[0]
    if all(isinstance(mask, Polygons) and not mask.holes for mask in masks):
        return Polygons(tuple(part for mask in masks for part in mask.parts))
    return Union(tuple(masks))


def grouped(members):
    """Joins the objects that share a group, each group in the place of its first.

    Args:
        members: (group, `AnnotatedObject`) pairs; group None: on its own. Objects of one group but
            different classes stay apart.
    """
    groups = {}
    for place, (group, annotated) in enumerate(members):
        key = place if group is None else (str(group), annotated.class_name)
        groups.setdefault(key, []).append(annotated)
    return tuple(joined(objects) for objects in groups.values())


def flags_of(attributes):
    """The flags of an object among a tool's free attributes: `crowd=True` and so on.

    Args:
        attributes: name -> value; ticked is True, 1, "true", "yes", "on".
    """
    return {
        FLAGS[_bare(name)]: True
        for name, value in attributes.items()
        if is_flag(name) and is_ticked(value)
    }


def is_flag(name):
    """Whether an attribute of this name says something else than a class: see `flags_of`."""
    return _bare(name) in FLAGS


def is_ticked(value):
    """Whether a value of a tool's attribute means yes."""
    return str(value).strip().lower() in TICKED


def _bare(name):
    return "".join(letter for letter in str(name).lower() if letter.isalnum())


def categories(images, declared=()):
    """The classes of a data set without numbers, by name: those declared and those used."""
    used = {annotated.class_name for image in images for annotated in image.objects}
    return tuple(Category(name) for name in sorted((used | set(declared)) - {IGNORE_CLASS}))
