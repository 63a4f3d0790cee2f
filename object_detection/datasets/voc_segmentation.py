"""Reads VOC's segmentation folders where there are no xmls: what labelme and CVAT export.

SegmentationObject says which pixels are one instance, SegmentationClass which class they have.
Which number or colour is which class stands in `class_names.txt` (labelme, one a line from number
0) or `labelmap.txt` (CVAT, `name:red,green,blue:...`); without either, the numbers are VOC's own.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection.datasets import instance_matching, mask_regions, voc_lists
from object_detection.datasets.files import read_text, relative_name
from object_detection.datasets.record import (
    AnnotatedImage,
    AnnotatedObject,
    Bitmap,
    Category,
    Finding,
)
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

NO_CLASSES = ("background", "_background_", "ignored", "ignore", "__ignore__", "void")


class _Classes(NamedTuple):
    """The names behind the values of SegmentationClass."""

    names: dict[int, str]  # number, or packed colour -> name
    by_colour: bool


def read(root, instances, semantic, images, image_set, vocs_classes):
    """Reads the images of one set.

    Args:
        root: folder that holds the others.
        instances: `Files` of SegmentationObject.
        semantic: `Files` of SegmentationClass.
        images: `ImageFolder`.
        image_set: name of the list.
        vocs_classes: names of VOC's classes, from number 1.

    Returns:
        The images, whose objects a worker finds, their `Category`s, and findings.

    Raises:
        AnnotationError: there are lists and none of this set, or a table of classes that is none.
    """
    classes, categories = _classes(root, vocs_classes)
    names, findings = voc_lists.names(root, instances, image_set, masks=True)
    found = []
    for name in names:
        path, of_class = instances.get(name), semantic.get(name)
        if path is None or of_class is None:
            folder = "SegmentationClass" if path else "SegmentationObject"
            findings.append(Finding(SKIPPED_IMAGE, f"the image has no file in {folder}", name))
            continue
        photo = images.find(f"{name}.jpg", any_suffix=True)
        filename = relative_name(photo, images.root) if photo else f"{name}.jpg"
        found.append(
            AnnotatedImage(
                key=filename,
                source_id=filename,
                filename=filename,
                path=photo or images.path(filename),
                complete=partial(_instances, path=path, of_class=of_class, classes=classes),
            )
        )
    return found, categories, findings


def _classes(root, vocs_classes):
    """What the values of SegmentationClass mean, and the categories."""
    if (root / "labelmap.txt").is_file():
        names = _label_map(root / "labelmap.txt")
        categories = tuple(Category(name) for name in sorted(set(names.values())))
        return _Classes(names, by_colour=True), categories
    if (root / "class_names.txt").is_file():
        lines = [line.strip() for line in read_text(root / "class_names.txt").splitlines()]
        names = {n: name for n, name in enumerate(lines) if name and name not in NO_CLASSES}
    else:
        names = dict(enumerate(vocs_classes, start=1))
    return _Classes(names, by_colour=False), tuple(
        Category(name, number) for number, name in names.items()
    )


def _label_map(path):
    """The classes of CVAT's table: packed colour -> name."""
    names = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name, _, rest = line.partition(":")
        if not line.strip() or line.startswith("#") or name.strip() in NO_CLASSES:
            continue
        try:
            red, green, blue = (int(part) for part in rest.partition(":")[0].split(","))
        except ValueError:
            raise AnnotationError(
                f"{path}, line {number}: 'name:red,green,blue:...' is expected, got {line[:60]!r}"
            ) from None
        names[mask_regions.pack(red, green, blue)] = name.strip()
    return names


def _instances(image, *, path, of_class, classes):
    """The image with an object for each instance (None: nothing can be read), and findings."""
    try:
        regions = mask_regions.read(path, numbered=True)
        semantic = mask_regions.read(of_class, numbered=not classes.by_colour)
    except mask_regions.FileFault as fault:
        return None, (Finding(SKIPPED_IMAGE, str(fault), f"{image.key}: {path.name}"),)
    if regions.labels.shape != semantic.labels.shape:
        reason = "SegmentationObject and SegmentationClass differ in size"
        return None, (Finding(SKIPPED_IMAGE, reason, image.key),)
    objects, findings = [], []
    for value in instance_matching.values_of_instances(regions):
        mask = regions.labels == value
        key = f"{Path(path).name}: {regions.name(value)}"
        names = [classes.names.get(int(each)) for each in semantic.values]
        counts = np.bincount(semantic.labels[mask], minlength=len(names))
        known = [number for number in np.argsort(-counts) if names[number] and counts[number]]
        if not known:
            reason = "SegmentationClass has no class for the instance"
            findings.append(Finding(SKIPPED_OBJECT, reason, key))
            continue
        if len(known) > 1:
            reason = "the instance has pixels of several classes: that of most is taken"
            findings.append(Finding(NOTED, reason, key))
        objects.append(AnnotatedObject(key, names[known[0]], mask=Bitmap(mask)))
    return image._replace(objects=tuple(objects)), tuple(findings)
