"""Checks annotated objects against the image they belong to, by one set of rules for all formats.

The converters, `evaluate` and `init` share these rules. A box that crosses the border is clipped,
never dropped for it; what cannot be used is dropped with a reason; what is missing is derived from
the mask. Formats that state coordinates as fractions of the image's sides are scaled to pixels
first (`to_pixels`).
"""

import math
from collections.abc import Callable, Container, Iterable
from typing import NamedTuple

import numpy as np

from object_detection.datasets import masks
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    Finding,
    Mask,
    MaskFile,
    Polygons,
    RunLengths,
    Stretched,
    Union,
)
from object_detection.datasets.report import CLIPPED, DERIVED, NOTED, SKIPPED_OBJECT
from object_detection.errors import AnnotationError, MaskError
from object_detection.structures.masks import CroppedMask

ROUNDING = 1e-3  # pixels beyond the border that are rounding in the annotation: not reported
# Box and mask of one object: below this IoU (of the box and the box around the mask) they belong to
# two objects by PASCAL's measure. A small object drawn one pixel off on both sides has less, too:
# a side may be off by SLACK pixels without a finding.
LEAST_OVERLAP, SLACK = 0.5, 2.0
LARGEST_AREA = 1e30  # pixels; records hold float32
NO_MASK = "the object has no mask"
NO_PIXEL = "the mask covers no pixel of the image"
NO_MASKS = "no object of the image has a usable mask: what the image shows is unknown"

# Which masks `check_objects` reads.
NO, REQUIRED, STATED = "no", "required", "stated"


class CheckedObjects(NamedTuple):
    """The usable objects of an image."""

    kept: list[AnnotatedObject]  # as from `check_object`
    findings: list[Finding]
    # Every object was dropped, at least one for want of a mask that can be read. What the image
    # shows is unknown then; it is not an image without objects.
    masks_unknown: bool


def check_objects(
    objects: Iterable[AnnotatedObject],
    height: int,
    width: int,
    *,
    with_masks: str = NO,
    classes: Container[str] | None = None,
) -> CheckedObjects:
    """Check all objects of an image.

    Args:
        objects: In pixels of the image.
        height, width: Size of the image, in pixels.
        with_masks: `NO`: masks are not read. `REQUIRED`: an object without a mask is dropped, as a
            record needs as many masks as boxes. `STATED`: an object that states no mask is kept
            without one, and so is one whose outline is thinner than a pixel, as in COCO's
            evaluation; one whose mask cannot be read is dropped.
        classes: Names of the classes to keep. None: all.
    """
    kept, lost, findings = [], [], []
    for annotated in objects:
        if classes is not None and annotated.class_name not in classes:
            reason = f"the label map has no class '{annotated.class_name}'"
            findings.append(Finding(SKIPPED_OBJECT, reason, annotated.key))
            continue
        has_mask = annotated.mask is not None or annotated.mask_fault is not None
        needed = with_masks == REQUIRED or (with_masks == STATED and has_mask)
        checked, reasons = check_object(annotated, height, width, with_mask=needed)
        if checked is None and with_masks == STATED and reasons[-1].reason == NO_PIXEL:
            if annotated.box is not None:
                by_box, findings_of_box = check_object(annotated, height, width, with_mask=False)
                if by_box:
                    empty = CroppedMask(np.zeros((0, 0), np.uint8))
                    checked, reasons = by_box._replace(mask=empty), findings_of_box
        findings += reasons
        if checked is None:
            lost.append((annotated, needed))
        else:
            kept.append(checked)
    masks_unknown = not kept and any(
        needed and not has_readable_mask(annotated, height, width) for annotated, needed in lost
    )
    if masks_unknown:  # reported once, for the image
        findings = [each for each in findings if each.reason != NO_MASK]
    return CheckedObjects(kept, findings, masks_unknown)


def check_object(
    annotated: AnnotatedObject, height: int, width: int, *, with_mask: bool
) -> tuple[AnnotatedObject | None, list[Finding]]:
    """Check one object against its image.

    Args:
        annotated: In pixels of the image.
        height, width: Size of the image, in pixels.
        with_mask: Whether the mask is needed; an object without one is dropped then.

    Returns:
        The object with a box inside the image, an area, and the mask as a `CroppedMask` of uint8 0
        and 1, cut at the extent of its pixels (None unless `with_mask`); or None if it cannot be
        used. And the findings about it.
    """
    findings = []

    def report(group, reason):
        findings.append(Finding(group, reason, annotated.key))

    try:
        mask = _read_mask(annotated, height, width, report, needed=with_mask)
        stated = _read_box(annotated, height, width, report)
        box = _clip(stated, height, width)
        was_clipped = max(abs(a - b) for a, b in zip(stated, box, strict=True)) > ROUNDING
        if was_clipped:
            report(CLIPPED, "the box crosses the border of the image")
        if mask and not _fit_together(box, mask):
            report(NOTED, "the box and the mask lie apart: they may belong to two objects")
        area = _read_area(annotated, box, mask, report, was_clipped=was_clipped)
    except AnnotationError as error:
        return None, [Finding(SKIPPED_OBJECT, str(error), annotated.key)]
    return annotated._replace(box=box, area=area, mask=mask if with_mask else None), findings


