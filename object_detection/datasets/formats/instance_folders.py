"""Reads sets of one mask file an object: an image, and a PNG for each thing on it."""

import os
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Finding,
    MaskFile,
)
from object_detection.datasets.formats import shapes
from object_detection.datasets.report import NOTED, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

IMAGES, MASKS = ("images", "image", "img", "imgs"), ("masks", "mask", "instances", "instance_masks")
SEPARATORS = "_-. "
FORM = (
    "the form is ID/images/x.png with ID/masks/*.png, or images/x.png with masks/x/*.png or "
    "masks/x_1.png, masks/x_2.png"
)


class _Pair(NamedTuple):
    """A folder of images with the folder of their masks."""

    images: Path
    masks: Path


def read(data_dir, *, class_name="object", mask_dir=None):
    """Reads a folder of images and masks.

    The masks of `images/x.png` are `masks/x/*`, `masks/x_*` (any separator), or all of `masks`
    where `images` holds nothing else (the 2018 Data Science Bowl: a folder an image). Folders
    between `masks` and the file that are no image's name say the class.

    Args:
        data_dir: folder with `images` and `masks` in it, or with many such folders, at any depth;
            with `mask_dir`, the folder of the images itself.
        class_name: class of the objects that no folder names.
        mask_dir: folder of the masks, where it is not called so.

    Returns:
        An `AnnotationSet`, sorted by path. The masks are not opened.

    Raises:
        AnnotationError: no images, or no masks.
    """
    root = Path(os.path.normpath(data_dir))
    if not root.is_dir():
        raise AnnotationError(f"there is no folder {data_dir}")
    pairs = [_Pair(root, Path(mask_dir))] if mask_dir else _pairs(root)
    if not pairs:
        raise AnnotationError(f"{root}: no folder 'images' next to a folder 'masks'; {FORM}")
    findings, images = [], []
    for pair in pairs:
        images += _images(pair, root, class_name, findings)
    if not any(image.objects for image in images):
        raise AnnotationError(f"{root}: no mask belongs to any of {len(images)} images; {FORM}")
    return AnnotationSet(str(data_dir), shapes.categories(images), tuple(images), tuple(findings))


def _pairs(root):
    """Every folder of images next to a folder of masks, sorted."""
    pairs = []
    for place, folders, _ in os.walk(root, followlinks=True):
        folders.sort()
        named = {name.lower(): Path(place, name) for name in folders}
        images = next((named[name] for name in IMAGES if name in named), None)
        masks = next((named[name] for name in MASKS if name in named), None)
        if images and masks:
            pairs.append(_Pair(images, masks))
            folders[:] = [name for name in folders if Path(place, name) not in (images, masks)]
    return sorted(pairs)


def _images(pair, root, class_name, findings):
    """The images of one pair of folders."""
    paths = [path for path in files.walk(pair.images, files.IMAGE_SUFFIXES)]
    names = {_name(path, pair.images): [] for path in paths}
    only = next(iter(names)) if len(names) == 1 else None
    lower = {name.lower(): name for name in names}
    for mask in files.walk(pair.masks, files.IMAGE_SUFFIXES):
        name, folders = _owner(mask.relative_to(pair.masks), lower)
        if name is None and only is not None:
            name, folders = only, mask.relative_to(pair.masks).parts[:-1]
        key = files.relative_name(mask, root)
        if name is None:
            findings.append(Finding(SKIPPED_OBJECT, "the mask belongs to no image", key))
            continue
        label = next((folder for folder in reversed(folders) if folder.strip()), class_name)
        names[name].append(AnnotatedObject(key, label, mask=MaskFile(mask)))
    for path in paths:
        key = files.relative_name(path, root)
        objects = tuple(names[_name(path, pair.images)])
        if not objects:
            findings.append(Finding(NOTED, "no mask: taken as an image without objects", key))
        yield AnnotatedImage(key, key, key, objects, path)


def _name(path, folder):
    """An image's name as its masks bear it: below its folder, without the suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()


def _owner(mask, images):
    """(name of the image that a mask belongs to, or None; the folders that say its class).

    Args:
        mask: path below the folder of the masks.
        images: names in lower case -> names.
    """
    *folders, name = mask.with_suffix("").parts
    # A folder of the image's name, also with folders of the class above or below it.
    for first in range(len(folders)):
        for last in range(len(folders), first, -1):
            owner = images.get("/".join(folders[first:last]).lower())
            if owner:
                return owner, [*folders[:first], *folders[last:]]
    # Only the image's name, or with something after a separator; the longest name that fits.
    for first in range(len(folders) + 1):
        stem = "/".join([*folders[first:], name]).lower()
        for end in range(len(stem), 0, -1):
            if (end == len(stem) or stem[end] in SEPARATORS) and stem[:end] in images:
                return images[stem[:end]], folders[:first]
    return None, folders
