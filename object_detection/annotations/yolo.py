"""Reads YOLO's text files: a row an object, in shares of the image; boxes or polygons."""

from functools import partial
from pathlib import Path

from object_detection.annotations import drawn, files, yolo_layout
from object_detection.annotations.drawn import NoObject
from object_detection.annotations.record import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationError,
    AnnotationSet,
    Category,
    Finding,
    Polygons,
)
from object_detection.annotations.report import NOTED, SKIPPED_IMAGE

FARTHEST = 2.0  # image sides; a number beyond it is one of pixels
NO_LABELS = "no label file: taken as an image without objects"


def read(place, names_file=None):
    """Reads a data set.

    Args:
        place: data.yaml, obj.data, or a folder with one of them or with images and labels.
        names_file: names of the classes, one a line; None: as the data set has them.

    Returns:
        Name of the split ("train", "val", "test", or "" where there are none) -> `AnnotationSet`,
        the ids of the categories as they stand in the rows, from 0.

    Raises:
        AnnotationError: no images, no names, or no label file for any image.
    """
    findings = []
    layout = yolo_layout.find(place, names_file, findings)
    categories = tuple(Category(name, number) for number, name in enumerate(layout.names))
    used, sets = set(), {}
    for split, paths in layout.splits.items():
        images = tuple(_image(path, layout, used, findings) for path in paths)
        sets[split] = AnnotationSet(f"{place} {split}".strip(), categories, images)
    if not used:
        path = next(path for paths in layout.splits.values() for path in paths)
        tried = ", ".join(str(each) for each in _label_places(path))
        raise AnnotationError(
            f"{place}: no image has a label file; for {path.name}, none of {tried}"
        )
    if not layout.listed:
        findings += _orphans(used, layout.root)
    first = next(iter(sets))
    return sets | {first: sets[first]._replace(findings=tuple(findings))}


def _label_places(image):
    """Where the rows of an image may lie, the likeliest place first."""
    parts, name = image.parent.parts, f"{image.stem}.txt"
    for place in reversed(range(len(parts))):
        if parts[place].lower() == "images":
            for labels in ("labels", "Labels"):
                yield Path(*parts[:place], labels, *parts[place + 1 :], name)
            break
    yield image.with_name(name)
    yield image.parent / "labels" / name
    yield image.parent.parent / "labels" / name


def _image(path, layout, used, findings):
    name = files.relative_name(path, layout.root)
    labels = next((each for each in _label_places(path) if each.is_file()), None)
    objects = []
    if labels is None:
        findings.append(Finding(NOTED, NO_LABELS, name))
    else:
        used.add(labels)
        where = files.relative_name(labels, layout.root)
        try:
            rows = files.read_text(labels).splitlines()
        except AnnotationError as error:
            rows = []
            findings.append(Finding(SKIPPED_IMAGE, str(error), name))
        for number, row in enumerate(rows, 1):
            key = f"{where} line {number}"
            if row.strip():
                make = partial(_object, row, key, layout, findings)
                objects.append(drawn.attempt(make, key, findings))
    return AnnotatedImage(name, name, name, tuple(filter(None, objects)), path, normalized=True)


def _object(row, key, layout, findings):
    """One row as an `AnnotatedObject` in shares of the image; raises `NoObject`."""
    numbers = [drawn.number(each) for each in row.replace(",", " ").split()]
    class_id, *places = numbers
    if class_id != int(class_id) or not 0 <= class_id < len(layout.names):
        raise NoObject(f"class {class_id:g}: the names go from 0 to {len(layout.names) - 1}")
    if len(places) == 4 + layout.keypoint_numbers:
        places = places[:4]  # then come keypoints
    elif len(places) == 5 or (len(places) > 6 and len(places) % 2):
        reason = "the row ends in a number too many, taken as the confidence of a prediction"
        findings.append(Finding(NOTED, reason, key))
        places.pop()
    if len(places) < 4 or len(places) % 2:
        raise NoObject(f"a row of {len(numbers)} numbers is neither a box nor a polygon")
    if not all(abs(place) <= FARTHEST for place in places):
        raise NoObject("the row is not in shares of the image (0 to 1): pixels?")
    name = layout.names[int(class_id)]
    if len(places) > 4:
        return AnnotatedObject(key, name, mask=Polygons((tuple(places),)))
    x, y, width, height = places
    box = y - height / 2, x - width / 2, y + height / 2, x + width / 2
    return AnnotatedObject(key, name, box)


def _orphans(used, root):
    """Label files that no image belongs to."""
    for folder in sorted({path.parent for path in used}):
        for path in sorted(folder.glob("*.txt")):
            if path not in used and path.name not in yolo_layout.NAMES:
                reason = "label file without an image"
                yield Finding(SKIPPED_IMAGE, reason, files.relative_name(path, root))
