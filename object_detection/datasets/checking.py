"""The truth about an object: its box and mask against the image they belong to.

One place for every format. A box is cut at the border, never thrown away for touching it; what
cannot be used is dropped with a reason; what is missing is taken from the mask.

Formats that state coordinates as fractions of the image's sides are scaled to pixels first
(`to_pixels`).
"""

import math
from typing import NamedTuple

import numpy as np

from object_detection.datasets import masks
from object_detection.datasets.annotations import (
    Bitmap,
    Finding,
    MaskFile,
    Polygons,
    RunLengths,
    Stretched,
    Union,
)
from object_detection.datasets.report import CLIPPED, DERIVED, NOTED, SKIPPED_OBJECT
from object_detection.errors import AnnotationError

ROUNDING = 1e-3  # pixels over the border that are rounding in the annotation and not worth a word
# A box and a mask of one object: below this overlap (IoU of the box and the box around the mask)
# they are of two objects by PASCAL's measure. Of small objects a drawing that is a pixel off on
# both sides has less too: so many pixels a side may be off without a word.
LEAST_OVERLAP, SLACK = 0.5, 2.0
LARGEST_AREA = 1e30  # pixels; records hold float32
NO_MASK = "the object has no mask"
NO_PIXEL = "the mask covers no pixel of the image"


class CheckedObject(NamedTuple):
    """An object fit for a record."""

    class_name: str
    box: tuple[float, float, float, float]  # ymin, xmin, ymax, xmax in pixels, inside the image
    area: float  # pixels
    crowd: bool
    difficult: bool
    truncated: bool | float
    group_of: bool
    mask: Bitmap | None  # uint8 of 0 and 1, cut at its pixels' extent, inside the image
    view: str | None = None
    attributes: tuple[tuple[str, int | float], ...] = ()


class _Unusable(Exception):
    """Why an object is left out."""


def checked(found, height, width, *, with_mask):
    """Fits one object to its image.

    Args:
        found: the `AnnotatedObject`.
        height: of the image itself, in pixels.
        width: of the image itself, in pixels.
        with_mask: whether the mask is wanted; then an object without one is left out, for a record
            needs as many masks as boxes.

    Returns:
        The `CheckedObject`, or None where it cannot be used, and the findings about it.
    """
    findings = []

    def tell(group, reason):
        findings.append(Finding(group, reason, found.key))

    try:
        mask = _mask_of(found, height, width, tell, needed=with_mask)
        stated = _box_of(found, height, width, tell)
        box = _cut(stated, height, width)
        was_cut = max(abs(a - b) for a, b in zip(stated, box, strict=True)) > ROUNDING
        if was_cut:
            tell(CLIPPED, "the box crosses the border of the image")
        if mask and not _fit_together(box, mask):
            tell(NOTED, "the box and the mask lie apart: they may belong to two objects")
        area = _area_of(found, box, mask, tell, was_cut=was_cut)
    except _Unusable as reason:
        return None, [Finding(SKIPPED_OBJECT, str(reason), found.key)]
    flags = (found.crowd, found.difficult, found.truncated, found.group_of)
    kept = mask if with_mask else None
    more = (found.view, found.attributes)
    return CheckedObject(found.class_name, box, area, *flags, kept, *more), findings


def _mask_of(found, height, width, tell, *, needed):
    """The object's mask as a `Bitmap` inside the image; None where there is none, none needed."""
    derives = found.box is None or not _is_area(found.area)
    if found.mask is None:
        if needed:
            raise _Unusable(found.mask_fault or NO_MASK)
        return None
    if not (needed or derives):
        return None
    try:
        mask = masks.cropped(found.mask, height, width)
    except AnnotationError as fault:
        if needed:
            raise _Unusable(f"the mask cannot be read: {fault}") from None
        return None
    size = own_size(found.mask)
    if size and size != (height, width):
        tell(
            NOTED, "the mask is of another size than the image: cut or filled up from the top left"
        )
    if needed and mask is None:
        raise _Unusable(NO_PIXEL)
    return mask


def lacks_mask(found, height, width):
    """Return whether an object has no mask, or one that cannot be read.

    A mask that can be read and covers no pixel of the image counts as one: the object is not there.

    Args:
        found: the `AnnotatedObject`.
        height: of the image itself, in pixels.
        width: of the image itself, in pixels.
    """
    if found.mask is None:
        return True
    try:
        masks.cropped(found.mask, height, width)
    except AnnotationError:
        return True
    return False


