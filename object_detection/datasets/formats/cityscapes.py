"""Reads Cityscapes: one image of instance ids (16 or 32 bits) for each photograph.

An id from 1000 on is one object: its class times 1000, and a number. A smaller id is a class
itself: of a class with instances that is a group nobody told apart, which becomes a crowd.
"""

import os
import re
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from object_detection.datasets import files, mask_images
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
)
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.errors import AnnotationError
from object_detection.structures.masks import CroppedMask

NAMES = (
    "unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground, road, "
    "sidewalk, parking, rail track, building, wall, fence, guard rail, bridge, tunnel, pole, "
    "polegroup, traffic light, traffic sign, vegetation, terrain, sky, person, rider, car, truck, "
    "bus, caravan, trailer, train, motorcycle, bicycle"
).split(", ")  # the place of a name is its id
FIRST_THING = NAMES.index("person")  # from here on classes have instances
# Those that Cityscapes evaluates, in its order: caravans and trailers are too rare.
EVALUATED = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
IDS_A_CLASS = 1000
KINDS = ("gtFine", "gtCoarse")
SPLITS = ("train", "train_extra", "val", "test")
NAMED = 10  # files that a finding on many names
_PHOTO_MARK = "_leftImg8bit"


def class_ids(text):
    """The classes that a user asks for.

    Args:
        text: 'person,car' by Cityscapes' names, or 'ID:NAME' for sets with a list of their own.

    Returns:
        id -> name.

    Raises:
        AnnotationError: an unknown name, or one without instances.
    """
    classes = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        number, colon, name = word.partition(":")
        if colon and number.strip().isdecimal() and len(number) < 10 and name.strip():
            classes[int(number)] = name.strip()
        elif word in NAMES[FIRST_THING:]:
            classes[NAMES.index(word)] = word
        else:
            raise AnnotationError(
                f"'{word}' is no class with instances; Cityscapes has "
                f"{', '.join(NAMES[FIRST_THING:])}. For others write ID:NAME, such as 40:tram"
            )
    if not classes:
        raise AnnotationError("no classes are asked for")
    return classes


def read(data_dir, *, kind="gtFine", classes=None):
    """Reads a set.

    Args:
        data_dir: the folder that holds `leftImg8bit` and `gtFine` (or `gtCoarse`), at any depth.
            Of `x_gtFine_instanceIds.png` the photograph is `x_leftImg8bit.png`, else `x.png`,
            `x.jpg` and so on, in a folder of the same split.
        kind: 'gtFine' or 'gtCoarse'.
        classes: id -> name; None: the eight that are evaluated. Their order gives the numbers in
            the label map, from 1.

    Returns:
        Split -> `AnnotationSet`, of the splits that are there, '' being images that lie in the
        folder of none. Images are sorted by name.

    Raises:
        AnnotationError: no such folder, or no ids in it.
    """
    root = Path(data_dir)
    if not root.is_dir():
        raise AnnotationError(f"there is no folder {root}")
    classes = classes or class_ids(",".join(EVALUATED))
    ending = re.compile(rf"(.+)_{kind}_instanceIds\.(?:png|tiff?)", re.IGNORECASE)
    ids, photos = {}, {}
    for path in files.walk(root, files.IMAGE_SUFFIXES):
        match = ending.fullmatch(path.name)
        if match:
            ids[_split(path, root), match[1]] = path
        elif not any(f"_{each}_" in path.name for each in KINDS):
            key = _split(path, root), path.stem.removesuffix(_PHOTO_MARK)
            if path.stem.endswith(_PHOTO_MARK) or key not in photos:
                photos[key] = path
    if not ids:
        raise AnnotationError(f"{root} has no file *_{kind}_instanceIds.png in any folder")
    return {
        split: _set(root, split, ids, photos, classes)
        for split in ("", *SPLITS)
        if any(place == split for place, _ in ids)
    }


def _split(path, root):
    """The split whose folder a file lies in; '' if in none."""
    return next((part for part in path.relative_to(root).parts[:-1] if part in SPLITS), "")


