"""Reads the layout of many Mask R-CNN tutorials: VOC's xmls, and one mask image a photograph.

    DATA_DIR/images/NAME.jpg    DATA_DIR/annotations/NAME.xml    DATA_DIR/masks/NAME.png

What the colors mean differs from tutorial to tutorial, and nothing says it: every object its own,
or one a class, or gray values in the place of colors. So the boxes of the xmls decide, image by
image (`instance_matching.by_color`). RectLabel's layout, one mask file an object
(`NAME_object0.png`, `NAME_0.png`), is read as well.
"""

import os
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import mask_images
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotationSet,
    Category,
    Finding,
    MaskFile,
)
from object_detection.datasets.files import IMAGE_SUFFIXES, ImageFolder, relative_name, walk
from object_detection.datasets.formats import voc_xml
from object_detection.datasets.formats.voc import boxes_of, matched
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE
from object_detection.errors import AnnotationError

# What tools put behind the name of the image, best first: PixelAnnotationTool writes three files.
WORDS = ("color_mask", "colour_mask", "mask", "masks", "instance", "seg", "label", "gt", "png")
MASK_FOLDER = re.compile(r"mask|seg|instance", re.IGNORECASE)


class _Folders(NamedTuple):
    images: Path
    annotations: Path
    masks: Path


def read(data_dir, *, image_dir="", annotations_dir="", mask_dir="", with_masks=True):
    """Reads such a data set.

    Args:
        data_dir: the folder that holds the others.
        image_dir: folder of the images, within `data_dir` or elsewhere; '': found by its content.
        annotations_dir: the same of the xmls.
        mask_dir: the same of the mask images.
        with_masks: whether masks are wanted.

    Returns:
        An `AnnotationSet`, images in the order of their xmls.

    Raises:
        AnnotationError: a folder is not there, or several could be meant.
    """
    folders = _folders(Path(data_dir), image_dir, annotations_dir, mask_dir, with_masks)
    files = ImageFolder(folders.images)
    masks = {path.stem.lower(): path for path in walk(folders.masks, IMAGE_SUFFIXES)}
    xmls = walk(folders.annotations, {".xml"})
    of_images = {path.stem.lower() for path in xmls}
    single = {stem: path for stem, path in masks.items() if stem not in of_images}
    images, findings = [], []
    for path in xmls:
        image = _image(path, files, folders, findings)
        if image is not None and with_masks:
            image = _with_masks(image, path, masks, single, findings)
        if image is not None:
            images.append(image)
    if not images:
        raise AnnotationError(
            f"no xml of {folders.annotations} has a mask image of its name in {folders.masks}"
        )
    names = sorted({each.class_name for image in images for each in image.objects})
    categories = tuple(Category(name) for name in names)
    return AnnotationSet(str(data_dir), categories, tuple(images), tuple(findings))


def _folders(data_dir, image_dir, annotations_dir, mask_dir, with_masks):
    """The three folders, by their names or by what they hold."""
    if not data_dir.is_dir():
        raise AnnotationError(f"there is no folder {data_dir}")
    stems = {}  # folder -> suffix -> names without it
    for place, below, names in os.walk(data_dir):
        below[:] = [name for name in below if not name.startswith((".", "__MACOSX"))]
        for stem, suffix in map(os.path.splitext, names):
            if not stem.startswith("."):
                stems.setdefault(Path(place), {}).setdefault(suffix.lower(), set()).add(
                    stem.lower()
                )
    xmls = {folder: len(kinds.get(".xml", ())) for folder, kinds in stems.items()}
    annotations = _folder(data_dir, annotations_dir, xmls, "annotations_dir", "xmls")
    stems_of_xmls = stems.get(annotations, {}).get(".xml", set())
    masks, images = {}, {}
    for folder, kinds in stems.items():
        pictures = set().union(*(kinds[suffix] for suffix in kinds.keys() & IMAGE_SUFFIXES))
        if MASK_FOLDER.search(folder.relative_to(data_dir).as_posix()):
            masks[folder] = len(pictures)
        else:
            images[folder] = len(pictures & stems_of_xmls)
    return _Folders(
        _folder(data_dir, image_dir, images, "image_dir", "images"),
        annotations,
        _folder(data_dir, mask_dir, masks, "mask_dir", "masks") if with_masks else data_dir,
    )


