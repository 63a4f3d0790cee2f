"""Reads Supervisely projects: a folder with `meta.json` and data sets of `img` and `ann`."""

import base64
import binascii
import math
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    EncodedBitmap,
    Finding,
    Polygons,
)
from object_detection.datasets.formats import shapes
from object_detection.datasets.report import DERIVED, NOTED, SKIPPED_IMAGE
from object_detection.errors import AnnotationError

WITHOUT_AREA = (
    "point line polyline graph keypoints cuboid cuboid_2d cuboid_3d point_3d pointcloud".split()
)

LARGEST_BITMAP = 1 << 27  # bytes of a PNG; more is a bomb


class _Tagged(NamedTuple):
    """An image with what it can be chosen by."""

    image: AnnotatedImage
    dataset: str
    tags: frozenset[str]


def read(
    project_dir,
    *,
    train_tags=(),
    val_tags=(),
    train_datasets=(),
    val_datasets=(),
    group_tag=None,
):
    """Reads a project, whole or in splits.

    Args:
        project_dir: the folder with `meta.json`, or one data set of it.
        train_tags: image tags; an image with one of them belongs to the split "train".
        val_tags: likewise for "val". An image may belong to both.
        train_datasets: names of data sets whose images belong to "train", tagged or not.
        val_datasets: likewise for "val".
        group_tag: objects of one class and image with this tag of one value are one object
            (Supervisely's own is '@label-group-id'); None: each object is one.

    Returns:
        Name of the split ("" for the whole project, where nothing is chosen) -> `AnnotationSet`.

    Raises:
        AnnotationError: no project, or a split that no image belongs to.
    """
    project = Path(project_dir)
    datasets = _datasets(project)
    findings = []
    declared = _classes(project, findings)
    about = {}  # key of an image -> findings
    tagged = [
        entry
        for name, folder in datasets
        for entry in _images_of(project, name, folder, group_tag, about, findings)
    ]
    categories = shapes.categories([each.image for each in tagged], declared)
    requested = {"train": (train_tags, train_datasets), "val": (val_tags, val_datasets)}
    splits, sets = {}, {}
    for split, (tags, names) in requested.items():
        if tags or names:
            splits[split] = _choose(tagged, tags, names, split, project)
    if not splits:
        splits[""] = tuple(each.image for each in tagged)
    both = {image.key for image in splits.get("train", ())} & {
        image.key for image in splits.get("val", ())
    }
    findings += [Finding(NOTED, "the image is in both splits", key) for key in sorted(both)]
    for split, images in splits.items():
        source = f"{project} {split}".strip()
        # Findings on the project as a whole are reported once, those of an image with its split.
        own = [
            *(() if sets else findings),
            *(each for image in images for each in about[image.key]),
        ]
        sets[split] = AnnotationSet(source, categories, images, tuple(own))
    return sets


def dataset_names(project_dir: str | Path) -> list[str]:
    """Return the names of a project's data sets.

    Raises:
        AnnotationError: it is no project.
    """
    return [name for name, _ in _datasets(Path(project_dir))]


def _datasets(project):
    """(name, folder) of each data set: the folders with `ann` in them, nested ones too."""
    if not project.is_dir():
        raise AnnotationError(f"there is no folder {project}")
    folders = sorted(
        path.parent for path in project.rglob("ann") if path.is_dir() and ".git" not in path.parts
    )
    if not folders:
        raise AnnotationError(
            f"{project} is no Supervisely project: meta.json, and DATASET/img with DATASET/ann"
        )
    return [(_dataset_name(path, project), path) for path in folders]


def _dataset_name(path, project):
    """Nested data sets lie in folders of the name `datasets`, which is no part of their name."""
    parts = [part for part in path.relative_to(project).parts if part != "datasets"]
    return "/".join(parts) or project.name


