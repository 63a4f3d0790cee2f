"""Draws detections over an image, with Pillow."""

from collections.abc import Sequence

import numpy as np

from object_detection.client import images
from object_detection.client.detections import Detection, to_instances


def draw(image, detections: Sequence[Detection]) -> np.ndarray:
    """Return a copy of an image with masks, boxes, names and scores.

    Args:
        image: A path, bytes of an image file, a Pillow image, or uint8 [h, w, 3].
        detections: What `Client.score` or one row of `Client.detect` returns.

    Returns:
        uint8 [h, w, 3].

    Raises:
        TypeError, ValueError: Not an image, or not detections.
    """
    pixels, detections = images.pixels(image), _checked(detections)
    from object_detection.structures import drawing  # imports Pillow

    names = {each.class_id: each.label for each in detections}
    instances = to_instances(detections, *pixels.shape[:2])
    remarks = [f"{round(100 * each.score)}%" for each in detections]
    # The entry -1 keeps the colors of classes: with one class each object has its own color.
    return drawing.draw(pixels, instances, {**names, -1: ""}, remarks=remarks, enlarge=False)


def color_of(class_id: int) -> tuple[int, int, int]:
    """Return the (red, green, blue) color of a class, the same in every picture."""
    from PIL import ImageColor

    from object_detection.structures import drawing

    return ImageColor.getrgb(drawing.color_of(class_id))


def _checked(detections):
    """Return the detections as a list."""
    single = isinstance(detections, Detection) or not hasattr(detections, "__iter__")
    rows = [detections] if single else list(detections)
    wrong = [row for row in rows if not isinstance(row, Detection)]
    if single or wrong:
        what = type((wrong or rows)[0]).__name__
        raise TypeError(
            "detections must be a list of Detection, as Client.score or one row of Client.detect "
            f"gives it, got {'a single' if single else 'one of'} {what}"
        )
    return rows
