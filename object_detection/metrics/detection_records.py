"""Detections in records, next to the objects they are compared with: TFOD's form, and masks.

A record is that of the input with the keys below added; it may lack the image. TFOD's form has
boxes only. Masks are added as COCO run lengths of the image's size, under a key that TFOD's readers
ignore.
"""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from object_detection.errors import MaskError
from object_detection.structures import run_lengths
from object_detection.structures.instances import EvaluatedImage, ImageLabels, Instances
from object_detection.structures.masks import Masks

_DETECTION = "image/detection/"
_SIDES = ("ymin", "xmin", "ymax", "xmax")
_MASK = _DETECTION + "mask/counts"  # bytes: COCO's compressed counts
_OBJECT = "image/object/"


def with_detections(
    serialized: bytes, detections: Instances, *, discard_image_pixels: bool = False
) -> bytes:
    """Return a record with detections.

    Args:
        serialized: The record. Detections that it already has are replaced.
        detections: In pixels of the image.
        discard_image_pixels: Whether to drop `image/encoded`, which makes records small.
    """
    example = tf.train.Example.FromString(serialized)
    feature = example.features.feature
    height, width = detections.height, detections.width
    size = np.array([height, width, height, width], np.float32)
    boxes = np.asarray(detections.boxes, np.float32).reshape(-1, 4) / size
    lists = {f"bbox/{side}": boxes[:, k] for k, side in enumerate(_SIDES)}
    lists["score"] = np.asarray(detections.scores, np.float32)
    for key, values in lists.items():
        feature[_DETECTION + key].float_list.value[:] = values.tolist()
        feature[_DETECTION + key].float_list.SetInParent()  # also where it is empty
    classes = np.asarray(detections.classes, np.int64)
    feature[_DETECTION + "label"].int64_list.value[:] = classes.tolist()
    feature[_DETECTION + "label"].int64_list.SetInParent()
    feature.pop(_MASK, None)
    if detections.masks is not None:
        counts = [rle["counts"] for rle in detections.masks.to_rle()]
        feature[_MASK].bytes_list.value[:] = counts
    for name, side in (("height", height), ("width", width)):
        if not feature[f"image/{name}"].int64_list.value:
            feature[f"image/{name}"].int64_list.value[:] = [int(side)]
    if discard_image_pixels:
        feature.pop("image/encoded", None)
    return example.SerializeToString()


def parse(serialized: bytes, *, load_masks: bool = False) -> EvaluatedImage | None:
    """Read a record with detections; return None for one without.

    The lists of the detections may be empty but must exist. A record without the lists of the
    objects has no objects (TFOD leaves such an image and its detections out). An image whose size
    the record lacks is 1 x 1: boxes then are fractions.

    Args:
        serialized: The record.
        load_masks: Whether to read masks of objects (PNG or numbers) and of detections.

    Raises:
        ValueError: Lists that belong together differ in length.
    """
    feature = tf.train.Example.FromString(serialized).features.feature
    keys = [*(f"bbox/{side}" for side in _SIDES), "label", "score"]
    if any(_DETECTION + key not in feature for key in keys):
        return None
    image_id = b"".join(feature["image/source_id"].bytes_list.value).decode(errors="replace")
    height, width = (_first(feature, f"image/{side}", 1) for side in ("height", "width"))
    truth_boxes, found_boxes = (
        _boxes(feature, start, image_id) * np.array([height, width] * 2, np.float32)
        for start in (_OBJECT, _DETECTION)
    )
    count = len(truth_boxes)
    masks = found_masks = None
    if load_masks:
        masks = _object_masks(feature, count, height, width)
        found_masks = _found_masks(feature, len(found_boxes), height, width, image_id)
    truth = Instances(
        height,
        width,
        boxes=truth_boxes,
        classes=_ints(feature, _OBJECT + "class/label"),
        crowd=_flags(feature, "is_crowd", count),
        difficult=_flags(feature, "difficult", count),
        area=_floats(feature, _OBJECT + "area", count),
        masks=masks,
        group_of=_flags(feature, "group_of", count),
        labels=ImageLabels(
            verified=frozenset(_ints(feature, "image/class/label").tolist()),
            negative=frozenset(_ints(feature, "image/neg_category_ids").tolist()),
            not_exhaustive=frozenset(_ints(feature, "image/not_exhaustive_category_ids").tolist()),
        ),
    )
    detections = Instances(
        height,
        width,
        boxes=found_boxes,
        scores=np.array(feature[_DETECTION + "score"].float_list.value, np.float32),
        classes=_ints(feature, _DETECTION + "label"),
        masks=found_masks,
    )
    return EvaluatedImage(image_id, truth, detections)


def _boxes(feature, start, image_id):
    """Return boxes as [n, 4] float32 fractions."""
    sides = [list(feature[f"{start}bbox/{side}"].float_list.value) for side in _SIDES]
    if len({len(side) for side in sides}) > 1:
        lengths = ", ".join(f"{len(v)} {k}" for k, v in zip(_SIDES, sides, strict=True))
        raise ValueError(f"Image {image_id!r}: {start}bbox has {lengths}.")
    return np.array(sides, np.float32).T.reshape(-1, 4)


def _ints(feature, key):
    return np.array(feature[key].int64_list.value if key in feature else [], np.int64)


def _flags(feature, name, count):
    """Return [count] bool, or None if the record has no such list."""
    values = _ints(feature, _OBJECT + name)
    return values != 0 if len(values) and count else None


def _floats(feature, key, count):
    values = np.array(feature[key].float_list.value if key in feature else [], np.float64)
    return values if len(values) and count else None


def _first(feature, key, default):
    values = feature[key].int64_list.value if key in feature else []
    return int(values[0]) if values else default


def _object_masks(feature, count, height, width):
    """Return the masks of the objects; None if the record has no masks."""
    key = _OBJECT + "mask"
    if not count:
        return Masks([], height, width)
    if key not in feature:
        return None
    if feature[key].bytes_list.value:
        images = (Image.open(io.BytesIO(png)) for png in feature[key].bytes_list.value)
        return Masks.from_dense(np.stack([np.array(image.convert("L")) > 0 for image in images]))
    values = np.array(feature[key].float_list.value, np.float32)
    return Masks.from_dense(values.reshape(-1, height, width))


def _found_masks(feature, count, height, width, image_id):
    """Return the checked masks of the detections; None if the record has no masks."""
    if _MASK not in feature:
        return None if count else Masks([], height, width)
    masks = []
    for index, counts in enumerate(feature[_MASK].bytes_list.value):
        try:
            masks.append(run_lengths.normalize({"size": [height, width], "counts": counts}))
        except MaskError as error:
            raise ValueError(f"Image {image_id!r}: mask {index} of {_MASK}: {error}.") from None
    return Masks.from_checked_rle(masks, height, width)