def _classes(project, findings):
    """The classes of meta.json that can have an area."""
    places = [folder / "meta.json" for folder in (project, project.parent)]
    meta = next((place for place in places if place.is_file()), None)
    if meta is None:
        findings.append(Finding(NOTED, "no meta.json: the classes are those in use", str(project)))
        return []
    content = files.load_json(meta)
    if not isinstance(content, dict) or not isinstance(content.get("classes"), list):
        raise AnnotationError(f"{meta} has no list 'classes'")
    titles = []
    for place, each in enumerate(content["classes"]):
        try:
            if not isinstance(each, dict):
                raise AnnotationError(f"the entry is {files.shortened(each)}, not a class")
            title = shapes.class_name(each.get("title"), "the class has no title")
        except AnnotationError as fault:
            findings.append(Finding(NOTED, str(fault), f"meta.json: classes[{place}]"))
            continue
        if str(each.get("shape")) not in WITHOUT_AREA:
            titles.append(title)
    return titles


def _images_of(project, dataset, folder, group_tag, about, findings):
    """The `_Tagged` images of one data set, sorted by name; findings on those without a JSON."""
    images = files.ImageFolder(folder / "img")
    known, entries = set(), []
    for path in files.walk(folder / "ann", {".json"}):
        key = files.relative_name(path, project)
        try:
            content = files.load_json(path)
            if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
                raise AnnotationError("the JSON has no list 'objects'")
        except AnnotationError as error:
            reason = str(error).replace(str(path), "the file")
            findings.append(Finding(SKIPPED_IMAGE, reason, key))
            continue
        image_path = image_of(path, folder, images)
        known.add(image_path)
        name = files.relative_name(image_path, project)
        size = content.get("size") if isinstance(content.get("size"), dict) else {}
        size = size.get("height"), size.get("width")
        image = AnnotatedImage(
            key=name,
            source_id=name,
            filename=name,
            objects=objects_of(content["objects"], name, group_tag, about.setdefault(name, [])),
            path=image_path,
            stated_size=shapes.size_of(*size),
        )
        entries.append(_Tagged(image, dataset, frozenset(_tags(content))))
    for path in images.paths():
        if path not in known:
            reason = "image without a JSON: left out"
            findings.append(Finding(NOTED, reason, files.relative_name(path, project)))
    return entries


def image_of(path, folder, images):
    """The image of `ann/<name.ext>.json` (or, of old exports, `ann/<name>.json`)."""
    below = path.relative_to(folder / "ann").with_suffix("")
    if below.suffix.lower() in files.IMAGE_SUFFIXES:
        return images.path(below.as_posix())
    return images.path(f"{below.as_posix()}.png", any_suffix=True)


def _tags(owner):
    """Names of the tags of an image or object with their values; old ones are bare names."""
    tags = owner.get("tags")
    pairs = [
        (tag.get("name") or tag.get("title"), tag.get("value"))
        if isinstance(tag, dict)
        else (tag, None)
        for tag in (tags if isinstance(tags, list) else ())
    ]
    return {str(name): True if value is None else value for name, value in pairs if name}


def _choose(tagged, tags, names, split, project):
    """The images of a split."""
    for name in names:
        if name not in {each.dataset for each in tagged}:
            known = ", ".join(sorted({f"'{each.dataset}'" for each in tagged})) or "none"
            raise AnnotationError(f"{project} has no data set '{name}'; it has {known}")
    images = tuple(each.image for each in tagged if each.dataset in names or each.tags & set(tags))
    if not images:
        known = ", ".join(sorted({f"'{tag}'" for each in tagged for tag in each.tags})) or "none"
        requested = " or ".join(f"'{tag}'" for tag in tags)
        raise AnnotationError(
            f"{project}: no image has the tag {requested}, so {split} is empty; tags in "
            f"use: {known}"
        )
    return images


def objects_of(objects, name, group_tag, findings):
    """The `AnnotatedObject`s of a list 'objects'.

    Args:
        objects: as the JSON has it.
        name: of the image, for their keys.
        group_tag: as for `read`.
        findings: list that what is left out is added to.
    """
    members = []
    for place, stated in enumerate(objects):
        key = f"{name} object {place + 1}"
        annotated = shapes.attempt(partial(_object, stated, key, findings), key, findings)
        if annotated:
            members.append((_tags(stated).get(group_tag), annotated))
    return shapes.grouped(members)


