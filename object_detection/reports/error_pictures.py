"""Images with what a model did wrong in them drawn over, a colour for each kind of error."""

import numpy as np
from PIL import Image

from object_detection.reports import pictures
from object_detection.reports.found_errors import (
    DOUBLE,
    FALSE,
    FOUND,
    MISSED,
    POOR_MASK,
    WRONG_CLASS,
)
from object_detection.utils import visualization_utils

COLOURS = {
    FOUND: "#2e9e4f",
    MISSED: "#e53935",
    FALSE: "#fb8c00",
    DOUBLE: "#ab47bc",
    WRONG_CLASS: "#1e88e5",
    POOR_MASK: "#fdd835",
}
_LEAST_SIDE = 480  # pixels that the shorter side of a small image is enlarged to, about


def draw(seen, categories, side, *, masks=True):
    """The picture of a `model_evaluation.SeenImage`; None where its pixels cannot be had.

    Missed objects are drawn as they are in the ground truth, everything else as it was found.

    Args:
        categories: {id: name}.
        side: pixels that the longer side has at most.
        masks: whether masks are drawn too.

    Returns:
        uint8 [H, W, 3].
    """
    pixels = seen.image.pixels()
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    scale = min(side / max(height, width), max(1, _LEAST_SIDE // min(height, width)))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    resized = np.array(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    ratio = np.array([size[0] / height, size[1] / width] * 2)
    # Errors last, so that they lie on top.
    shown = sorted(seen.events, key=lambda event: event.kind != FOUND)
    owners = [
        (seen.image.truth, event.truth) if event.found is None else (seen.found, event.found)
        for event in shown
    ]

    def mask_of(place):
        owner, index = owners[place]
        mask = owner.full_mask(index, height, width)
        return None if mask is None else pictures.nearest(mask, *size)

    return visualization_utils.draw_objects(
        resized,
        np.array([owner.boxes[index] for owner, index in owners]).reshape(-1, 4) * ratio,
        [_label(event, owner, index, categories) for event, (owner, index) in _with(shown, owners)],
        [COLOURS[event.kind] for event in shown],
        mask_of if masks else None,
        mask_alpha=0.3,
    )


def _with(shown, owners):
    return zip(shown, owners, strict=True)


def _label(event, owner, index, categories):
    """What stands at an object: nothing where it was found well."""
    if event.kind == FOUND:
        return ""
    return f"{event.kind}: {categories[int(owner.classes[index])]}"
