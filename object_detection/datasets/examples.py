"""Converts an annotated image to a serialized tf.train.Example with TFOD's keys.

Pure Python and numpy, without TensorFlow, so that worker processes stay light.

Masks are stored in one of three forms, all of them exact. `png` (TFOD's): one PNG of the whole
image for each object. `numerical` (TFOD's): one float for each pixel of each object. `box` (ours):
the PNG holds only the rows and columns between the first and the last pixel of the object, and two
numbers give their position.

A protobuf message is a sequence of fields: a key (field number << 3 | wire type), then the value.
Wire type 2 is a length and that number of bytes; a list of numbers is one such field. A
tf.train.Example nests them, each layer as field 1 of the one above it:

    Example > Features > (key = 1, Feature = 2) > BytesList = 1 | FloatList = 2 | Int64List = 3
"""

import hashlib
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from object_detection.datasets import checking, image_file, mask_png
from object_detection.datasets.annotations import AnnotatedImage, Finding
from object_detection.datasets.report import NOTED, RE_ENCODED, SKIPPED_IMAGE
from object_detection.errors import ImageError

# What a file's name promises: Pillow's names of formats.
KINDS_OF_SUFFIX = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), ("JPEG", "MPO")),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    ".png": ("PNG",),
    ".bmp": ("BMP", "DIB"),
    ".gif": ("GIF",),
    ".webp": ("WEBP",),
}


class Settings(NamedTuple):
    """What to write, for a whole conversion."""

    class_ids: dict[str, int]
    include_masks: bool = False
    mask_storage: str = "png"  # one of `STORAGES`
    bit_depth: int = 16  # of the values of 16-bit gray images, of `image_file.BIT_DEPTHS`


class ImageFeatures(NamedTuple):
    """The features of one image, and what the report says of it."""

    features: dict | None  # key -> list of bytes, or array of int64 or float32; None: skipped
    classes: tuple[str, ...]  # of the objects written
    crowds: int
    findings: tuple[Finding, ...]