def own_size(mask):
    """(height, width) of the image a mask was made for, where the mask itself says it."""
    if isinstance(mask, RunLengths):
        return mask.height, mask.width
    if isinstance(mask, MaskFile) and (mask.top, mask.left) == (0, 0):
        try:
            return masks.file_size(mask)
        except AnnotationError:
            return None
    if isinstance(mask, Bitmap) and (mask.top, mask.left) == (0, 0):
        return mask.pixels.shape
    return None


def _box_of(found, height, width, tell):
    """The box as stated, else the one around the mask; before any cut."""
    box = found.box
    if box is None:
        try:
            box = found.mask and masks.extent(found.mask, height, width)
        except AnnotationError as fault:
            raise _Unusable(f"no box, and the mask cannot be read: {fault}") from None
        if not box:
            raise _Unusable("neither a box nor a mask")
        tell(DERIVED, "box taken from the mask")
    if not all(math.isfinite(side) for side in box):
        raise _Unusable("the box holds a number that is none (NaN or infinite)")
    ymin, xmin, ymax, xmax = box
    if ymax <= ymin or xmax <= xmin:
        raise _Unusable("the box has no height or no width")
    return box


def _cut(box, height, width):
    """The part of a box inside the image."""
    ymin, ymax = (min(max(side, 0.0), float(height)) for side in (box[0], box[2]))
    xmin, xmax = (min(max(side, 0.0), float(width)) for side in (box[1], box[3]))
    # Compared as the record will hold it: in float32, as a share of the image.
    rows, columns = np.float32([ymin, ymax]) / height, np.float32([xmin, xmax]) / width
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        raise _Unusable("the box lies outside the image")
    return ymin, xmin, ymax, xmax


def _fit_together(box, mask):
    """Whether a box and a mask can be of one object."""
    rows, columns = mask.pixels.shape
    around = (mask.top, mask.left, mask.top + rows, mask.left + columns)
    if max(abs(a - b) for a, b in zip(box, around, strict=True)) <= SLACK:
        return True
    height = min(box[2], around[2]) - max(box[0], around[0])
    width = min(box[3], around[3]) - max(box[1], around[1])
    shared = max(height, 0.0) * max(width, 0.0)
    both = (box[2] - box[0]) * (box[3] - box[1]) + rows * columns
    return shared >= LEAST_OVERLAP * (both - shared)


def _is_area(area):
    return area is not None and 0 < area < LARGEST_AREA  # which NaN is not


def _area_of(found, box, mask, tell, *, was_cut):
    """The stated area, where it can still be true; else that of the mask, else of the box."""
    if _is_area(found.area) and not was_cut:
        return float(found.area)
    of_box = (box[2] - box[0]) * (box[3] - box[1])
    if not _is_area(found.area):
        tell(DERIVED, f"area taken from the {'mask' if mask else 'box'}")
    if mask:
        return float(np.count_nonzero(mask.pixels))
    return min(float(found.area), of_box) if _is_area(found.area) else of_box


def to_pixels(image, height, width):
    """The objects of an `AnnotatedImage` with boxes, polygons and areas in pixels.

    Args:
        image: where it is not `normalized`, its objects are given back as they are.
        height: of the image itself, in pixels.
        width: of the image itself, in pixels.
    """
    if not image.normalized:
        return image.objects
    return tuple(_scaled(found, height, width) for found in image.objects)


def _scaled(found, height, width):
    box, area = found.box, found.area
    if box is not None:
        box = (box[0] * height, box[1] * width, box[2] * height, box[3] * width)
    if area is not None:
        area = area * height * width
    return found._replace(box=box, mask=_scaled_mask(found.mask, height, width), area=area)


def _scaled_mask(mask, height, width):
    if isinstance(mask, Union):
        return Union(tuple(_scaled_mask(piece, height, width) for piece in mask.masks))
    if isinstance(mask, Stretched):
        return mask._replace(height=height, width=width)
    if not isinstance(mask, Polygons):
        return mask
    parts, holes = (
        tuple(
            tuple(value * (height if place % 2 else width) for place, value in enumerate(part))
            for part in group
        )
        for group in mask
    )
    return Polygons(parts, holes)
