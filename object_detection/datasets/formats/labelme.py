"""Reads labelme: one JSON an image, of any version, with all kinds of shapes.

Also reads the XML of LabelMe on the web (MIT), which CVAT and others write too: one file an image.
"""

import base64
import binascii
import math
import os
from functools import partial
from pathlib import Path

from object_detection.datasets import files, image_file
from object_detection.datasets.annotations import (
    IGNORE_CLASS,
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    EncodedBitmap,
    Finding,
    MaskFile,
)
from object_detection.datasets.formats import shapes
from object_detection.datasets.report import DERIVED, LEFT_OUT, NOTED, SKIPPED_IMAGE
from object_detection.errors import AnnotationError

POLYGONS = ("polygon", "oriented_rectangle", "rotation", "quadrilateral")
WITHOUT_AREA = ("point", "points", "line", "linestrip", "line_strip")
# labelme's own words: for what is no class, and for regions that are neither learned nor evaluated.
BACKGROUND, IGNORE = "_background_", "__ignore__"


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
        findings += _unlabeled(folder, images)
    ignores = any(each.class_name == IGNORE_CLASS for image in images for each in image.objects)
    categories = shapes.categories(images)
    return AnnotationSet(str(data_dir), categories, tuple(images), tuple(findings), ignores)


def _of_file(path, key, folder, findings):
    """One file as an `AnnotatedImage`, or None if it is of another format."""
    if path.suffix.lower() == ".xml":
        return _read_xml(path, key, folder, findings)
    content = files.load_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        return None
    return _image(content, path, key, folder, findings)


def _unlabeled(folder, images):
    """Images that nobody has opened in labelme: whether they show objects is not known."""
    # A file in whose place the image inside the JSON is taken has been annotated too.
    known = {image.path or folder.root / image.filename for image in images}
    return [
        Finding(
            NOTED, "image without annotations: left out", files.relative_name(path, folder.root)
        )
        for path in folder.paths()
        if path not in known and not _is_drawing(path)
    ]


def _image(content, path, key, folder, findings):
    """One JSON as an `AnnotatedImage`; what its shapes have wrong goes to `findings`."""
    stated = content.get("imagePath")
    size = shapes.size_of(content.get("imageHeight"), content.get("imageWidth"))
    file = _file(stated, path, key, folder, findings)
    encoded = _embedded(content.get("imageData"), file is None, key, findings)
    if file and encoded and _is_better(encoded, file, size):
        reason = (
            "the image inside the JSON (imageData) is taken: the file is no image, or has another "
            "size than the JSON states"
        )
        findings.append(Finding(NOTED, reason, f"{key}: {file.name}"))
        file = None
    parts = files.name_parts(stated) if files.name_fault(stated) is None else ()
    if file is None and encoded is None:
        name = parts[-1] if parts and _names_image(parts[-1]) else f"{path.stem}.jpg"
        file = path.parent / name
    if file is not None:
        name, encoded = files.relative_name(file, folder.root), None
    else:
        suffix = Path(parts[-1]).suffix if parts and _names_image(parts[-1]) else ".png"
        name = f"{Path(key).with_suffix(suffix)}"
    return AnnotatedImage(
        key=key,
        source_id=name,
        filename=name,
        objects=_objects(content["shapes"], key, findings),
        path=file,
        encoded=encoded,
        stated_size=size,
    )


def _is_better(encoded, path, size):
    """Whether the image inside a JSON is the one that was annotated, and not the file."""
    of_file, of_encoded = image_file.sizes(path), image_file.sizes(encoded)
    if not (of_file and of_encoded):
        return bool(of_encoded)
    return size is not None and size not in of_file and size in of_encoded


def _names_image(name):
    """Whether a file name ends as those of images do."""
    return Path(name).suffix.lower() in files.IMAGE_SUFFIXES


