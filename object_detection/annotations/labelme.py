"""Reads labelme: one JSON an image, of any version, with all kinds of shapes.

Beside these, the XML of its namesake on the web (`labelme_xml.py`).
"""

import base64
import binascii
import math
from functools import partial
from pathlib import Path

from object_detection.annotations import drawn, files, labelme_xml
from object_detection.annotations.drawn import NoObject
from object_detection.annotations.record import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationError,
    AnnotationSet,
    EncodedBitmap,
    Finding,
)
from object_detection.annotations.report import DERIVED, NOTED, SKIPPED_IMAGE

POLYGONS = ("polygon", "oriented_rectangle", "rotation", "quadrilateral")
WITHOUT_AREA = ("point", "points", "line", "linestrip", "line_strip")
NO_CLASSES = ("_background_", "__ignore__")  # labelme's own words for what is no object


def read(data_dir, image_dir=None):
    """Reads a folder of labelme files with all folders below it, or one file.

    Args:
        data_dir: the folder, or one JSON or XML.
        image_dir: folder of the images; None: they lie with the annotations.

    Returns:
        An `AnnotationSet`, images sorted by the paths of their files. Shapes of one label and one
        `group_id` are one object.

    Raises:
        AnnotationError: there is no labelme file.
    """
    paths = files.annotation_files(data_dir, ".json")
    if Path(data_dir).is_dir():
        paths += files.annotation_files(data_dir, ".xml")
    root = Path(data_dir) if Path(data_dir).is_dir() else Path(data_dir).parent
    folder = files.ImageFolder(image_dir or root)
    images, findings, fault = [], [], None
    for path in sorted(paths):
        key = files.relative_name(path, root)
        try:
            image = _of_file(path, key, folder, findings)
        except AnnotationError as error:
            fault = str(error)
            findings.append(Finding(SKIPPED_IMAGE, fault.replace(str(path), "the file"), key))
            continue
        if image:
            images.append(image)
        else:
            findings.append(Finding(NOTED, "not in labelme's form: left out", key))
    findings += folder.findings()
    if not images:
        raise AnnotationError(fault or f"{data_dir}: no labelme file (JSON with 'shapes') is there")
    if not Path(data_dir).is_file():
        findings += _unlabelled(folder, images)
    return AnnotationSet(str(data_dir), drawn.categories(images), tuple(images), tuple(findings))


def _of_file(path, key, folder, findings):
    """One file as an `AnnotatedImage`, or None if it is of another format."""
    if path.suffix.lower() == ".xml":
        return labelme_xml.read_one(path, key, folder, findings)
    content = files.load_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        return None
    return _image(content, path, key, folder, findings)


def _unlabelled(folder, images):
    """Images that nobody has opened in labelme: whether they show objects is not known."""
    known = {image.path for image in images}
    return [
        Finding(
            NOTED, "image without annotations: left out", files.relative_name(path, folder.root)
        )
        for path in folder.paths()
        if path not in known and not labelme_xml.is_drawing(path)
    ]


def _image(content, path, key, folder, findings):
    """One JSON as an `AnnotatedImage`; what its shapes have wrong goes to `findings`."""
    stated = str(content.get("imagePath") or "").strip()
    found = folder.find(stated, beside=path.parent) if stated else None
    if found is None:  # renamed since: labelme names the JSON after the image
        found = folder.find(f"{path.stem}.jpg", beside=path.parent, any_suffix=True)
    encoded = None
    if found is None and content.get("imageData"):
        encoded = _embedded(content["imageData"], key, findings)
    if encoded is None and found is None:
        found = path.parent / (files.name_parts(stated) or (f"{path.stem}.jpg",))[-1]
    suffix = Path((files.name_parts(stated) or (".jpg",))[-1]).suffix
    name = files.relative_name(found, folder.root) if found else f"{Path(key).with_suffix(suffix)}"
    size = content.get("imageHeight"), content.get("imageWidth")
    return AnnotatedImage(
        key=key,
        source_id=name,
        filename=name,
        objects=_objects(content["shapes"], key, findings),
        path=found,
        encoded=encoded,
        stated_size=size if all(isinstance(side, int) for side in size) else None,
    )


def _embedded(text, key, findings):
    """The image that stands in the JSON itself; None if it cannot be read."""
    try:
        return base64.b64decode(text.partition("base64,")[2] or text)
    except (AttributeError, ValueError, binascii.Error):
        findings.append(Finding(NOTED, "the image inside the JSON (imageData) is broken", key))
        return None


def _objects(shapes, key, findings):
    members = []
    for place, shape in enumerate(shapes):
        shape_key = f"{key} shape {place + 1}"
        found = drawn.attempt(partial(_object, shape, shape_key, findings), shape_key, findings)
        if found:
            members.append((shape.get("group_id"), found))
    return drawn.grouped(members)


def _object(shape, key, findings):
    """One shape as an `AnnotatedObject`; raises `NoObject`."""
    label = str(shape.get("label") or "").strip()
    if not label:
        raise NoObject("the shape has no label")
    if label in NO_CLASSES:
        raise NoObject(f"labelled '{label}', which is labelme's word for no object")
    kind = str(shape.get("shape_type") or "polygon").lower()
    points = shape.get("points") or []
    if kind in WITHOUT_AREA:
        raise NoObject(f"a shape of type '{kind}' has no area")
    box = None
    if kind in POLYGONS:
        mask = drawn.polygon(points)
    elif kind == "rectangle":
        box = _rectangle(points)
        mask = drawn.rectangle(box)
        findings.append(Finding(DERIVED, drawn.BOX_AS_MASK, key))
    elif kind == "circle":
        mask = _circle(points)
    elif kind == "mask":
        mask = _mask(shape, points)
    else:
        raise NoObject(f"labelme's shapes do not include '{kind}'")
    attributes = {**(shape.get("attributes") or {}), **(shape.get("flags") or {})}
    attributes.setdefault("difficult", shape.get("difficult"))
    return AnnotatedObject(key, label, box, mask, **drawn.flags_of(attributes))


def _rectangle(stated):
    """The box of two opposite corners, or of all four."""
    points = drawn.points_of(stated)
    if len(points) not in (2, 4):
        raise NoObject(f"a rectangle of {len(points)} points; it takes two corners")
    return drawn.box_of(points)


def _circle(stated):
    """A circle by its centre and any point on it."""
    points = drawn.points_of(stated)
    if len(points) != 2:
        raise NoObject(f"a circle of {len(points)} points; it takes its centre and one on the line")
    (x, y), (x_on, y_on) = points
    radius = math.hypot(x - x_on, y - y_on)
    return drawn.ellipse(x, y, radius, radius)


def _mask(shape, stated):
    """Pixels as a PNG in base64, whose first lies at the upper left corner of the two stated."""
    points = drawn.points_of(stated)
    if not shape.get("mask") or not points:
        raise NoObject("a shape of type 'mask' without its mask or its corners")
    top, left, _, _ = drawn.box_of(points)
    try:
        encoded = base64.b64decode(shape["mask"])
    except (TypeError, ValueError, binascii.Error):
        raise NoObject("the mask is not text in base64") from None
    return EncodedBitmap(encoded, round(top), round(left))
