"""Reads Open Images: boxes, instance masks and image-level labels from its tables.

The tables hold millions of rows. They are read into compact columns; an image and its objects are
made when they are asked for.
"""

import base64
import binascii
import math
import os
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.datasets import open_images_tables as tables
from object_detection.datasets.record import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
    ImageLabel,
    MaskFile,
    RunLengths,
    Stretched,
)
from object_detection.datasets.report import NOTED, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

# How far a side of a mask's box may be from that of its box in the other table, as a share of the
# image: the tables round differently.
SAME_BOX = 0.001
LARGEST_MASK = 1 << 26  # bytes of run lengths; a mask of more is a bomb
# Flag -> name of the feature. TFOD writes the first four.
FEATURES = ("occluded", "truncated", "group_of", "depiction", "inside")


class Source(NamedTuple):
    """The files of a set. Only the images, and boxes or masks, have to be there."""

    image_dir: str
    boxes: str = ""
    masks: str = ""  # table of the masks
    mask_dir: str = ""  # folder of the PNGs that the table of the masks names
    image_labels: str = ""
    descriptions: str = ""


def read(source, *, class_names=None, masks_only=False):
    """Reads a set.

    Args:
        source: the `Source`.
        class_names: the classes to read (MIDs such as '/m/01g317'); None: those of the
            descriptions, else all that have a box or a mask.
        masks_only: leave out boxes without a mask, with one finding an image.

    Returns:
        An `AnnotationSet` with every image of the folder, sorted by id, boxes as shares of the
        image. Rows of images that are not there are counted and left out.

    Raises:
        AnnotationError: no images; no table; a table that cannot be read.
    """
    if not (source.boxes or source.masks):
        raise AnnotationError("Open Images needs a table of boxes or one of masks")
    paths, findings = _image_paths(source)
    categories = tables.descriptions(source.descriptions) if source.descriptions else []
    if class_names is None and categories:
        class_names = [category.name for category in categories]
    images, labels = tables.Names(sorted(paths)), tables.Names(class_names)
    found = {}
    for kind in ("boxes", "masks"):
        path = getattr(source, kind)
        if path:
            found[kind], about = tables.read(path, images, labels, kind=kind)
            findings += about
    _check_classes(class_names, found, findings)
    if source.image_labels:
        closed = tables.Names(labels.list())  # a class that has no box gets no number
        found["labels"], about = tables.read(source.image_labels, images, closed, kind="labels")
        findings += about
    if (
        found.get("masks")
        and not found["masks"].has_masks
        and not Path(source.mask_dir or "?").is_dir()
    ):
        raise AnnotationError(
            f"{source.masks} names PNGs: there is no folder of masks '{source.mask_dir}'"
        )
    findings += [each for kind in ("boxes", "masks") for each in _unknown_groups(found.get(kind))]
    return AnnotationSet(
        source.boxes or source.masks,
        tuple(_categories(labels.list(), categories, given=class_names is not None)),
        _Images(source, paths, labels.list(), found, masks_only=masks_only),
        tuple(findings),
    )


def _check_classes(class_names, found, findings):
    """Raises `AnnotationError` where the tables have rows, and none of the classes asked for."""
    refused = [each for each in findings if (each.group, each.reason) == tables.NO_CLASS["boxes"]]
    if refused and not any(table.images for table in found.values()):
        raise AnnotationError(
            f"no object is of a class that is asked for ({', '.join(class_names[:3])}, ...); the "
            f"tables have {refused[0].key.partition('(')[2].rstrip(')')}. The names in a label map "
            "of Open Images are such MIDs; words for them are display names"
        )


def _categories(names, described, *, given):
    """The classes: as described, as given, or as found (then sorted)."""
    by_name = {category.name: category for category in described}
    known = names if given else sorted(names)
    return [by_name.get(name, Category(name)) for name in known]


def _image_paths(source):
    """Image id -> path below the folder of the images, and findings."""
    root = Path(source.image_dir)
    if not root.is_dir():
        raise AnnotationError(f"there is no folder {root}")
    paths, findings = {}, []
    avoid = source.mask_dir and os.path.realpath(source.mask_dir)
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            each for each in folders if os.path.realpath(Path(folder, each)) != avoid
        )
        place = os.path.relpath(folder, root)
        for name in sorted(names):
            image_id, suffix = os.path.splitext(name)
            if suffix.lower() not in files.IMAGE_SUFFIXES or name.startswith("."):
                continue
            path = name if place == "." else f"{place}/{name}"
            if paths.setdefault(image_id, path) != path:
                reason = f"a second image of this id is left out; {paths[image_id]} is taken"
                findings.append(Finding(NOTED, reason, path))
    if not paths:
        raise AnnotationError(f"{root} holds no images")
    return paths, findings


def _unknown_groups(boxes):
    """Yields a finding on boxes of which nobody said whether they hold a group."""
    if boxes is None:
        return
    groups = boxes.flags[tables.FLAGS.index("IsGroupOf") :: len(tables.FLAGS)]
    unknown = groups.count(tables.UNKNOWN)
    if not unknown:
        return
    reason = "IsGroupOf is unknown (-1): written as 0, for readers take every other number for yes"
    yield Finding(NOTED, reason, f"{boxes.name}: {unknown} rows")