def _folder(data_dir, stated, fitting, flag, what):
    """The folder that was stated, else the one of `fitting` with the most files that fit."""
    if stated:
        folder_path = data_dir / stated  # an absolute path stays one
        if not folder_path.is_dir():
            raise AnnotationError(f"--{flag}: there is no folder {folder_path}")
        return folder_path
    most = max(fitting.values(), default=0)
    candidates = [folder for folder, count in fitting.items() if count == most and most]
    if len(candidates) != 1:
        names = ", ".join(sorted(str(each.relative_to(data_dir)) for each in candidates))
        raise AnnotationError(
            f"--{flag} is needed: which folder of {data_dir} holds the {what}? "
            f"It could be: {names or 'none'}"
        )
    return candidates[0]


def _image(path, files, folders, findings):
    """The image of one xml, without masks; None where the xml cannot be used."""
    try:
        annotation = voc_xml.read(path)
    except AnnotationError as fault:
        findings.append(
            Finding(SKIPPED_IMAGE, str(fault), relative_name(path, folders.annotations))
        )
        return None
    findings += annotation.findings
    stated = annotation.filename or path.stem
    # In these sets the files were renamed together, and what an xml says inside is often stale.
    image_path = files.find(path.stem, any_suffix=True) or files.find(stated, any_suffix=True)
    name = relative_name(image_path, files.root) if image_path else stated
    return AnnotatedImage(
        key=name,
        source_id=name,
        filename=name,
        objects=annotation.objects,
        path=image_path or files.path(stated),
        stated_size=annotation.size,
    )


def _with_masks(image, path, masks, single, findings):
    """The image with the way to its masks; None where it has none, but objects.

    Args:
        image: the image.
        path: of its xml.
        masks: the mask files by name.
        single: those of them that may be of one object.
        findings: are added to.
    """
    if not image.objects or all(each.mask for each in image.objects):
        return image
    stems = {
        path.stem.lower(),
        Path(image.filename).stem.lower(),
        Path(image.filename).name.lower(),
    }
    mask_paths = next(filter(None, (_mask_of(stem, masks) for stem in sorted(stems))), None)
    if mask_paths is not None:
        return image._replace(complete=partial(_colored, path=mask_paths))
    mask_paths = next(
        filter(None, (_single_masks(stem, single, image) for stem in sorted(stems))), None
    )
    if mask_paths is None:
        findings.append(Finding(SKIPPED_IMAGE, "the image has no mask image", image.key))
        return None
    missing = [
        each.key for each, mask in zip(image.objects, mask_paths, strict=True) if mask is None
    ]
    findings += [Finding(NOTED, "the object has no mask image of its own", key) for key in missing]
    objects = tuple(
        each._replace(mask=mask and MaskFile(mask))
        for each, mask in zip(image.objects, mask_paths, strict=True)
    )
    return image._replace(objects=objects)


def _mask_of(stem, masks):
    """The mask image of an image: of its name, with or without a word for what it is."""
    if stem in masks:
        return masks[stem]
    names = [f"{stem}{mark}{word}" for word in WORDS for mark in ("_", "-", ".")]
    names += [f"{word}{mark}{stem}" for word in WORDS for mark in ("_", "-", ".")]
    return next((masks[name] for name in names if name in masks), None)


def _single_masks(stem, masks, image):
    """[n] mask files of the objects in the xml's order, numbered from 0 or 1; None: no files."""
    for pattern in (f"{stem}_object{{}}", f"{stem}_{{}}", f"{stem}-{{}}"):
        for first in (0, 1):
            paths = [
                masks.get(pattern.format(place + first)) for place in range(len(image.objects))
            ]
            if paths[0] is not None:
                return paths
    return None


def _colored(image, *, path):
    """The image with the masks of its mask image (None: without any), and findings."""
    try:
        regions = mask_images.read_regions(path, numbered=False)
    except AnnotationError as fault:
        return None, (Finding(SKIPPED_IMAGE, str(fault), f"{image.key}: {path.name}"),)
    classes = [each.class_name for each in image.objects]
    match = mask_images.match_by_color(regions, boxes_of(image), classes)
    return matched(image, path, regions, match)