def _read_mask(annotated, height, width, report, *, needed):
    """Return the mask as a `CroppedMask`; None if there is none, or nothing depends on it."""
    derives = annotated.box is None or not _is_area(annotated.area)
    if annotated.mask is None:
        if needed:
            raise MaskError(annotated.mask_fault or NO_MASK)
        return None
    if not (needed or derives):
        return None
    try:
        mask = masks.cropped(annotated.mask, height, width)
    except MaskError as error:
        if needed:
            raise MaskError(f"the mask cannot be read: {error}") from None
        return None
    size = mask_size(annotated.mask)
    if size and size != (height, width):
        report(
            NOTED, "the mask is of another size than the image: cut or filled up from the top left"
        )
    if needed and mask is None:
        raise MaskError(NO_PIXEL)
    return mask


def has_readable_mask(annotated: AnnotatedObject, height: int, width: int) -> bool:
    """Return whether an object has a mask that can be read.

    A mask that covers no pixel of the image counts as one: the object is not in the image.

    Args:
        annotated: In pixels of the image.
        height, width: Size of the image, in pixels.
    """
    if annotated.mask is None:
        return False
    try:
        masks.cropped(annotated.mask, height, width)
    except MaskError:
        return False
    return True


def mask_size(mask: Mask | None) -> tuple[int, int] | None:
    """Return (height, width) of the image that a mask was made for; None if it does not tell."""
    if isinstance(mask, RunLengths):
        return mask.height, mask.width
    if isinstance(mask, MaskFile) and (mask.top, mask.left) == (0, 0):
        try:
            return masks.file_size(mask)
        except MaskError:
            return None
    if isinstance(mask, CroppedMask) and (mask.top, mask.left) == (0, 0):
        return mask.pixels.shape
    return None


def _read_box(annotated: AnnotatedObject, height: int, width: int, report: Callable):
    """Return the box as stated, else the one around the mask; not clipped yet."""
    box = annotated.box
    if box is None:
        try:
            box = annotated.mask and masks.extent(annotated.mask, height, width)
        except MaskError as error:
            raise AnnotationError(f"no box, and the mask cannot be read: {error}") from None
        if not box:
            raise AnnotationError("neither a box nor a mask")
        report(DERIVED, "box taken from the mask")
    if not all(math.isfinite(side) for side in box):
        raise AnnotationError("the box contains a NaN or infinite coordinate")
    ymin, xmin, ymax, xmax = box
    if ymax <= ymin or xmax <= xmin:
        raise AnnotationError("the box has no height or no width")
    return box


def _clip(box, height, width):
    """Return the part of a box inside the image."""
    ymin, ymax = (min(max(side, 0.0), float(height)) for side in (box[0], box[2]))
    xmin, xmax = (min(max(side, 0.0), float(width)) for side in (box[1], box[3]))
    # Compared as the record will hold it: in float32, as a fraction of the image.
    rows, columns = np.float32([ymin, ymax]) / height, np.float32([xmin, xmax]) / width
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        raise AnnotationError("the box lies outside the image")
    return ymin, xmin, ymax, xmax


def _fit_together(box, mask):
    """Return whether a box and a mask can belong to one object."""
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
    return area is not None and 0 < area < LARGEST_AREA  # False for NaN


def _read_area(annotated, box, mask, report, *, was_clipped):
    """Return the stated area if it can still be true; else that of the mask, else of the box."""
    if _is_area(annotated.area) and not was_clipped:
        return float(annotated.area)
    of_box = (box[2] - box[0]) * (box[3] - box[1])
    if not _is_area(annotated.area):
        report(DERIVED, f"area taken from the {'mask' if mask else 'box'}")
    if mask:
        return float(np.count_nonzero(mask.pixels))
    return min(float(annotated.area), of_box) if _is_area(annotated.area) else of_box


def to_pixels(image: AnnotatedImage, height: int, width: int) -> tuple[AnnotatedObject, ...]:
    """Return the objects of an image with boxes, polygons and areas in pixels.

    Args:
        image: If it is not `normalized`, its objects are returned unchanged.
        height, width: Size of the image, in pixels.
    """
    if not image.normalized:
        return image.objects
    return tuple(_scaled(annotated, height, width) for annotated in image.objects)


def _scaled(annotated, height, width):
    box, area = annotated.box, annotated.area
    if box is not None:
        box = (box[0] * height, box[1] * width, box[2] * height, box[3] * width)
    if area is not None:
        area = area * height * width
    return annotated._replace(box=box, mask=_scaled_mask(annotated.mask, height, width), area=area)


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
