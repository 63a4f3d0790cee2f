"""What may be wrong with the objects of an image although a model can be trained on them."""

import numpy as np

from object_detection.reports.facts import FACT, LOOK, Finding

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

_SAME = 0.95  # IoU from which two boxes are taken for one
_FITS = 0.8  # IoU of a box with the extent of its mask below which they are worth a look
_ROUNDING = 2.0  # pixels that a box may differ from the extent of its mask without a word
_WHOLE = 0.99  # share of the image's height and width
_SHOWN = 5  # objects named in a detail


def findings_of(size, boxes, classes, crowd, difficult, masks=None):
    """Checks the objects of one image.

    Args:
        size: (height, width) in pixels.
        boxes: [g, 4] (ymin, xmin, ymax, xmax) in pixels, inside the image.
        classes: [g] ints.
        crowd: [g] bool.
        difficult: [g] bool.
        masks: (extents, areas) as `mask_extents` gives them, or None.

    Returns:
        List of `Finding`s.
    """
    findings = []

    def tell(severity, reason, which):
        objects = np.flatnonzero(which)
        if len(objects):
            findings.append(Finding(severity, reason, _numbers(objects), len(objects)))

    if not len(boxes):
        return [Finding(FACT, NO_OBJECTS)]
    limit = np.array([*size, *size], np.float32)
    sides = boxes[:, 2:] - boxes[:, :2]
    tell(FACT, CROWDS, crowd)
    tell(FACT, DIFFICULT, difficult)
    tell(FACT, AT_BORDER, (boxes[:, :2] <= 0.5).any(1) | (boxes >= limit - 0.5)[:, 2:].any(1))
    tell(LOOK, WHOLE_IMAGE, (sides >= _WHOLE * limit[:2]).all(1))
    tell(LOOK, TINY, (sides < 2).any(1))
    twins = np.triu(_overlaps(boxes) > _SAME, k=1) & ~(crowd[:, None] | crowd)
    same_class = classes[:, None] == classes
    tell(LOOK, SAME_BOX_SAME_CLASS, (twins & same_class).any(0))
    tell(LOOK, SAME_BOX_OTHER_CLASS, (twins & ~same_class).any(0))
    if masks is not None:
        extents, areas = masks
        tell(LOOK, EMPTY_MASK, areas == 0)
        off = np.abs(extents - boxes).max(1) > _ROUNDING
        apart = _overlaps(extents, boxes, pairwise=True) < _FITS
        tell(LOOK, MASK_NOT_IN_BOX, (areas > 0) & off & apart)
    return findings


def mask_extents(masks):
    """The boxes around masks, and their sizes.

    Args:
        masks: [g, h, w] of 0 and 1.

    Returns:
        ([g, 4] float32 (ymin, xmin, ymax, xmax) in pixels of the mask, zeros for an empty one;
        [g] int pixels).
    """
    extents = np.zeros((len(masks), 4), np.float32)
    areas = np.zeros(len(masks), np.int64)
    for k, mask in enumerate(masks):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            extents[k] = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
            areas[k] = np.count_nonzero(mask)
    return extents, areas


def extents_in_image(masks, size):
    """As `mask_extents`, in pixels of an image of (height, width) `size` that the masks span."""
    extents, areas = mask_extents(masks)
    scale = np.divide(size, masks.shape[1:]) if len(masks) else np.ones(2)
    return extents * np.float32([*scale, *scale]), areas * scale.prod()


def _overlaps(boxes, others=None, *, pairwise=False):
    """IoU of all boxes with all others ([g, k]), or of each with its own ([g])."""
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
    """Which objects, as a person counts them: from 1."""
    named = ", ".join(f"#{k + 1}" for k in objects[:_SHOWN])
    return named + (", ..." if len(objects) > _SHOWN else "")
