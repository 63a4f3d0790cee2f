"""Reads LVIS, v0.5 and v1: COCO's form, and in each image which classes were looked for.

LVIS annotates the classes of an image only in part. Each image names the classes that surely do not
occur (negative) and those whose objects are not all annotated (not exhaustive); everything else
is unknown there.
"""

import re
from pathlib import Path, PurePosixPath

from object_detection.datasets import files
from object_detection.datasets.annotations import Finding
from object_detection.datasets.formats import coco
from object_detection.datasets.report import NOTED
from object_detection.errors import AnnotationError
from object_detection.structures import coco_json
from object_detection.structures.run_lengths import whole_number

FREQUENCIES = {"f": "FREQUENT", "c": "COMMON", "r": "RARE"}  # in images: over 100, over 10, fewer
LARGEST_COUNT = 2**31  # of objects of a class; a label map holds no more
NEGATIVE, NOT_EXHAUSTIVE = "neg_category_ids", "not_exhaustive_category_ids"


def read(annotations_file, image_dir):
    """Reads one json.

    Args:
        annotations_file: path of the json.
        image_dir: the folder that holds COCO's `train2017` and `val2017` (LVIS draws on both), or
            one of these.

    Returns:
        An `AnnotationSet`, ids of categories as in the file.

    Raises:
        AnnotationError: no json, or not LVIS' form of it; no such folder.
    """
    if not Path(image_dir).is_dir():
        raise AnnotationError(f"there is no folder {image_dir}")
    content = coco.load(annotations_file)
    folder = files.ImageFolder(image_dir)
    entries = {}
    for entry in content["images"]:
        if isinstance(entry, dict):  # `coco` names the others
            entry["file_name"] = _file_name(entry, folder)
            entries.setdefault(coco_json.id_text(entry.get("id")), entry)
    if not any(NEGATIVE in entry for entry in entries.values()):
        raise AnnotationError(
            f"{annotations_file}: no image has '{NEGATIVE}', as every one of LVIS does. Is it a "
            "json of COCO? Then use create_coco_tf_record"
        )
    annotations = coco.from_content(content, annotations_file, image_dir)
    names = {category.id: category.name for category in annotations.categories}
    findings = list(annotations.findings)
    images = tuple(_with_lists(image, entries, names, findings) for image in annotations.images)
    details = {
        whole_number(entry.get("id")): _item_fields(entry)
        for entry in reversed(content["categories"])
        if isinstance(entry, dict)
    }
    categories = tuple(
        each._replace(item_fields=details[each.id]) for each in annotations.categories
    )
    return annotations._replace(categories=categories, images=images, findings=tuple(findings))


def _file_name(entry, folder):
    """The name of an image below the folder: v1 gives only its URL, v0.5 a name of 2014."""
    stated = entry.get("file_name") or entry.get("coco_url") or ""
    if files.name_fault(stated):
        return stated
    parts = files.name_parts(stated)
    if not parts:
        return ""
    path = folder.find(stated)
    if path is None:
        bare = re.sub(r"^COCO_\w+2014_(?=\d+\.)", "", parts[-1])
        path = folder.find(bare) if bare != parts[-1] else None
    return files.relative_name(path, folder.root) if path else str(PurePosixPath(*parts[-2:]))


def _with_lists(image, entries, names, findings):
    """The image with its two lists of classes, by name."""
    lists = []
    for key in (NEGATIVE, NOT_EXHAUSTIVE):
        numbers = entries[image.source_id].get(key) or []
        if not isinstance(numbers, list):
            numbers = [numbers]
        known = [number for number in map(whole_number, numbers) if number in names]
        if len(known) < len(numbers):
            unknown = [number for number in numbers if whole_number(number) not in names]
            reason = f"{key} names categories that the file does not have"
            findings.append(Finding(NOTED, reason, f"{image.key}: {files.shortened(unknown)}"))
        lists.append(tuple(names[number] for number in known))
    negative, not_exhaustive = lists
    for annotated in image.objects:
        if annotated.class_name in negative:
            reason = "the image says that the class does not occur; the object is kept"
            findings.append(Finding(NOTED, reason, f"{image.key} {annotated.key}"))
    return image._replace(negative_classes=negative, not_exhaustive_classes=not_exhaustive)


def _item_fields(entry):
    """What TFOD's label maps say of a class of LVIS besides its number and name."""
    fields = []
    frequency, count = entry.get("frequency"), entry.get("instance_count")
    if isinstance(frequency, str) and frequency in FREQUENCIES:
        fields.append(("frequency", FREQUENCIES[frequency]))
    if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < LARGEST_COUNT:
        fields.append(("instance_count", count))
    return tuple(fields)
