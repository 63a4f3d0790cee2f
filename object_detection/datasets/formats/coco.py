"""Reads COCO annotation files (`instances_*.json`) and the many files that call themselves so."""

import gc
import math
from array import array
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

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
from object_detection.datasets.files import shortened
from object_detection.datasets.formats import shapes
from object_detection.datasets.formats.cvat import TURNED
from object_detection.datasets.report import DERIVED, NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError, MaskError
from object_detection.structures import coco_json
from object_detection.structures.run_lengths import MAX_PIXELS, whole_number

LARGEST_ID = 2**62  # of a category; NumPy holds no more


def read(annotations_file: str | Path, image_dir: str | Path) -> AnnotationSet:
    """Reads one COCO json.

    Ids are equal as whole numbers are equal: "1", 1 and 1.0 name the same image or category. An
    entry that cannot be used is skipped and named in the findings.

    Args:
        annotations_file: path of the json.
        image_dir: folder of its images.

    Returns:
        An `AnnotationSet`; images in the order of the file, ids of categories as the file has them.

    Raises:
        AnnotationError: no json, not COCO's form of it, or not one usable image or category.
    """
    return from_content(load(annotations_file), annotations_file, image_dir)


def from_content(
    content: dict, annotations_file: str | Path, image_dir: str | Path
) -> AnnotationSet:
    """Read the content that `load` returned, like `read`."""
    with _without_collector():
        return _read(content, annotations_file, image_dir)


@contextmanager
def _without_collector():
    """Switch garbage collection off: with millions of live values it takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(content, annotations_file, image_dir):
    findings = []
    categories = _categories(content["categories"], annotations_file, findings)
    images, skipped = _images(content["images"], annotations_file, image_dir, findings)
    names = {category.id: category.name for category in categories}
    ids, objects = coco_json.IdTable(images), {image_id: [] for image_id in images}
    unknown, no_image = [], {}
    for place, annotation in enumerate(content.get("annotations") or [], 1):
        key = _key(annotation, place)
        if not isinstance(annotation, dict):
            reason = f"the entry is {shortened(annotation)}, not an object {{...}}"
            findings.append(Finding(SKIPPED_OBJECT, reason, key))
            continue
        number = whole_number(annotation.get("category_id"))
        if number not in names:
            reason = f"the file has no category {shortened(annotation.get('category_id'))}"
            unknown.append(Finding(SKIPPED_OBJECT, reason, key))
            continue
        image_id = ids.find(annotation.get("image_id"))
        if image_id not in images:
            no_image.setdefault(_no_image(annotation.get("image_id"), skipped), []).append(key)
            continue
        objects[image_id].append(_object(annotation, key, names[number], number, findings))
    findings += unknown
    findings += [
        Finding(SKIPPED_OBJECT, reason, key) for reason, keys in no_image.items() for key in keys
    ]
    used = {each.category_id for of_image in objects.values() for each in of_image}
    categories = _without_root(content["categories"], categories, used, findings)
    images = tuple(
        image._replace(objects=tuple(objects[image_id])) for image_id, image in images.items()
    )
    return AnnotationSet(str(annotations_file), categories, images, tuple(findings))


def load(path: str | Path) -> dict:
    """The json as a dict with the lists that COCO's form needs; its polygons are arrays.

    Raises:
        AnnotationError: no json, or not COCO's form of it.
    """
    with _without_collector():
        content = files.load_json(path, _packed)
    for name in ("images", "categories", "annotations"):
        value = content.get(name) if isinstance(content, dict) else None
        if isinstance(value, list) or (name == "annotations" and value is None):
            continue
        has = "" if value is None else f"; it is {shortened(value)}"
        raise AnnotationError(
            f"{path} has no list '{name}'{has}: COCO's form is "
            '{"images": [...], "annotations": [...], "categories": [...]}'
        )
    return content


def _packed(entry):
    """An object of the json, its polygons as arrays: a quarter of the memory of lists."""
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, list) and all(isinstance(part, list) for part in segmentation):
        try:
            entry["segmentation"] = [array("d", part) for part in segmentation]
        except (TypeError, OverflowError):
            pass  # of another form, or none: `_mask` sees to it
    return entry


def _key(annotation, place):
    """What a report calls an annotation."""
    number = coco_json.id_text(annotation.get("id")) if isinstance(annotation, dict) else None
    return f"annotation {number or f'number {place}'}"


def _categories(entries, path, findings):
    """The classes of the file; entries without an id or a name are skipped.

    Raises:
        AnnotationError: no entry can be used, or one id has two names.
    """
    needed = "a category needs an id from 0 up and a name"
    categories = {}
    for place, entry in enumerate(entries, 1):
        stated = entry if isinstance(entry, dict) else {}
        number, name = whole_number(stated.get("id")), _name(stated.get("name"))
        if number is None or not 0 <= number < LARGEST_ID or not name:
            key = f"category number {place}: {shortened(entry)}"
            findings.append(Finding(NOTED, f"{needed}: the entry is skipped", key))
            continue
        if categories.setdefault(number, name) != name:
            raise AnnotationError(
                f"{path}: duplicate category id {number}: {categories[number]!r} and {name!r}"
            )
    if entries and not categories:
        raise AnnotationError(
            f'{path}: {needed}, such as {{"id": 1, "name": "cat"}}; '
            f"the first is {shortened(entries[0])}, and none can be used"
        )
    return tuple(Category(name, number) for number, name in categories.items())


def _name(value):
    """The name of a category; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        name = str(value).strip()
        name.encode()
    except ValueError:  # half a character, or an integer of more digits than Python writes
        return None
    return name