class _Images(Sequence):
    """The images of a set, each made when it is asked for."""

    def __init__(self, source, paths, label_names, found, *, masks_only):
        self._root, self._labels, self._found = Path(source.image_dir), label_names, found
        self._ids, self._paths, self._masks_only = sorted(paths), paths, masks_only
        self._by_image = {
            kind: tables.by_image(table.images, len(self._ids)) for kind, table in found.items()
        }
        self._mask_of = _Masks(source.mask_dir, found["masks"]) if "masks" in found else None

    def __len__(self):
        return len(self._ids)

    def __getitem__(self, place):
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        place = range(len(self))[place]  # of a negative one, and of one that is too large
        image_id = self._ids[place]
        objects, findings = self._objects(place)
        return AnnotatedImage(
            key=image_id,
            source_id=image_id,
            filename=image_id + os.path.splitext(self._paths[image_id])[1],
            objects=objects,
            path=self._root / self._paths[image_id],
            normalized=True,
            labels=self._image_labels(place),
            complete=partial(_with, findings=findings) if findings else None,
        )

    def _rows(self, kind, image):
        return self._by_image[kind].rows(image) if kind in self._found else []

    def _image_labels(self, image):
        rows = self._rows("labels", image)
        table = self._found.get("labels")
        return tuple(
            ImageLabel(
                self._labels[table.labels[row]],
                table.confidences[row] if table.confidences else 1.0,
            )
            for row in rows
        )

    def _objects(self, image):
        """The objects of an image: boxes with their masks, then masks that have no box."""
        found = [self._object("boxes", row) for row in self._rows("boxes", image)]
        findings = []
        for row in self._rows("masks", image):
            masked = self._object("masks", row)
            place = _same_box(masked, found)
            if place is not None:
                mask, fault = masked.mask, masked.mask_fault
                found[place] = found[place]._replace(mask=mask, mask_fault=fault, area=None)
                continue
            if "boxes" in self._found:
                reason = "a mask whose box is not in the table of boxes; its own is taken"
                findings.append(Finding(NOTED, reason, masked.key))
            found.append(masked)
        # An image of bare boxes keeps them: the conversion leaves it out, and says so.
        if self._masks_only and not all(map(_is_bare, found)):
            bare = sum(_is_bare(each) for each in found)
            if bare:
                key = f"{self._ids[image]}: {bare} of {len(found)} boxes"
                findings.append(Finding(SKIPPED_OBJECT, "boxes without a mask", key))
            found = [each for each in found if not _is_bare(each)]
        return tuple(found), tuple(findings)

    def _object(self, kind, row):
        """The object of a row of the boxes or of the masks."""
        table = self._found[kind]
        box = tuple(table.boxes[4 * row : 4 * row + 4])
        flags = table.flags[5 * row : 5 * row + 5]
        occluded, truncated, group_of, depiction, inside = flags or (0,) * 5
        values = (occluded, truncated, max(group_of, 0), depiction, inside)
        mask, fault = self._mask_of(row) if kind == "masks" else (None, None)
        # Said here, so that no report lists the areas of fourteen million boxes as taken from them.
        area = (box[2] - box[0]) * (box[3] - box[1]) if kind == "boxes" else None
        return AnnotatedObject(
            key=f"{self._ids[table.images[row]]} ({table.name} line {table.lines[row]})",
            class_name=self._labels[table.labels[row]],
            box=None if any(map(math.isnan, box)) else box,
            mask=mask,
            mask_fault=fault,
            area=area,
            truncated=truncated == 1,
            group_of=group_of == 1,
            attributes=tuple(zip(FEATURES, values, strict=True)) if flags else (),
        )


def _with(image, findings):
    """What `AnnotatedImage.complete` is to be: the image as it is, and what was found about it."""
    return image, findings


def _is_bare(found):
    return found.mask is None and found.mask_fault is None


def _same_box(masked, found):
    """Place of the object without a mask whose class and box are those of `masked`, or None."""
    best, nearest = None, SAME_BOX
    for place, each in enumerate(found):
        if masked.box is None or each.class_name != masked.class_name or not _is_bare(each):
            continue
        apart = max(abs(a - b) for a, b in zip(each.box, masked.box, strict=True))
        if apart <= nearest:
            best, nearest = place, apart
    return best


class _Masks:
    """The masks of a table, each made when it is asked for.

    Args:
        folder: of the PNGs; they may lie in folders below it.
        table: the `Table`.
    """

    def __init__(self, folder, table):
        self._table = table
        self._folders = [Path(place) for place, _, _ in os.walk(folder)] if folder else []

    def __call__(self, row):
        """The mask of a row, which covers the image in a size of its own; and why there is none."""
        text = self._table.masks[row]
        if not text:
            return None, None
        if self._table.has_masks:
            height, width = self._table.sizes[2 * row : 2 * row + 2]
            return _runs(text, height, width)
        fault = files.name_fault(text)
        if fault or not files.is_inside(self._folders[0] / text, self._folders[0]):
            return None, f"the table names no file of the masks: {fault or 'it is elsewhere'}"
        path = self._folders[0] / text
        if len(self._folders) > 1:
            paths = (folder / text for folder in self._folders)
            path = next((each for each in paths if files.is_file(each)), path)
        return Stretched(MaskFile(path)), None


def _runs(text, height, width):
    """A mask that stands in the table: COCO's run lengths, packed, as base64."""
    try:
        unpacker = zlib.decompressobj()
        counts = unpacker.decompress(base64.b64decode(text), LARGEST_MASK)
        if not unpacker.eof:
            raise ValueError("cut off, or far too long")
    except (ValueError, binascii.Error, zlib.error) as error:
        return None, f"the mask in the table cannot be unpacked ({error})"
    return Stretched(RunLengths(height, width, counts)), None
