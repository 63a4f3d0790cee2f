"""The XML of LabelMe on the web (MIT), which CVAT and others write too: an image a file."""

import os
from functools import partial

from object_detection.datasets import drawn, files
from object_detection.datasets.drawn import NoObject
from object_detection.datasets.record import AnnotatedImage, AnnotatedObject, Finding, MaskFile
from object_detection.datasets.report import DERIVED

DRAWINGS = ("masks", "scribbles")  # folders of what was drawn, beside the images


def read_one(path, key, folder, findings):
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
    stated = _text(root, "filename") or f"{path.stem}.jpg"
    in_folder = f"{_text(root, 'folder')}/{stated}"
    places = (path.parent / stated, folder.root / in_folder)
    image = next((each for each in places if _is_within(each, path, folder)), None)
    image = image or folder.find(in_folder, beside=path.parent)
    image = image or folder.path(stated, beside=path.parent, any_suffix=True)
    objects = []
    for place, element in enumerate(root.iterfind("object")):
        object_key = f"{key} object {place + 1}"
        make = partial(_object, element, object_key, path, folder, findings)
        objects.append(drawn.attempt(make, object_key, findings))
    name = files.relative_name(image, folder.root)
    size = [_text(root, f"imagesize/{side}") for side in ("nrows", "ncols")]
    return AnnotatedImage(
        key=key,
        source_id=name,
        filename=name,
        objects=tuple(filter(None, objects)),
        path=image,
        stated_size=drawn.size_of(*size),
    )


def is_drawing(path):
    """Whether an image file is a mask or a scribble by its folder."""
    return path.parent.name.lower() in DRAWINGS


def _text(element, tag):
    return (element.findtext(tag) or "").strip()


def _object(element, key, path, folder, findings):
    """One <object> as an `AnnotatedObject`; raises `NoObject`."""
    name = drawn.class_name(_text(element, "name"), "the object has no name")
    if drawn.is_ticked(_text(element, "deleted")):
        raise NoObject("the object is marked as deleted")
    box = None
    outline, mask_name = element.find("polygon"), _text(element, "segm/mask")
    if outline is not None:
        points = [[point.findtext("x"), point.findtext("y")] for point in outline.iterfind("pt")]
        mask = drawn.polygon(points)
        if _text(element, "type") == "bounding_box" and len(points) == 4:
            box = drawn.box_of(drawn.points_of(points))
            findings.append(Finding(DERIVED, drawn.BOX_AS_MASK, key))
    elif mask_name:
        mask = MaskFile(_mask_path(mask_name, path, folder))
    else:
        raise NoObject("the object has neither a polygon nor a mask")
    stated = [each.partition("=") for each in _text(element, "attributes").split(",")]
    flags = drawn.flags_of({name: value or "true" for name, _, value in stated})
    occluded = (("occluded", 1),) if drawn.is_ticked(_text(element, "occluded")) else ()
    return AnnotatedObject(key, name, box, mask, attributes=occluded, **flags)


def _is_within(file, path, folder):
    """Whether a file is there, in the folder of the XML or in that of the images."""
    file = os.path.normpath(file)
    return files.is_file(file) and files.is_inside(file, path.parent, folder.root)


def _mask_path(name, path, folder):
    """Where a mask lies: in the folder `Masks`, beside the XML or beside its folder's folder."""
    for place in (
        path.parent / "Masks",
        folder.root / "Masks" / path.parent.name,
        folder.root / "Masks",
    ):
        if _is_within(place / name, path, folder):
            return place / name
    return folder.path(f"Masks/{name}")