def features_of(image: AnnotatedImage, settings: Settings) -> ImageFeatures:
    """Read an image and check its objects against it.

    An image that cannot be read is skipped with a reason, never an error.
    """
    try:
        encoded = image.path.read_bytes() if image.encoded is None else image.encoded
        stored = image_file.prepare(
            encoded, partial(_annotated_size, image), bit_depth=settings.bit_depth
        )
    except FileNotFoundError:
        finding = Finding(SKIPPED_IMAGE, f"no such file in {image.path.parent}", image.key)
        return ImageFeatures(None, (), 0, (finding,))
    except (OSError, ImageError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return ImageFeatures(None, (), 0, (Finding(SKIPPED_IMAGE, reason, image.key),))
    findings = _about_image(image, stored)
    if image.complete:
        image, about_objects = image.complete(image)
        findings += about_objects
    if image is None:
        return ImageFeatures(None, (), 0, tuple(findings))
    checked = checking.check_objects(
        checking.to_pixels(image, stored.height, stored.width),
        stored.height,
        stored.width,
        with_masks=checking.REQUIRED if settings.include_masks else checking.NO,
        classes=settings.class_ids,
    )
    findings += checked.findings
    if checked.masks_unknown:
        finding = Finding(SKIPPED_IMAGE, checking.NO_MASKS, image.key)
        return ImageFeatures(None, (), 0, (*findings, finding))
    objects = checked.kept
    features = _of_image(image, stored) | label_features(image, settings.class_ids)
    features |= _of_objects(objects, stored, settings)
    classes = tuple(each.class_name for each in objects)
    return ImageFeatures(features, classes, sum(each.crowd for each in objects), tuple(findings))


def _about_image(image, stored):
    """Findings about the image itself."""
    findings = []
    if stored.change:
        findings.append(Finding(RE_ENCODED, stored.change, image.key))
    if stored.warning:
        findings.append(Finding(NOTED, stored.warning, image.key))
    suffix = PurePosixPath(image.filename).suffix.lower()
    if stored.kind not in KINDS_OF_SUFFIX.get(suffix, stored.kind):
        reason = "the file's name says another format than it has; what it has counts"
        findings.append(Finding(NOTED, reason, f"{image.key}: {stored.kind}"))
    stated = image.stated_size
    if stated and stated != (stored.height, stored.width):
        states, have = "{} x {}".format(*stated), f"{stored.height} x {stored.width}"
        reason = "the image has another size than the annotation says; the image's is used"
        findings.append(Finding(NOTED, reason, f"{image.key}: {have} pixels, not {states}"))
    return findings


def _annotated_size(image):
    """Return the (height, width) that an image was annotated in; None if it is not known."""
    if image.stated_size:
        return image.stated_size
    sizes = (checking.mask_size(annotated.mask) for annotated in image.objects)
    return next(filter(None, sizes), None)


def _of_image(image, stored):
    return {
        "image/encoded": [stored.encoded],
        "image/format": [stored.format.encode()],
        "image/height": np.array([stored.height], np.int64),
        "image/width": np.array([stored.width], np.int64),
        # On Linux a file name may hold any bytes; Python carries them in its text.
        "image/filename": [image.filename.encode(errors="surrogateescape")],
        "image/source_id": [image.source_id.encode(errors="surrogateescape")],
        "image/key/sha256": [hashlib.sha256(stored.encoded).hexdigest().encode()],
    }


def _of_objects(objects, stored, settings):
    """Features with one entry an object."""
    scale = np.array([stored.height, stored.width, stored.height, stored.width], np.float64)
    boxes = np.array([each.box for each in objects], np.float64).reshape(-1, 4) / scale
    ymin, xmin, ymax, xmax = boxes.astype(np.float32).T
    features = {
        "image/object/bbox/ymin": ymin,
        "image/object/bbox/xmin": xmin,
        "image/object/bbox/ymax": ymax,
        "image/object/bbox/xmax": xmax,
        "image/object/class/text": [each.class_name.encode() for each in objects],
        "image/object/class/label": _ints(settings.class_ids[each.class_name] for each in objects),
        "image/object/is_crowd": _ints(each.crowd for each in objects),
        "image/object/area": np.array([each.area for each in objects], np.float32),
    }
    features |= _flags(objects)
    if settings.include_masks:
        masks = [each.mask for each in objects]
        features |= mask_features(masks, stored.height, stored.width, settings.mask_storage)
    return features


def _flags(objects):
    """What some formats say of every object; the others leave it out, as TFOD's tools do."""
    known = {
        "difficult": _ints(each.difficult for each in objects),
        "truncated": _numbers([each.truncated for each in objects]),
        "group_of": _ints(each.group_of for each in objects),
    }
    features = {f"image/object/{key}": value for key, value in known.items() if value.any()}
    has_views = any(each.view is not None for each in objects)
    if has_views or known["truncated"].dtype == np.float32:  # VOC, KITTI: written even if all are 0
        features["image/object/difficult"] = known["difficult"]
        features["image/object/truncated"] = known["truncated"]
    if has_views:
        features["image/object/view"] = [(each.view or "").encode() for each in objects]
    return features | _attributes(objects)


def _attributes(objects):
    """What the reader wants written of every object; 0 where it says nothing of one."""
    attributes = [dict(each.attributes) for each in objects]
    names = {name: None for each in attributes for name in each}  # in their order
    return {
        f"image/object/{name}": _numbers([each.get(name, 0) for each in attributes])
        for name in names
    }


def _numbers(values):
    """Whole numbers, unless one is a float: as TFOD writes what the format in question says."""
    if any(isinstance(value, float) for value in values):
        return np.array(values, np.float32)
    return _ints(values)


def _ints(values):
    return np.array([int(value) for value in values], np.int64)


def label_features(image, class_ids):
    """The features of an image's labels; none where the format knows nothing of them.

    Args:
        image: the `AnnotatedImage`.
        class_ids: name -> id in the records. Labels of other classes are left out.

    Returns:
        key -> list of bytes, or array of int64 or float32. `image/class/*` hold one entry a label,
        TFOD writes text and label of these; the confidence tells a class that is there (1) from
        one that is sure not to be (0). The two lists of ids are LVIS'.
    """
    features = {}
    labels = [label for label in image.labels if label.class_name in class_ids]
    if labels:
        features["image/class/text"] = [label.class_name.encode() for label in labels]
        features["image/class/label"] = _ids([label.class_name for label in labels], class_ids)
        features["image/class/confidence"] = np.array(
            [label.confidence for label in labels], np.float32
        )
    if image.negative_classes:
        features["image/neg_category_ids"] = _ids(image.negative_classes, class_ids)
    if image.not_exhaustive_classes:
        features["image/not_exhaustive_category_ids"] = _ids(
            image.not_exhaustive_classes, class_ids
        )
    return features


def _ids(names, class_ids):
    return np.array([class_ids[name] for name in names if name in class_ids], np.int64)


STORAGES = ("png", "box", "numerical")

# TFOD's key. `png`: a list of bytes, one PNG of [image height, image width] of 0 and 1 an object.
# `numerical`: a list of floats of 0 and 1, object after object and row after row of the image.
MASK = "image/object/mask"
# `box`: a list of bytes, one 8-bit gray PNG of [h, w] of 0 and 1 an object; h and w are stored in
# the PNG only, and are 1 or more. Its first and last row and column hold a pixel of the object.
BOX_PNG = "image/object/mask/box_png"
# `box`: int64, one an object: the row of the image in which the first row of the PNG lies, from 0.
BOX_TOP = "image/object/mask/box_top"
# `box`: int64, one an object: the column of the image in which the PNG's first column lies.
BOX_LEFT = "image/object/mask/box_left"


def mask_features(masks, height, width, storage):
    """The features of all masks of an image; pixels outside a mask's own are 0.

    Args:
        masks: `CroppedMask`s cut at their pixels' extent, inside the image.
        height: of the image in pixels.
        width: of the image in pixels.
        storage: one of `STORAGES`.

    Returns:
        key -> list of bytes, or array of int64 or float32; all are there where there is no mask.
    """
    if storage == "box":
        return {
            BOX_PNG: [mask_png.encode(mask.pixels) for mask in masks],
            BOX_TOP: np.array([mask.top for mask in masks], np.int64),
            BOX_LEFT: np.array([mask.left for mask in masks], np.int64),
        }
    if storage == "png":
        return {MASK: [mask_png.encode_placed(mask, height, width) for mask in masks]}
    stack = np.zeros((len(masks), height, width), np.float32)
    for canvas, (pixels, top, left) in zip(stack, masks, strict=True):
        canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return {MASK: stack.reshape(-1)}


_BYTES, _FLOATS, _INTS = 1, 2, 3


def encode_example(features):
    """The serialized example; the same features in the same order give the same bytes.

    Args:
        features: key -> list of bytes, or array of whole numbers (int64) or of others (float32).
    """
    entries = []
    for key, value in features.items():
        feature = _sized(2, _feature(value))
        entries.append(_sized(1, [*_sized(1, [key.encode()]), *feature]))
    content = [piece for entry in entries for piece in entry]
    return b"".join(_sized(1, content))


def _feature(value):
    """The content of a Feature, as pieces to be joined."""
    if isinstance(value, list):
        pieces = [piece for each in value for piece in _sized(1, [each])]
        return _sized(_BYTES, pieces)
    if np.issubdtype(value.dtype, np.integer):
        numbers = b"".join(_varint(number & 0xFFFFFFFFFFFFFFFF) for number in value.tolist())
        return _sized(_INTS, _sized(1, [numbers]) if numbers else [])
    numbers = value.astype("<f4").tobytes()
    return _sized(_FLOATS, _sized(1, [numbers]) if numbers else [])


def _sized(field, pieces):
    """A field of bytes: its key, the length, and the pieces."""
    length = sum(map(len, pieces))
    return [bytes([field << 3 | 2]), _varint(length), *pieces]


def _varint(number):
    """A number in groups of seven bits, lowest first; the top bit says that more follow."""
    if number < 0x80:
        return bytes([number])
    groups = []
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