def _file(stated, path, key, folder, findings):
    """The image file of a JSON, by `imagePath` or by the JSON's own name; None without one.

    A file that is no image is passed over where the JSON's own name leads to one that is.
    """
    named = folder.find(stated, beside=path.parent) if isinstance(stated, str) else None
    if named is not None and image_file.sizes(named):
        return named
    # Renamed since, or badly named: labelme calls the JSON after the image.
    twin = folder.find(f"{path.stem}.jpg", beside=path.parent, any_suffix=True)
    if named is None:
        return twin
    findings.append(Finding(NOTED, "imagePath names a file that is no image", f"{key}: {stated}"))
    if twin is not None and twin != named and image_file.sizes(twin):
        return twin
    return named if _names_image(named.name) else None


def _embedded(text, needed, key, findings):
    """The bytes of the image inside the JSON itself; None where there is none, or no image.

    Args:
        text: `imageData`.
        needed: whether there is no file in its place; then a broken one is a finding.
        key: what a report calls the JSON.
        findings: takes in the finding.
    """
    if not text:
        return None
    try:
        encoded = base64.b64decode(text.partition("base64,")[2] or text)
    except (AttributeError, TypeError, ValueError, binascii.Error):
        encoded = None
    if encoded is None and needed:
        findings.append(Finding(NOTED, "the image inside the JSON (imageData) is broken", key))
    return encoded


def _objects(stated, key, findings):
    members = []
    for place, shape in enumerate(stated):
        shape_key = f"{key} shape {place + 1}"
        if isinstance(shape, dict) and shape.get("label") == BACKGROUND:
            reason = f"labeled '{BACKGROUND}', which is labelme's word for no class"
            findings.append(Finding(LEFT_OUT, reason, shape_key))
            continue
        annotated = shapes.attempt(
            partial(_object, shape, shape_key, findings), shape_key, findings
        )
        if annotated:
            members.append((shape.get("group_id"), annotated))
    return shapes.grouped(members)


def _object(shape, key, findings):
    """One shape as an `AnnotatedObject`; raises `AnnotationError`."""
    if not isinstance(shape, dict):
        raise AnnotationError(f"the shape is {files.shortened(shape)}, not a JSON object")
    label = shapes.class_name(shape.get("label"), "the shape has no label")
    kind = str(shape.get("shape_type") or "polygon").lower()
    points = shape.get("points") or []
    if kind in WITHOUT_AREA:
        raise AnnotationError(f"a shape of type '{kind}' has no area")
    box = None
    if kind in POLYGONS:
        mask = shapes.polygon(points)
    elif kind == "rectangle":
        box = _rectangle(points)
        mask = shapes.rectangle(box)
        findings.append(Finding(DERIVED, shapes.BOX_AS_MASK, key))
    elif kind == "circle":
        mask = _circle(points)
    elif kind == "mask":
        mask = _mask(shape, points)
    else:
        raise AnnotationError(f"labelme's shapes do not include '{kind}'")
    if label == IGNORE:
        label = IGNORE_CLASS
        findings.append(Finding(DERIVED, shapes.IGNORED, key))
    stated = (shape.get(name) for name in ("attributes", "flags"))
    attributes = {
        name: value for each in stated if isinstance(each, dict) for name, value in each.items()
    }
    attributes.setdefault("difficult", shape.get("difficult"))
    return AnnotatedObject(key, label, box, mask, **shapes.flags_of(attributes))


def _rectangle(stated):
    """The box of two opposite corners, or of all four."""
    points = shapes.points_of(stated)
    if len(points) not in (2, 4):
        raise AnnotationError(f"a rectangle of {len(points)} points; it takes two corners")
    return shapes.box_of(points)


def _circle(stated):
    """A circle by its center and any point on it."""
    points = shapes.points_of(stated)
    if len(points) != 2:
        raise AnnotationError(
            f"a circle of {len(points)} points; it takes its center and one on the line"
        )
    (x, y), (x_on, y_on) = points
    radius = math.hypot(x - x_on, y - y_on)
    return shapes.ellipse(x, y, radius, radius)