def _without_root(entries, categories, used, findings):
    """The categories without Roboflow's root: id 0, above all others, and of no object."""
    root = next((category for category in categories if category.id == 0), None)
    if root is None or root.id in used or len(categories) < 2:
        return categories
    above = {
        _name(entry.get("supercategory"))
        for entry in entries
        if isinstance(entry, dict) and whole_number(entry.get("id")) != 0
    }
    own = next(
        each for each in entries if isinstance(each, dict) and whole_number(each.get("id")) == 0
    )
    # Some exports state 'none' above the root, and nothing above the others.
    is_top = _name(own.get("supercategory")) == "none" and not any(above)
    if above != {root.name} and not is_top:
        return categories
    reason = "the supercategory of all others, without an object of its own: not a class"
    findings.append(Finding(DERIVED, reason, f"category 0 {root.name!r}"))
    return tuple(category for category in categories if category.id != 0)


def _no_image(stated, skipped):
    """Why an annotation has no image."""
    image_id = coco_json.id_text(stated)
    if image_id in skipped:
        return "its image is skipped"
    return f"the file has no image {repr(image_id) if image_id else shortened(stated)}"


def _images(entries, path, image_dir, findings):
    """The images of the file without their objects, by their ids; and the ids of those skipped.

    Raises:
        AnnotationError: no entry can be used.
    """
    images, skipped, folder, fault = {}, set(), files.ImageFolder(image_dir), None
    for place, entry in enumerate(entries, 1):
        filename = _file_name(entry)
        source_id = coco_json.id_text(entry.get("id")) if isinstance(entry, dict) else None
        fault = _image_fault(entry, source_id, filename)
        key = filename if fault is None else f"image number {place} ({shortened(filename)})"
        if fault is None and source_id in images:
            fault = (
                f"duplicate image id {source_id}: its annotations are ambiguous and count as the "
                "first image's; the second image is skipped"
            )
        if fault:
            findings.append(Finding(SKIPPED_IMAGE, fault, key))
            skipped.add(source_id)
            continue
        images[source_id] = AnnotatedImage(
            key=filename,
            source_id=source_id,
            filename=filename,
            path=folder.path(filename),
            stated_size=_stated_size(entry),
        )
    if fault and not images:
        raise AnnotationError(f"{path}: {fault}. No entry of 'images' can be used")
    findings += folder.findings()
    for filename, times in Counter(image.filename for image in images.values()).items():
        if times > 1:
            findings.append(Finding(NOTED, "duplicate file name", filename))
    return images, skipped - {None}


def _file_name(entry):
    """The name of an image's file as stated, else the last part of its URL."""
    if not isinstance(entry, dict):
        return None
    return entry.get("file_name") or str(entry.get("coco_url") or "").rpartition("/")[2]


def _image_fault(entry, source_id, filename):
    """Why an entry of the images cannot be used, or None."""
    if not isinstance(entry, dict):
        return f"the entry is {shortened(entry)}, not an object {{...}}"
    if source_id is None or filename in ("", None):
        return f"an image needs an id and a file_name, got {shortened(entry)}"
    return files.name_fault(filename)


def _stated_size(entry):
    """(height, width) as the entry states them, or None."""
    size = whole_number(entry.get("height")), whole_number(entry.get("width"))
    if None in size or min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
        return None
    return size


def _object(annotation, key, class_name, category_id, findings):
    """One annotation as it is; numbers that cannot be read become absent with a reason."""
    mask, fault = _mask(annotation.get("segmentation"))
    box, degrees = _box(annotation.get("bbox")), _rotation(annotation)
    if degrees and box and box[0] < box[2] and box[1] < box[3]:
        # CVAT states the box before it is turned, and no outline.
        box, mask = None, mask or shapes.rectangle(box, degrees)
        findings.append(Finding(DERIVED, TURNED, key))
    return AnnotatedObject(
        key=key,
        class_name=class_name,
        box=box,
        mask=mask,
        mask_fault=fault,
        area=_area(annotation.get("area")),
        crowd=_is_set(annotation.get("iscrowd")),
        difficult=_is_set(annotation.get("difficult")),
        category_id=category_id,
    )


def _box(bbox):
    """COCO's (x, y, width, height) as (ymin, xmin, ymax, xmax); None where there is none."""
    try:
        return coco_json.read_box(bbox)
    except ValueError:
        return None


def _area(area):
    """A stated area; None where it is no number."""
    if isinstance(area, bool) or not isinstance(area, int | float):
        return None
    try:
        return float(area)
    except OverflowError:
        return None


def _is_set(flag):
    """Whether a flag that others write as number, truth value or text is on."""
    if flag is None or type(flag) is int:
        return flag == 1
    return shapes.is_ticked(flag) or whole_number(flag) == 1


def _rotation(annotation):
    """The degrees by which CVAT says that a box is turned; 0 where nothing says it."""
    attributes = annotation.get("attributes")
    stated = attributes.get("rotation") if isinstance(attributes, dict) else None
    if isinstance(stated, bool) or not isinstance(stated, int | float | str):
        return 0.0
    try:
        degrees = float(stated)
    except (ValueError, OverflowError):
        return 0.0
    return degrees % 360 if math.isfinite(degrees) else 0.0


def _mask(segmentation):
    """A segmentation of any form, told by its shape and not by `iscrowd`; or why there is none."""
    try:
        read = coco_json.read_segmentation(segmentation)
    except MaskError as fault:
        return None, str(fault)
    if read is None:
        return None, None
    if read.parts is not None:
        return Polygons(read.parts), None
    return RunLengths(*read.size, read.counts), None