def _set(root, split, ids, photos, classes):
    categories = [Category(name, number) for number, name in enumerate(classes.values(), 1)]
    images = []
    for place, name in sorted(ids):
        if place != split:
            continue
        path = ids[place, name]
        photo = photos.get((place, name), path.with_name(f"{name}{_PHOTO_MARK}.png"))
        images.append(
            AnnotatedImage(
                key=name,
                source_id=name,
                filename=files.relative_name(photo, root),
                path=photo,
                complete=partial(_complete, path=path, classes=classes),
            )
        )
    return AnnotationSet(
        str(root), tuple(categories), tuple(images), tuple(_without_ids(root, split, ids, photos))
    )


def _without_ids(root, split, ids, photos):
    """Yields one finding on Cityscapes' photographs that have no ids: it has 150,000 of them."""
    bare = [
        os.path.relpath(path, root)
        for key, path in sorted(photos.items())
        if key[0] == split and key not in ids and path.stem.endswith(_PHOTO_MARK)
    ]
    if bare:
        more = ", ..." if len(bare) > NAMED else ""
        key = f"{len(bare)} files ({', '.join(bare[:NAMED])}{more})"
        yield Finding(NOTED, "photographs without instance ids: left out", key)


def _complete(image, path, classes):
    """The image with the objects of its ids, and `Finding`s: a worker's part."""
    try:
        with Image.open(path) as opened:
            pixels = np.asarray(opened)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = f"the instance ids cannot be read: {error}"
        return None, [Finding(SKIPPED_IMAGE, reason, image.key)]
    if pixels.ndim != 2 or pixels.dtype.kind not in "ui":
        reason = f"the instance ids are no numbers, but an image of kind {opened.mode}"
        return None, [Finding(SKIPPED_IMAGE, reason, image.key)]
    findings = []
    if image.path.is_file():
        findings += _size_apart(image, pixels.shape)
    objects = []
    values = _values(pixels)
    if len(values) > mask_images.MOST_VALUES:
        reason = f"the file of instance ids has {len(values)} ids: it is not one of instances"
        return None, [Finding(SKIPPED_IMAGE, reason, image.key)]
    for value in values:
        number, is_group = (value, True) if value < IDS_A_CLASS else (value // IDS_A_CLASS, False)
        key = f"{image.key} id {value}"
        if number in classes:
            objects.append(_object(pixels == value, key, classes[number], crowd=is_group))
        elif not is_group or number in range(FIRST_THING, len(NAMES)):
            known = number < len(NAMES)
            name = f"'{NAMES[number]}'" if known else f"{number}, which Cityscapes does not have"
            reason = f"class {name}: not asked for"
            findings.append(Finding(SKIPPED_OBJECT, reason, key))
    return image._replace(objects=tuple(objects)), findings


def _values(pixels):
    """The ids that occur, ascending."""
    if pixels.dtype.itemsize <= 2 and pixels.dtype.kind == "u":
        return np.flatnonzero(np.bincount(pixels.ravel())).tolist()  # ten times as fast as sorting
    return np.unique(pixels).tolist()


def _size_apart(image, shape):
    """A finding where ids and photograph are of different sizes."""
    try:
        with Image.open(image.path) as photo:
            width, height = photo.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return []  # the photograph is read again, and missed, by others
    if (height, width) == shape:
        return []
    reason = "instance ids of another size than the photograph: cut or filled up from the top left"
    return [Finding(NOTED, reason, f"{image.key}: {shape[0]} x {shape[1]}, not {height} x {width}")]


def _object(mask, key, name, *, crowd):
    """Return one object from its pixels [h, w] bool, at least one of them set."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    pixels = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    box = (float(top), float(left), float(rows[-1] + 1), float(columns[-1] + 1))
    area = float(np.count_nonzero(pixels))
    if (top, left) == (0, 0):
        pixels = mask  # a bitmap that begins there is taken for one of the whole image
    return AnnotatedObject(key, name, box, CroppedMask(pixels, top, left), area, crowd=crowd)