def _mask(shape, stated):
    """Pixels as a PNG in base64, whose first lies at the upper left corner of the two stated."""
    points = shapes.points_of(stated)
    if not shape.get("mask") or not points:
        raise AnnotationError("a shape of type 'mask' without its mask or its corners")
    top, left, _, _ = shapes.box_of(points)
    try:
        encoded = base64.b64decode(shape["mask"])
    except (TypeError, ValueError, binascii.Error):
        raise AnnotationError("the mask is not text in base64") from None
    return EncodedBitmap(encoded, round(top), round(left))


DRAWINGS = ("masks", "scribbles")  # folders of what was drawn, next to the images


def _read_xml(path, key, folder, findings):
    """One file as an `AnnotatedImage`, or None if it is XML of another format.

    Args:
        path: of the XML.
        key: what a report calls it.
        folder: `files.ImageFolder` of the images.
        findings: takes in what its objects have wrong.

    Raises:
        AnnotationError: it cannot be read.
    """
    root = files.load_xml(path)
    if root.tag != "annotation" or root.find("object/bndbox") is not None:  # the latter is VOC's
        return None
    stated = _xml_text(root, "filename") or f"{path.stem}.jpg"
    in_folder = f"{_xml_text(root, 'folder')}/{stated}"
    places = (path.parent / stated, folder.root / in_folder)
    image = next((each for each in places if _is_within(each, path, folder)), None)
    image = image or folder.find(in_folder, beside=path.parent)
    image = image or folder.path(stated, beside=path.parent, any_suffix=True)
    objects = []
    for place, element in enumerate(root.iterfind("object")):
        object_key = f"{key} object {place + 1}"
        make = partial(_xml_object, element, object_key, path, folder, findings)
        objects.append(shapes.attempt(make, object_key, findings))
    name = files.relative_name(image, folder.root)
    size = [_xml_text(root, f"imagesize/{side}") for side in ("nrows", "ncols")]
    return AnnotatedImage(
        key=key,
        source_id=name,
        filename=name,
        objects=tuple(filter(None, objects)),
        path=image,
        stated_size=shapes.size_of(*size),
    )


def _is_drawing(path):
    """Whether an image file is a mask or a scribble by its folder."""
    return path.parent.name.lower() in DRAWINGS


def _xml_text(element, tag):
    return (element.findtext(tag) or "").strip()


def _xml_object(element, key, path, folder, findings):
    """One <object> as an `AnnotatedObject`; raises `AnnotationError`."""
    name = shapes.class_name(_xml_text(element, "name"), "the object has no name")
    if shapes.is_ticked(_xml_text(element, "deleted")):
        raise AnnotationError("the object is marked as deleted")
    box = None
    outline, mask_name = element.find("polygon"), _xml_text(element, "segm/mask")
    if outline is not None:
        points = [[point.findtext("x"), point.findtext("y")] for point in outline.iterfind("pt")]
        mask = shapes.polygon(points)
        if _xml_text(element, "type") == "bounding_box" and len(points) == 4:
            box = shapes.box_of(shapes.points_of(points))
            findings.append(Finding(DERIVED, shapes.BOX_AS_MASK, key))
    elif mask_name:
        mask = MaskFile(_mask_path(mask_name, path, folder))
    else:
        raise AnnotationError("the object has neither a polygon nor a mask")
    stated = [each.partition("=") for each in _xml_text(element, "attributes").split(",")]
    flags = shapes.flags_of({name: value or "true" for name, _, value in stated})
    occluded = (("occluded", 1),) if shapes.is_ticked(_xml_text(element, "occluded")) else ()
    return AnnotatedObject(key, name, box, mask, attributes=occluded, **flags)


def _is_within(file, path, folder):
    """Whether a file is there, in the folder of the XML or in that of the images."""
    file = os.path.normpath(file)
    return files.is_file(file) and files.is_inside(file, path.parent, folder.root)


def _mask_path(name, path, folder):
    """Where a mask is: in `Masks`, next to the XML or next to its folder's folder."""
    for place in (
        path.parent / "Masks",
        folder.root / "Masks" / path.parent.name,
        folder.root / "Masks",
    ):
        if _is_within(place / name, path, folder):
            return place / name
    return folder.path(f"Masks/{name}")
