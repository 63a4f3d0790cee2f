"""Reads COCO annotation files (`instances_*.json`) and the many files that call themselves so."""

import gc
from array import array
from collections import Counter
from contextlib import contextmanager

from object_detection.annotations import files
from object_detection.annotations.record import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationError,
    AnnotationSet,
    Category,
    Finding,
    Polygons,
    RunLengths,
)
from object_detection.annotations.report import NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT


def read(annotations_file, image_dir):
    """Reads one COCO json.

    Args:
        annotations_file: path of the json.
        image_dir: folder of its images.

    Returns:
        An `AnnotationSet`; images in the order of the file, ids of categories as they stand there.

    Raises:
        AnnotationError: no json, or not COCO's form of it.
    """
    return from_content(load(annotations_file), annotations_file, image_dir)


def from_content(content, annotations_file, image_dir):
    """Like `read`, of what `load` gave."""
    with _without_collector():
        return _set(content, annotations_file, image_dir)


@contextmanager
def _without_collector():
    """Millions of values, all of which stay: looking for garbage costs a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _set(content, annotations_file, image_dir):
    """The `AnnotationSet` of a file's content."""
    findings = []
    categories = _categories(content, annotations_file)
    names = {category.id: category.name for category in categories}
    objects = {}
    for place, annotation in enumerate(content.get("annotations") or []):
        key = f"annotation {annotation.get('id', f'number {place + 1}')}"
        if annotation.get("category_id") not in names:
            reason = f"the file has no category {annotation.get('category_id')!r}"
            findings.append(Finding(SKIPPED_OBJECT, reason, key))
            continue
        found = _object(annotation, key, names[annotation["category_id"]])
        objects.setdefault(str(annotation.get("image_id")), []).append(found)
    images = _images(content, annotations_file, image_dir, objects, findings)
    known = {image.source_id for image in images}
    for image_id in objects.keys() - known:
        reason = f"the file has no image {image_id!r}"
        findings += [Finding(SKIPPED_OBJECT, reason, found.key) for found in objects[image_id]]
    return AnnotationSet(str(annotations_file), categories, images, tuple(findings))


def load(path):
    """The json as a dict with the lists that COCO's form needs; its polygons are arrays.

    Raises:
        AnnotationError: no json, or not COCO's form of it.
    """
    with _without_collector():
        content = files.load_json(path, _packed)
    for name in ("images", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise AnnotationError(
                f"{path} has no list '{name}': COCO's form is "
                '{"images": [...], "annotations": [...], "categories": [...]}'
            )
    return content


def _packed(entry):
    """An object of the json, its polygons as arrays: a quarter of the memory of lists."""
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, list):
        try:
            entry["segmentation"] = [array("d", part) for part in segmentation]
        except TypeError:
            pass  # of another form, or none: `_mask` sees to it
    return entry


def _categories(content, path):
    """The classes of the file; ids must be there, whole, not negative, and each only once."""
    categories = []
    for entry in content["categories"]:
        number, name = entry.get("id"), str(entry.get("name", "")).strip()
        if not isinstance(number, int) or number < 0 or not name:
            raise AnnotationError(
                f"{path}: a category needs an id from 0 up and a name, got {entry}"
            )
        categories.append(Category(name, number))
    for number, times in Counter(category.id for category in categories).items():
        if times > 1:
            raise AnnotationError(f"{path}: category id {number} stands {times} times")
    return tuple(categories)


def _images(content, path, image_dir, objects, findings):
    """The images of the file with their objects."""
    images, seen, folder = [], set(), files.ImageFolder(image_dir)
    for entry in content["images"]:
        filename = entry.get("file_name") or str(entry.get("coco_url") or "").rpartition("/")[2]
        if "id" not in entry or not filename:
            raise AnnotationError(f"{path}: an image needs an id and a file_name, got {entry}")
        source_id = str(entry["id"])
        if source_id in seen:
            reason = f"image id {source_id} stands twice: whose are its objects?"
            findings.append(Finding(SKIPPED_IMAGE, reason, filename))
            continue
        seen.add(source_id)
        size = (entry.get("height"), entry.get("width"))
        images.append(
            AnnotatedImage(
                key=filename,
                source_id=source_id,
                filename=filename,
                objects=tuple(objects.get(source_id, ())),
                path=folder.path(filename),
                stated_size=size if all(isinstance(side, int) for side in size) else None,
            )
        )
    findings += folder.findings()
    for filename, times in Counter(image.filename for image in images).items():
        if times > 1:
            findings.append(Finding(NOTED, "the file name stands more than once", filename))
    return tuple(images)


def _object(annotation, key, class_name):
    """One annotation as it is; numbers that cannot be read become absent with a reason."""
    mask, fault = _mask(annotation.get("segmentation"))
    area = annotation.get("area")
    return AnnotatedObject(
        key=key,
        class_name=class_name,
        box=_box(annotation.get("bbox")),
        mask=mask,
        mask_fault=fault,
        area=float(area) if isinstance(area, int | float) else None,
        crowd=bool(annotation.get("iscrowd")),
        difficult=bool(annotation.get("difficult")),
    )


def _box(bbox):
    """COCO's (x, y, width, height) as (ymin, xmin, ymax, xmax); None where there is none."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    try:
        x, y, width, height = (float(number) for number in bbox)
    except (TypeError, ValueError):
        return None
    return y, x, y + height, x + width


def _mask(segmentation):
    """A segmentation of any form, told by its shape and not by `iscrowd`; or why there is none."""
    if not segmentation:
        return None, None
    try:
        if isinstance(segmentation, dict):
            height, width = (int(side) for side in segmentation["size"])
            counts = segmentation["counts"]
            packed = counts.encode() if isinstance(counts, str) else tuple(int(n) for n in counts)
            return RunLengths(height, width, packed), None
        if isinstance(segmentation[0], int | float):
            segmentation = [segmentation]  # one polygon without the outer list
        parts = (
            part if isinstance(part, array) else array("d", map(float, part))
            for part in segmentation
        )
        return Polygons(tuple(parts)), None
    except (TypeError, ValueError, KeyError, UnicodeEncodeError) as error:
        return None, f"the segmentation is neither polygons nor run lengths ({error!r})"
