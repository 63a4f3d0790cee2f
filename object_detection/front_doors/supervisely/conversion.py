"""Writes annotation sets as Supervisely projects: a bitmap an object, a tag of each split."""

import json
import shutil
from pathlib import Path

import numpy as np

from object_detection.annotations import checking, image_file
from object_detection.annotations.record import AnnotationError
from object_detection.prediction.writers import bitmap_object
from object_detection.utils import visualization_utils


def write(folder, splits, *, dataset="ds0"):
    """Writes a project whose images bear the name of their split as a tag.

    Args:
        folder: of the project; it must not hold one yet.
        splits: tag -> `AnnotationSet`.
        dataset: the one data set of the project.

    Returns:
        Findings about what was left out or corrected.

    Raises:
        AnnotationError: the folder is in use, or two images share a name.
    """
    folder = Path(folder)
    if (folder / "meta.json").exists():
        raise AnnotationError(f"{folder} holds a project already; choose another folder")
    images, annotations = (folder / dataset / part for part in ("img", "ann"))
    for part in (images, annotations):
        part.mkdir(parents=True, exist_ok=True)
    findings, classes = [], {}
    for tag, found in splits.items():
        findings += found.findings
        classes |= dict.fromkeys(category.name for category in found.categories)
        for image in found.images:
            name = Path(image.filename).name
            if (images / name).exists():
                raise AnnotationError(f"two images are called {name}; a data set takes one")
            content, about = _annotation(image, tag)
            findings += about
            classes |= dict.fromkeys(each["classTitle"] for each in content["objects"])
            shutil.copyfile(image.path, images / name)
            write_json(annotations / f"{name}.json", content)
    meta = {
        "classes": [
            {"title": title, "shape": "bitmap", "color": visualization_utils.color_of(number)}
            for number, title in enumerate(classes)
        ],
        "tags": [{"name": tag, "value_type": "none", "color": "#ffca28"} for tag in splits],
        "projectType": "images",
    }
    write_json(folder / "meta.json", meta)
    return findings


def _annotation(image, tag):
    """The content of an image's JSON, and findings."""
    stored = image_file.prepare(image.path.read_bytes(), lambda: image.stated_size)
    findings, objects = [], []
    for found in image.objects:
        fitted, about = checking.checked(found, stored.height, stored.width, with_mask=True)
        findings += about
        if fitted:
            mask = fitted.mask
            pixels = np.asarray(mask.pixels)
            figure = bitmap_object(fitted.class_name, pixels, mask.top, mask.left)
            objects.append({**figure, "tags": []})
    size = {"height": stored.height, "width": stored.width}
    return {"description": "", "size": size, "tags": [{"name": tag}], "objects": objects}, findings


def write_json(path, content):
    """Writes a JSON file."""
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
