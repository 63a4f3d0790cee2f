"""Images with their objects, from records or from a COCO json, to be compared with detections."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from pycocotools import mask as rle_codec

from object_detection.annotations import coco
from object_detection.data.example import NEUTRAL
from object_detection.metrics.images import ImageTruth
from object_detection.reports import data_browser, neutral_ground, stored_view
from object_detection.reports.pictures import Objects


class TruthImage(NamedTuple):
    """One image."""

    id: str
    truth: ImageTruth  # masks are RLEs
    height: int
    width: int
    pixels: Callable  # () -> uint8 [height, width, 3], or None where the image cannot be read
    name: str  # file or record, for people
    loaded: np.ndarray | None = None  # the pixels, where they are at hand already
    neutral: dict | None = None  # RLE of the ground on which nothing is judged


class TruthSet(NamedTuple):
    """A set of images; `images` can be gone through once."""

    categories: dict[int, str]
    images: object  # iterable of `TruthImage`
    origin: list[str]  # where it is from, for people
    notes: list[str]  # what was left out; complete when `images` has been gone through
    sizes: dict = {}  # image id -> (height, width), where they are known beforehand
    neutral_classes: tuple = ()  # names of the classes whose objects are neutral ground


def from_records(patterns, label_map_path="", neutral_classes=()):
    """The set that record files hold.

    Args:
        patterns, label_map_path: of `data_browser.source_of_records`, which says what it raises.
        neutral_classes: texts of the objects that are neutral ground.
    """
    source = data_browser.source_of_records(patterns, label_map_path)
    notes = []
    shown = source.files[:4] + (["..."] if len(source.files) > 4 else [])
    origin = [f"ground truth: {', '.join(shown)}", f"classes: {source.classes.origin}"]
    neutral_classes = tuple(neutral_classes)
    names = {k: name for k, name in source.classes.names.items() if name not in neutral_classes}
    images = _recorded(source, notes, neutral_classes)
    return TruthSet(names, images, origin, notes, neutral_classes=neutral_classes)


def from_coco(annotations_file, image_dir="", neutral_classes=()):
    """The set of a COCO json.

    Args:
        annotations_file: path of the json.
        image_dir: folder of the images, which are only needed to be drawn or looked at; ''
            takes the folder of the json.
        neutral_classes: names of categories whose objects are neutral ground.

    Raises:
        AnnotationError: no json, or not COCO's form of it.
    """
    content = coco.load(annotations_file)
    folder = image_dir or Path(annotations_file).parent
    listed = coco.from_content(content, annotations_file, folder)
    notes = [f"{finding.reason}: {finding.key}" for finding in listed.findings[:20]]
    if len(listed.findings) > 20:
        notes.append(f"and {len(listed.findings) - 20} more findings in {annotations_file}")
    names = [category.name for category in listed.categories]
    categories = {
        c.id: c.name if names.count(c.name) == 1 else f"{c.name} ({c.id})"
        for c in listed.categories
    }
    of_image = {}
    for annotation in content.get("annotations") or []:
        if annotation.get("category_id") in categories:
            of_image.setdefault(str(annotation.get("image_id")), []).append(annotation)
    neutral = {k for k, name in categories.items() if name in neutral_classes}
    images = (
        _of_coco(image, of_image.get(image.source_id, []), notes, neutral)
        for image in listed.images
    )
    images = (image for image in images if image is not None)
    sizes = {image.source_id: image.stated_size for image in listed.images if image.stated_size}
    categories = {k: name for k, name in categories.items() if k not in neutral}
    origin = [f"ground truth: {annotations_file}"]
    return TruthSet(categories, images, origin, notes, sizes, tuple(neutral_classes))


def _recorded(source, notes, neutral_classes):
    stored = stored_view.StoredView(
        source.files, source.classes, source.num_classes, neutral_classes
    )
    for raw, example in stored.decoded():
        if example is None:
            notes.append(f"not evaluated, cannot be decoded: {raw.place}")
            continue
        height, width = example.image.shape[:2]
        masks = example.masks
        if masks is not None and len(masks) and masks.shape[1:] != (height, width):
            objects = Objects(example.boxes_normalized, example.classes, masks)
            masks = np.stack([objects.full_mask(k, height, width) for k in range(len(masks))])
        truth = ImageTruth(
            boxes=example.boxes_normalized * np.float32([height, width, height, width]),
            classes=example.classes,
            crowd=example.crowd,
            difficult=example.difficult,
            area=example.area,
            masks=masks,
        ).encoded()
        truth, neutral = neutral_ground.split(truth, truth.classes == NEUTRAL, height, width)
        identity, place = raw.id or raw.place, (raw.path, raw.index)
        yield TruthImage(
            *(identity, truth, height, width, _reread(stored, place), raw.place, example.image),
            neutral=neutral,
        )
    for reason, count in stored.file_report.counts().items():
        notes.append(f"{reason}: {count}")


def _reread(stored, place):
    """Reads the pixels of a record again: of most images nobody asks for them."""

    def pixels():
        for _, _, example in stored.examples({place}):
            return None if example is None else example.image

    return pixels


def _of_coco(image, annotations, notes, neutral):
    """The `TruthImage`, or None where its size cannot be known; `neutral` are ids of classes."""
    size = image.stated_size or _size_of(image.path)
    if size is None:
        notes.append(
            f"not evaluated: {image.filename} has no size in the json, nor is there a file"
        )
        return None
    height, width = size
    kept, masks = [], []
    for annotation in annotations:
        try:
            x, y, wide, high = (float(value) for value in annotation["bbox"])
        except (KeyError, TypeError, ValueError):
            notes.append(f"annotation {annotation.get('id')} has no bbox of four numbers: left out")
            continue
        kept.append(((y, x, y + high, x + wide), annotation))
        masks.append(_rle(annotation.get("segmentation"), height, width))
    complete = all(mask is not None for mask in masks)
    truth = ImageTruth(
        boxes=np.array([box for box, _ in kept]).reshape(-1, 4),
        classes=np.array([annotation["category_id"] for _, annotation in kept], np.int64),
        crowd=np.array([bool(annotation.get("iscrowd")) for _, annotation in kept], bool),
        area=np.array([float(annotation.get("area") or 0) for _, annotation in kept]),
        masks=masks if complete else None,
    )

    truth, ground = neutral_ground.split(
        truth, np.isin(truth.classes, list(neutral)), height, width
    )

    def pixels():
        return _pixels(image.path, size)

    return TruthImage(image.source_id, truth, height, width, pixels, image.filename, neutral=ground)


def _rle(segmentation, height, width):
    """A segmentation of COCO's as RLE with counts in bytes, as pycocotools makes it; or None."""
    if isinstance(segmentation, list) and segmentation:
        parts = [list(part) for part in segmentation]
        return rle_codec.merge(rle_codec.frPyObjects(parts, height, width))
    if isinstance(segmentation, dict) and "counts" in segmentation:
        if isinstance(segmentation["counts"], list):
            return rle_codec.frPyObjects(segmentation, height, width)
        counts = segmentation["counts"]
        return {"size": [height, width], "counts": counts.encode("ascii")}
    return None


def _size_of(path):
    """(height, width) of an image file, or None."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, AttributeError):
        return None


def _pixels(path, size):
    """The image in the orientation that its annotations have; None where it cannot be had."""
    try:
        with Image.open(path) as image:
            if (image.height, image.width) != tuple(size):
                image = ImageOps.exif_transpose(image)
            upright = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, AttributeError):
        return None
    return upright if upright.shape[:2] == tuple(size) else None
