"""Findings about images and their objects, without their pixels."""

from typing import NamedTuple

import numpy as np

from object_detection.data import report
from object_detection.structures.instances import Instances
from object_detection.structures.masks import Masks

LOST, LOOK, FACT = "lost", "worth a look", "fact"
SEVERITIES = (LOST, LOOK, FACT)

# Of the pipeline's reasons about objects, those that lose nothing.
_NOTHING_LOST = {
    report.BOX_CLIPPED,
    report.MASK_SCALED,
    report.NO_MASK,
    report.TOO_MANY_BOXES,
}


NO_OBJECTS = "image without objects"
CROWDS = "image with crowds"
DIFFICULT = "image with difficult objects"
AT_BORDER = "box touches the border of the image"
WHOLE_IMAGE = "box covers the whole image"
TINY = "box less than 2 pixels high or wide"
SAME_BOX_SAME_CLASS = "the same object twice"
SAME_BOX_OTHER_CLASS = "one box with two classes"
EMPTY_MASK = "mask without a pixel"
MASK_NOT_IN_BOX = "mask and box do not fit each other"
NO_MASKS = "objects without masks"
OTHER_SIZE = "another image size is stated than the image has"
OTHER_LABEL = "class id is not the one that the label map has for the class text"
SAME_IMAGE = "the same image in another record"
SAME_ID = "the same source_id in another record"

_SAME = 0.95  # IoU from which two boxes count as the same
_FITS = 0.8  # IoU of a box with its mask's extent below which they are reported
_ROUNDING = 2.0  # pixels that a box may differ from its mask's extent unreported
_WHOLE = 0.99  # share of the image's height and width
_SHOWN = 5  # objects named in a detail


class Finding(NamedTuple):
    """One remark about an image that a person may want to see."""

    severity: str  # one of SEVERITIES
    reason: str
    detail: str = ""
    count: int = 1  # objects it is about


class ImageFacts(NamedTuple):
    """One image with its usable objects and what was found out about it.

    A record that cannot be decoded has neither size nor objects, only findings.
    """

    id: str
    place: str  # the record: file and number
    size: tuple[int, int] | None  # (height, width) in pixels
    objects: Instances  # without masks
    mask_area: np.ndarray | None  # [n] pixels; None: the image has no masks
    findings: tuple[Finding, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of its findings, each once."""
        return tuple(dict.fromkeys(finding.reason for finding in self.findings))


def undecodable(identity: str, place: str, findings: tuple[Finding, ...]) -> ImageFacts:
    """Return the facts about a record that cannot be decoded."""
    none = np.zeros(0, bool)
    objects = Instances(
        0, 0, np.zeros((0, 4), np.float32), np.zeros(0, np.int32), crowd=none, difficult=none
    )
    return ImageFacts(identity, place, None, objects, None, findings)


def severity_of(reason: str) -> str:
    """Return how much one of the input pipeline's reasons about objects matters."""
    return LOOK if reason in _NOTHING_LOST else LOST


def check_objects(
    instances: Instances, masks: tuple[np.ndarray, np.ndarray] | None = None
) -> list[Finding]:
    """Check the objects of one image.

    Args:
        instances: The objects, inside the image.
        masks: (extents, areas) as `extents_in_image` returns them, or None.
    """
    size, boxes, classes = (instances.height, instances.width), instances.boxes, instances.classes
    crowd, difficult = instances.crowd, instances.difficult
    findings = []

    def add(severity, reason, which):
        objects = np.flatnonzero(which)
        if len(objects):
            findings.append(Finding(severity, reason, _numbers(objects), len(objects)))

    if not len(boxes):
        return [Finding(FACT, NO_OBJECTS)]
    limit = np.array([*size, *size], np.float32)
    sides = boxes[:, 2:] - boxes[:, :2]
    add(FACT, CROWDS, crowd)
    add(FACT, DIFFICULT, difficult)
    add(FACT, AT_BORDER, (boxes[:, :2] <= 0.5).any(1) | (boxes >= limit - 0.5)[:, 2:].any(1))
    add(LOOK, WHOLE_IMAGE, (sides >= _WHOLE * limit[:2]).all(1))
    add(LOOK, TINY, (sides < 2).any(1))
    twins = np.triu(_overlaps(boxes) > _SAME, k=1) & ~(crowd[:, None] | crowd)
    same_class = classes[:, None] == classes
    add(LOOK, SAME_BOX_SAME_CLASS, (twins & same_class).any(0))
    add(LOOK, SAME_BOX_OTHER_CLASS, (twins & ~same_class).any(0))
    if masks is not None:
        extents, areas = masks
        add(LOOK, EMPTY_MASK, areas == 0)
        off = np.abs(extents - boxes).max(1) > _ROUNDING
        apart = _overlaps(extents, boxes, pairwise=True) < _FITS
        add(LOOK, MASK_NOT_IN_BOX, (areas > 0) & off & apart)
    return findings


def extents_in_image(masks: Masks, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes around masks and their areas, in pixels of an image that they cover.

    Args:
        masks: Of any size.
        size: (height, width) of the image.

    Returns:
        [n, 4] float32 (ymin, xmin, ymax, xmax), zeros for an empty mask; [n] areas.
    """
    scale = np.divide(size, (masks.height, masks.width)) if len(masks) else np.ones(2)
    return masks.boxes() * np.float32([*scale, *scale]), masks.areas() * scale.prod()


def _overlaps(boxes, others=None, *, pairwise=False):
    """Return the IoU of all boxes with all others ([g, k]), or of each with its own ([g])."""
    others = boxes if others is None else others
    first = boxes if pairwise else boxes[:, None]
    sides = np.minimum(first[..., 2:], others[..., 2:]) - np.maximum(
        first[..., :2], others[..., :2]
    )
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = np.prod(first[..., 2:] - first[..., :2], axis=-1)
    union = areas + np.prod(others[..., 2:] - others[..., :2], axis=-1) - shared
    return shared / np.maximum(union, 1e-6)


def _numbers(objects):
    """Return which objects, counted from 1."""
    named = ", ".join(f"#{k + 1}" for k in objects[:_SHOWN])
    return named + (", ..." if len(objects) > _SHOWN else "")
