"""Supervisely projects: read and checked, written from annotation sets, converted to records."""

import base64
import binascii
import json
import shutil
import zlib
from pathlib import Path
from typing import NamedTuple

from object_detection import atomic
from object_detection.datasets import checking, conversion, files, image_file, label_ids
from object_detection.datasets.annotations import Finding
from object_detection.datasets.examples import Settings
from object_detection.datasets.formats import supervisely
from object_detection.datasets.records import ShardedRecords
from object_detection.datasets.report import SKIPPED_IMAGE
from object_detection.errors import AnnotationError, ImageError
from object_detection.prediction.writers import bitmap_object
from object_detection.utils import visualization_utils


class Project(NamedTuple):
    """Supervisely project with all its annotations."""

    folder: Path
    meta: dict  # content of meta.json
    annotations: tuple  # of `Annotation`

    @property
    def titles(self):
        """Titles of the classes, in meta.json's order."""
        return [str(each["title"]) for each in self.meta["classes"]]

    @property
    def titles_with_area(self):
        """Titles of the classes other than points and lines."""
        return [
            str(each["title"])
            for each in self.meta["classes"]
            if each.get("shape") not in supervisely.WITHOUT_AREA
        ]


class Annotation(NamedTuple):
    """Annotations of one image."""

    dataset: str  # the folder below the project, with forward slashes
    path: Path  # of the JSON
    image: Path
    content: dict

    @property
    def tags(self):
        """Names of the image's tags."""
        tags = self.content.get("tags")
        return {
            str(tag.get("name") or tag.get("title")) if isinstance(tag, dict) else str(tag)
            for tag in (tags if isinstance(tags, list) else ())
        }


def read_project(folder) -> Project:
    """Read and check a project.

    Raises:
        AnnotationError: no project, no meta.json, an object of a class that is not in meta.json, a
            bitmap that cannot be decoded, a missing image; with file and key.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AnnotationError(f"there is no folder {folder}")
    meta = _meta(folder)
    titles = {str(each["title"]) for each in meta["classes"]}
    annotations = []
    places = sorted(p for p in folder.rglob("ann") if p.is_dir() and ".git" not in p.parts)
    for place in places:
        images = files.ImageFolder(place.parent / "img")
        for path in files.walk(place, {".json"}):
            content = files.load_json(path)
            if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
                raise AnnotationError(f"{path}: objects is missing; it must be a list")
            for number, stated in enumerate(content["objects"]):
                _check_object(stated, f"{path}: objects[{number}]", titles)
            image = supervisely.image_of(path, place.parent, images)
            if not image.is_file():
                raise AnnotationError(f"{path}: its image {image} does not exist")
            dataset = place.parent.relative_to(folder).as_posix()
            annotations.append(Annotation(dataset, path, image, content))
    if not annotations:
        raise AnnotationError(
            f"{folder} contains no annotated image: expected DATASET/img/NAME.png and "
            "DATASET/ann/NAME.png.json"
        )
    return Project(folder, meta, tuple(annotations))


def check_tags(project, tags):
    """Raise `AnnotationError` unless images have the tags.

    Args:
        project: `Project`.
        tags: name for messages, such as "train.json: dataset_tags.train" -> tag.
    """
    in_use = sorted({tag for each in project.annotations for tag in each.tags})
    for name, tag in tags.items():
        if tag not in in_use:
            known = ", ".join(map(repr, in_use)) or "none: no image of the project has a tag"
            raise AnnotationError(
                f"{name} is {tag!r}, but no image of {project.folder} has that tag; tags in use: "
                f"{known}"
            )


def _meta(folder):
    path = folder / "meta.json"
    if not path.is_file():
        raise AnnotationError(f"{path} is missing: it lists the classes of a Supervisely project")
    meta = files.load_json(path)
    classes = meta.get("classes") if isinstance(meta, dict) else None
    if not isinstance(classes, list):
        raise AnnotationError(f"{path}: classes is missing; it must be a list")
    for number, each in enumerate(classes):
        if not isinstance(each, dict) or not each.get("title"):
            raise AnnotationError(f"{path}: classes[{number}].title is missing")
    return meta


def _check_object(stated, place, titles):
    if not isinstance(stated, dict):
        raise AnnotationError(f"{place} is not an object with classTitle and geometryType")
    title = str(stated.get("classTitle") or "")
    if title not in titles:
        known = ", ".join(map(repr, sorted(titles))) or "none"
        raise AnnotationError(
            f"{place}.classTitle is {title!r}, which is not a class of meta.json; its classes are "
            f"{known}"
        )
    bitmap = stated.get("bitmap")
    if isinstance(bitmap, dict) and not _inflates(bitmap.get("data")):
        raise AnnotationError(
            f"{place}.bitmap.data does not inflate: it must be base64 of a zlib-compressed PNG"
        )


def _inflates(encoded_text):
    try:
        packed = base64.b64decode(encoded_text or "")
        encoded = packed if packed.startswith(b"\x89PNG") else supervisely.inflated(packed)
    except (TypeError, ValueError, binascii.Error, zlib.error):
        return False
    return encoded.startswith(b"\x89PNG")


class Records(NamedTuple):
    """Written records."""

    paths: dict  # "train", "val" -> path
    label_map: object  # path
    images: dict  # "train", "val" -> number of images


def write_records(project, tags, classes, folder):
    """Write train.record, val.record and label_map.pbtxt.

    Objects of the background class are left out. Objects of the neutral class have the id after the
    last class, which is not in the label map.

    Args:
        project: `project.Project`.
        tags: {"train": tag, "val": tag}.
        classes: `ClassIds`.
        folder: to write to.

    Raises:
        AnnotationError: no image of a split can be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    label_map = folder / "label_map.pbtxt"
    label_ids.write(label_map, label_ids.LabelIds(classes.foreground))
    ids = dict(classes.foreground)
    if classes.neutral is not None:
        ids[classes.neutral] = max(ids.values()) + 1
    sets = supervisely.read(project.folder, train_tags=(tags["train"],), val_tags=(tags["val"],))
    sets = {
        split: annotations._replace(
            images=tuple(
                _without_background(image, classes.background) for image in annotations.images
            )
        )
        for split, annotations in sets.items()
    }
    for split, annotations in sets.items():  # of both splits, before one is written
        conversion.check_masks(annotations.images, f"{project.folder}: {split}")
    paths, counts = {}, {}
    for split, annotations in sets.items():
        paths[split] = folder / f"{split}.record"
        report = conversion.convert(
            annotations.images,
            ShardedRecords(paths[split], 0),
            Settings(ids, include_masks=True),
            title=split,
            findings=annotations.findings,
        )
        print(report.text())
        counts[split] = report.written["images"]
        if report.failure:
            raise AnnotationError(f"{project.folder}: {report.failure}")
    return Records(paths, label_map, counts)


