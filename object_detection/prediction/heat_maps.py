"""Heat maps of mask probabilities of several objects, from blue (0) to red (1)."""

import numpy as np
from PIL import Image, ImageDraw

from object_detection.structures import drawing

_GAP = 2  # pixels between two maps


def colored(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities [h, w] in 0..1 as colors, uint8 [h, w, 3]: blue, cyan, yellow, red."""
    height = 4.0 * np.clip(probabilities, 0.0, 1.0)[..., np.newaxis]
    colors = 1.5 - np.abs(height - np.array([3.0, 2.0, 1.0], np.float32))
    return np.uint8(np.rint(255 * np.clip(colors, 0.0, 1.0)))


def montage(image, prediction, masks_per_dim=2):
    """Return the heat maps of the best objects in rows, each over the whole image.

    Args:
        image: uint8 [h, w, 3]; it shines through where the probability is 0.
        prediction: The detections in it.
        masks_per_dim: Number of heat maps in a row, and number of rows.

    Returns:
        uint8 [h, w, 3]; tiles without an object are black.

    Raises:
        ValueError: No masks, or less than one in a row.
    """
    if masks_per_dim < 1:
        raise ValueError(f"masks_per_dim must be at least 1, got {masks_per_dim}")
    if not prediction.has_masks:
        raise ValueError("heat maps are of masks, and this model gives none")
    height, width = image.shape[:2]
    picture = Image.new("RGB", (width, height))
    tile = max(1, width // masks_per_dim - _GAP), max(1, height // masks_per_dim - _GAP)
    small = Image.fromarray(image).resize(tile, Image.Resampling.BILINEAR)
    faint = np.asarray(small, np.float32)
    for index in range(min(masks_per_dim**2, len(prediction))):
        heat = Image.fromarray(prediction.heat_map(index)).resize(tile, Image.Resampling.BILINEAR)
        heat = np.asarray(heat)
        share = 0.55 + 0.45 * heat[..., np.newaxis]
        blended = np.uint8(np.rint(colored(heat) * share + faint * (1 - share)))
        name = f"{prediction.names[index]} {round(100 * float(prediction.scores[index]))}%"
        row, column = divmod(index, masks_per_dim)
        corner = column * width // masks_per_dim, row * height // masks_per_dim
        picture.paste(_labeled(blended, name), corner)
    return np.array(picture)


def _labeled(heat, text):
    """Return the map with a text in its corner if the map is large enough."""
    picture = Image.fromarray(heat)
    font = drawing.font_for(min(picture.size) * 2)
    if font.getlength(text) <= picture.width and 2 * font.size <= picture.height:
        pen = ImageDraw.Draw(picture)
        pen.text((3, 1), text, fill="white", font=font, stroke_width=1, stroke_fill="black")
    return picture
