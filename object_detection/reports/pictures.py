"""Images with objects or errors drawn in, small enough for a page."""

import base64
import io

import numpy as np
from PIL import Image

from object_detection.reports.detection_errors import (
    DOUBLE,
    FALSE,
    FOUND,
    MISSED,
    POOR_MASK,
    WRONG_CLASS,
)
from object_detection.structures import drawing
from object_detection.structures.instances import Instances

ERROR_COLORS = {
    FOUND: "#2e9e4f",
    MISSED: "#e53935",
    FALSE: "#fb8c00",
    DOUBLE: "#ab47bc",
    WRONG_CLASS: "#1e88e5",
    POOR_MASK: "#fdd835",
}
_MIN_SIDE = 480  # pixels that the shorter side of a small image is enlarged to, about
_QUALITY = 82


def draw_instances(
    image: np.ndarray, instances: Instances, remarks, category_index, side: int
) -> np.ndarray:
    """Draw all objects of an image.

    Args:
        image: uint8 [h, w, 3]; it may be padded beyond the size of `instances`.
        instances: The objects.
        remarks: [n] texts behind the names; '' for none.
        category_index: {id: name}.
        side: Largest number of pixels of the picture's longer side before it is drawn on.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        ratio = np.float32([image.shape[0] / height, image.shape[1] / width] * 2)
        boxes, inner = instances.boxes * ratio, (instances.height, instances.width)
        inner = tuple(int(round(side)) for side in inner * ratio[:2])
        instances = instances.resize(*inner)._replace(boxes=boxes)
    return drawing.draw(image, instances, category_index, remarks=remarks)


def draw_errors(matched, categories, side: int, *, masks: bool = True) -> np.ndarray | None:
    """Draw a `model_evaluation.MatchedImage`, each kind of error in its color.

    Missed objects are drawn as annotated, everything else as detected.

    Args:
        matched: The image with its events.
        categories: {id: name}.
        side: Largest number of pixels of the longer side.
        masks: Whether to draw masks too.

    Returns:
        uint8 [H, W, 3]; None if the pixels cannot be read.
    """
    pixels = matched.image.read_pixels()
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    scale = min(side / max(height, width), max(1, _MIN_SIDE // min(height, width)))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    resized = np.array(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    ratio = np.array([size[0] / height, size[1] / width] * 2)
    # Errors last, so that they lie on top.
    shown = sorted(matched.events, key=lambda event: event.kind != FOUND)
    owners = [
        (matched.image.truth, event.truth)
        if event.detection is None
        else (matched.image.detections, event.detection)
        for event in shown
    ]

    def mask_of(index):
        owner, k = owners[index]
        return None if owner.masks is None else owner.masks.select([k]).resize(*size).crop(0)

    return drawing.draw_objects(
        resized,
        np.array([owner.boxes[k] for owner, k in owners]).reshape(-1, 4) * ratio,
        [
            "" if event.kind == FOUND else f"{event.kind}: {categories[int(owner.classes[k])]}"
            for event, (owner, k) in zip(shown, owners, strict=True)
        ],
        [ERROR_COLORS[event.kind] for event in shown],
        mask_of if masks else None,
        mask_alpha=0.3,
    )


def data_uri(picture: np.ndarray) -> str:
    """Return a picture as text to embed in a page."""
    with io.BytesIO() as file:
        Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