def _without_background(image, background):
    kept = tuple(each for each in image.objects if each.class_name != background)
    return image._replace(objects=kept)


def write_project(folder, splits, *, dataset="ds0"):
    """Write a project whose images have the name of their split as a tag.

    Args:
        folder: of the project; it must not contain a project yet.
        splits: tag -> `AnnotationSet`.
        dataset: name of the only dataset of the project.

    Returns:
        Findings about skipped and corrected objects, and tag -> number of images written.

    Raises:
        AnnotationError: the folder is in use, two images share a name, or a split has objects but
            no mask.
    """
    folder = Path(folder)
    if (folder / "meta.json").exists():
        raise AnnotationError(f"{folder} contains a project already; choose another folder")
    for tag, annotations in splits.items():
        conversion.check_masks(annotations.images, tag)
    image_dir, annotation_dir = (folder / dataset / part for part in ("img", "ann"))
    for part in (image_dir, annotation_dir):
        part.mkdir(parents=True, exist_ok=True)
    findings, classes, counts = [], {}, {}
    for tag, annotations in splits.items():
        counts[tag] = 0
        findings += annotations.findings
        classes |= dict.fromkeys(category.name for category in annotations.categories)
        for image in annotations.images:
            name = Path(image.filename).name
            if (image_dir / name).exists():
                raise AnnotationError(
                    f"two images have the name {name}; names must be unique in a dataset"
                )
            content, about = _project_annotation(image, tag)
            findings += about
            if content is None:
                continue
            classes |= dict.fromkeys(each["classTitle"] for each in content["objects"])
            shutil.copyfile(image.path, image_dir / name)
            write_json(annotation_dir / f"{name}.json", content)
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


def _project_annotation(image, tag):
    """Return the content of an image's JSON (None: the image is skipped), and findings."""
    try:
        stored = image_file.prepare(image.path.read_bytes(), lambda: image.stated_size)
    except (OSError, ImageError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
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
    """Write a JSON file."""
    atomic.write_text(path, json.dumps(content, ensure_ascii=False) + "\n")
