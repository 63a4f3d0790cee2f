"""Detections drawn over an image, with Pillow."""

import numpy as np

from object_detection.client import images
from object_detection.client.detections import Detection

COLORS = (
    (41, 182, 246),
    (255, 112, 67),
    (156, 204, 101),
    (236, 64, 122),
    (255, 202, 40),
    (126, 87, 194),
    (38, 166, 154),
    (255, 167, 38),
)
_MASK_SHARE = 0.4


def draw(image, detections):
    """A copy of an image with masks, boxes, names and scores.

    Args:
        image: path, bytes of an image file, a Pillow image, or uint8 [h, w, 3].
        detections: of `Detection`s.

    Returns:
        uint8 [h, w, 3].

    Raises:
        TypeError, ValueError: no image, or no detections.
    """
    pixels, detections = images.pixels(image), _checked(detections)
    from PIL import Image, ImageDraw, ImageFont

    height, width = pixels.shape[:2]
    # Large ones first, so that none is buried.
    ordered = sorted(detections, key=lambda found: -_area(found.box))
    for found in ordered:
        mask = found.mask(height, width)
        if mask is not None:
            color = np.array(color_of(found.class_id))
            pixels[mask] = pixels[mask] * (1 - _MASK_SHARE) + color * _MASK_SHARE
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(10, min(height, width) // 40))
    for found in ordered:
        top, left, bottom, right = found.box_in(height, width)
        color = color_of(found.class_id)
        pen.rectangle((left, top, max(right, left), max(bottom, top)), outline=color, width=2)
        text = f"{found.label} {round(100 * found.score)}%"
        place = (max(left, 0), max(top - font.size - 2, 0))
        pen.rectangle(pen.textbbox(place, text, font=font), fill=color)
        pen.text(place, text, fill=(0, 0, 0), font=font)
    return np.array(picture)


def color_of(class_id):
    """The colour of a class, the same in every picture."""
    return COLORS[class_id % len(COLORS)]


def _checked(detections):
    """The detections as a list."""
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


def _area(box):
    return (box[2] - box[0]) * (box[3] - box[1])