def _object(stated, key, findings):
    """One figure as an `AnnotatedObject`; raises `AnnotationError`."""
    if not isinstance(stated, dict):
        raise AnnotationError(f"the object is {files.shortened(stated)}, not a JSON object")
    title = shapes.class_name(stated.get("classTitle"), "the object has no class")
    kind = str(stated.get("geometryType") or _kind(stated)).lower()
    if kind in WITHOUT_AREA:
        raise AnnotationError(f"a figure of type '{kind}' has no area")
    if kind not in _FIGURES:
        raise AnnotationError(f"figures of type '{kind}' are not known")
    box, mask = _FIGURES[kind](stated)
    if box:
        findings.append(Finding(DERIVED, shapes.BOX_AS_MASK, key))
    return AnnotatedObject(key, title, box, mask, **shapes.flags_of(_tags(stated)))


def _kind(stated):
    """Old exports leave the type of a figure to what it has."""
    if stated.get("bitmap"):
        return "bitmap"
    corners = len(_exterior(stated))
    return "polygon" if corners > 2 else "rectangle" if corners == 2 else "point"


def _exterior(stated):
    points = stated.get("points") or []
    points = points.get("exterior") or [] if isinstance(points, dict) else points
    if not isinstance(points, list):
        raise AnnotationError(f"the points are {files.shortened(points)}, not a list")
    return points


def _rectangle(stated):
    """First and last pixel, both inside it; fractions are places between pixels."""
    corners = shapes.points_of(_exterior(stated))
    if len(corners) != 2:
        raise AnnotationError(f"a rectangle of {len(corners)} points; it takes two corners")
    ymin, xmin, ymax, xmax = shapes.box_of(corners)
    if all(side == int(side) for side in (ymin, xmin, ymax, xmax)):
        ymax, xmax = ymax + 1, xmax + 1
    box = ymin, xmin, ymax, xmax
    return box, shapes.rectangle(box)


def _turned_box(stated):
    """A rectangle turned clockwise by `angle` in radians."""
    box, mask = _rectangle(stated)
    angle = shapes.number(stated.get("angle") or 0)
    return (None, shapes.rectangle(box, math.degrees(angle))) if angle else (box, mask)


def _polygon(stated):
    points = stated.get("points")
    interior = points.get("interior") if isinstance(points, dict) else None
    return None, _with_holes(_exterior(stated), interior)


def _multipolygon(stated):
    parts = stated.get("parts")
    if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
        raise AnnotationError("a polygon of no parts")
    return None, shapes.united(
        [_with_holes(part.get("exterior"), part.get("interior")) for part in parts]
    )


def _with_holes(exterior, interior):
    (part,) = shapes.polygon(exterior).parts
    lines = interior if isinstance(interior, list) else []
    holes = tuple(
        shapes.polygon(line).parts[0] for line in lines if isinstance(line, list) and len(line) >= 3
    )
    return Polygons((part,), holes)


def inflated(packed: bytes) -> bytes:
    """Return what zlib has packed.

    Raises:
        ValueError: cut off, or of more bytes than any mask has.
        zlib.error: not zlib's form.
    """
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(packed, LARGEST_BITMAP)
    if not unpacker.eof:
        raise ValueError("cut off, or larger than any mask")
    return content


def _bitmap(stated):
    """A PNG, compressed once more and as base64, whose first pixel lies at `origin`."""
    bitmap = stated.get("bitmap")
    origin = bitmap.get("origin") if isinstance(bitmap, dict) else None
    if not isinstance(origin, list) or len(origin) != 2:
        raise AnnotationError("the bitmap has no origin [x, y]")
    left, top = (round(shapes.number(value)) for value in origin)
    try:
        packed = base64.b64decode(bitmap.get("data") or "")
        encoded = packed if packed.startswith(b"\x89PNG") else inflated(packed)
    except (TypeError, ValueError, binascii.Error, zlib.error):
        raise AnnotationError("the bitmap is not base64 of a compressed PNG") from None
    return None, EncodedBitmap(encoded, top, left)


_FIGURES = {
    "rectangle": _rectangle,
    "oriented_bbox": _turned_box,
    "polygon": _polygon,
    "multipolygon": _multipolygon,
    "bitmap": _bitmap,
    "alpha_mask": _bitmap,
}
