"""A Supervisely project as this door takes it: checked as a whole, one clear sentence a fault."""

import base64
import binascii
import zlib
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.datasets.formats import supervisely
from object_detection.errors import AnnotationError


class Project(NamedTuple):
    """What was found."""

    folder: Path
    meta: dict  # content of meta.json
    annotations: tuple  # of `Annotation`

    @property
    def titles(self):
        """Titles of the classes, in meta.json's order."""
        return [str(each["title"]) for each in self.meta["classes"]]

    @property
    def titles_with_area(self):
        """Titles of those that are no points or lines."""
        return [
            str(each["title"])
            for each in self.meta["classes"]
            if each.get("shape") not in supervisely.WITHOUT_AREA
        ]


class Annotation(NamedTuple):
    """One image."""

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


def read(folder) -> Project:
    """Reads and checks a project.

    Raises:
        AnnotationError: no project, no meta.json, an object of a class that meta.json lacks, a
            bitmap that cannot be decoded, an image that is not there; with file and key.
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
                raise AnnotationError(f"{path}: objects is missing; it has to be a list")
            for number, stated in enumerate(content["objects"]):
                _check_object(stated, f"{path}: objects[{number}]", titles)
            image = supervisely.image_of(path, place.parent, images)
            if not image.is_file():
                raise AnnotationError(f"{path}: its image {image} is not there")
            dataset = place.parent.relative_to(folder).as_posix()
            annotations.append(Annotation(dataset, path, image, content))
    if not annotations:
        raise AnnotationError(
            f"{folder} holds no annotated image: DATASET/img/NAME.png and DATASET/ann/NAME.png.json"
        )
    return Project(folder, meta, tuple(annotations))


def check_tags(project, wanted):
    """Raises unless images have the tags.

    Args:
        project: `Project`.
        wanted: what is told of it, such as "train.json: dataset_tags.train" -> tag.
    """
    in_use = sorted({tag for each in project.annotations for tag in each.tags})
    for place, tag in wanted.items():
        if tag not in in_use:
            known = ", ".join(map(repr, in_use)) or "none: no image of the project has a tag"
            raise AnnotationError(
                f"{place} is {tag!r}, but no image of {project.folder} has that tag; tags in use: "
                f"{known}"
            )


def _meta(folder):
    path = folder / "meta.json"
    if not path.is_file():
        raise AnnotationError(f"{path} is missing: it holds the classes of a Supervisely project")
    meta = files.load_json(path)
    classes = meta.get("classes") if isinstance(meta, dict) else None
    if not isinstance(classes, list):
        raise AnnotationError(f"{path}: classes is missing; it has to be a list")
    for number, each in enumerate(classes):
        if not isinstance(each, dict) or not each.get("title"):
            raise AnnotationError(f"{path}: classes[{number}].title is missing")
    return meta


def _check_object(stated, place, titles):
    if not isinstance(stated, dict):
        raise AnnotationError(f"{place} is no object with classTitle and geometryType")
    title = str(stated.get("classTitle") or "")
    if title not in titles:
        known = ", ".join(map(repr, sorted(titles))) or "none"
        raise AnnotationError(
            f"{place}.classTitle is {title!r}, a class that meta.json lacks; it has {known}"
        )
    bitmap = stated.get("bitmap")
    if isinstance(bitmap, dict) and not _inflates(bitmap.get("data")):
        raise AnnotationError(
            f"{place}.bitmap.data does not inflate: it has to be base64 of a zlib-compressed PNG"
        )


def _inflates(data):
    try:
        packed = base64.b64decode(data or "")
        encoded = packed if packed.startswith(b"\x89PNG") else supervisely.inflated(packed)
    except (TypeError, ValueError, binascii.Error, zlib.error):
        return False
    return encoded.startswith(b"\x89PNG")
