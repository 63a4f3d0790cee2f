"""Writes annotation sets as Supervisely projects: a bitmap an object, a tag of each split."""

import json
import shutil
from pathlib import Path

from object_detection import atomic
from object_detection.datasets import checking, conversion, image_file
from object_detection.datasets.annotations import Finding
from object_detection.datasets.report import SKIPPED_IMAGE
from object_detection.errors import AnnotationError, ImageError
from object_detection.prediction.writers import bitmap_object
from object_detection.utils import visualization_utils


def write(folder, splits, *, dataset="ds0"):
    """Writes a project whose images bear the name of their split as a tag.

    Args:
        folder: of the project; it must not hold one yet.
        splits: tag -> `AnnotationSet`.
        dataset: the one data set of the project.

    Returns:
        Findings about what was left out or corrected, and tag -> number of images written.

    Raises:
        AnnotationError: the folder is in use, two images share a name, or a split has objects and
            not one mask.
    """
    folder = Path(folder)
    if (folder / "meta.json").exists():
        raise AnnotationError(f"{folder} holds a project already; choose another folder")
    for tag, found in splits.items():
        conversion.check_masks(found.images, tag)
    images, annotations = (folder / dataset / part for part in ("img", "ann"))
    for part in (images, annotations):
        part.mkdir(parents=True, exist_ok=True)
    findings, classes, counts = [], {}, {}
    for tag, found in splits.items():
        counts[tag] = 0
        findings += found.findings
        classes |= dict.fromkeys(category.name for category in found.categories)
        for image in found.images:
            name = Path(image.filename).name
            if (images / name).exists():
                raise AnnotationError(f"two images are called {name}; a data set takes one")
            content, about = _annotation(image, tag)
            findings += about
            if content is None:
                continue
            classes |= dict.fromkeys(each["classTitle"] for each in content["objects"])
            shutil.copyfile(image.path, images / name)
            write_json(annotations / f"{name}.json", content)
            counts[tag] += 1
        if not counts[tag]:
            reasons = sorted({each.reason for each in findings if each.group == SKIPPED_IMAGE})
            raise AnnotationError(f"no image of {tag} could be written: {'; '.join(reasons[:3])}")
    meta = {
        "classes": [
            {"title": title, "shape": "bitmap", "color": visualization_utils.color_of(number)}
            for number, title in enumerate(classes)
        ],
        "tags": [{"name": tag, "value_type": "none", "color": "#ffca28"} for tag in splits],
        "projectType": "images",
    }
    write_json(folder / "meta.json", meta)
    return findings, counts


def _annotation(image, tag):
    """The content of an image's JSON (None: the image is left out), and findings."""
    try:
        stored = image_file.prepare(image.path.read_bytes(), lambda: image.stated_size)
    except (OSError, ImageError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        return None, [Finding(SKIPPED_IMAGE, reason, image.key)]
    checked = checking.check_objects(
        image.objects, stored.height, stored.width, with_masks=checking.REQUIRED
    )
    findings = checked.findings
    if checked.masks_unknown:
        return None, [*findings, Finding(SKIPPED_IMAGE, checking.NO_MASKS, image.key)]
    objects = []
    for each in checked.kept:
        pixels, top, left = each.mask
        objects.append({**bitmap_object(each.class_name, pixels, top, left), "tags": []})
    size = {"height": stored.height, "width": stored.width}
    return {"description": "", "size": size, "tags": [{"name": tag}], "objects": objects}, findings


def write_json(path, content):
    """Writes a JSON file."""
    atomic.write_text(path, json.dumps(content, ensure_ascii=False) + "\n")
