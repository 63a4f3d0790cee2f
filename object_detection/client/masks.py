"""Masks as servers send them, made masks of the whole image.

Two customs exist for a mask that comes as probabilities inside its box. TFOD's (`paste_mask`) lets
the outermost values lie on the box's border; Matterport's, which azoda's notebook took over
(`unmold_mask`), lets every value be a tile of the box. They differ by less than a tile.
"""

import numpy as np

from object_detection.client import run_lengths

# Least height or width of a box, as a fraction of the image (TFOD).
_LEAST_EXTENT = 1e-4


def paste_mask(mask, box, height, width):
    """A mask of a box as one of its image, as TFOD's `reframe_box_masks_to_image_masks` does it.

    Args:
        mask: [M, M'] probabilities; the outermost values lie on the box's border.
        box: (ymin, xmin, ymax, xmax) pixels of the image; may reach beyond it.
        height, width: of the image.

    Returns:
        [height, width] float32 probabilities, 0 outside the box.
    """
    mask = np.asarray(mask, np.float32)
    y = _tfod_points(box[0], box[2], height, mask.shape[0])
    x = _tfod_points(box[1], box[3], width, mask.shape[1])
    rows = np.flatnonzero((y >= 0) & (y <= mask.shape[0] - 1))
    columns = np.flatnonzero((x >= 0) & (x <= mask.shape[1] - 1))
    pasted = np.zeros((height, width), np.float32)
    if len(rows) and len(columns):
        pasted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = _bilinear(
            mask, y[rows], x[columns]
        )
    return pasted


def unmold_mask(mask, bbox, image_shape, threshold=0.5):
    """A mask of a box as a bool mask of its image, as Matterport's and azoda's clients do it.

    Unlike theirs it takes boxes that reach beyond the image, and boxes of less than a pixel.

    Args:
        mask: [M, M'] probabilities inside the box.
        bbox: (y1, x1, y2, x2) whole pixels (fractions are cut off, as there).
        image_shape: (height, width, ...) of the image.
        threshold: a pixel belongs to the object from this probability on.

    Returns:
        [height, width] bool.
    """
    mask = np.asarray(mask, np.float32)
    height, width = image_shape[:2]
    y1, x1, y2, x2 = (int(value) for value in bbox)
    y2, x2 = max(y2, y1 + 1), max(x2, x1 + 1)
    rows = np.arange(max(y1, 0), min(y2, height))
    columns = np.arange(max(x1, 0), min(x2, width))
    full = np.zeros((height, width), bool)
    if len(rows) and len(columns):
        # Half a pixel in, and zeros around the mask: scikit-image's resize.
        y = (rows - y1 + 0.5) * mask.shape[0] / (y2 - y1) - 0.5
        x = (columns - x1 + 0.5) * mask.shape[1] / (x2 - x1) - 0.5
        inside = _bilinear(np.pad(mask, 1), y + 1, x + 1)
        full[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = inside >= threshold
    return full


def decode_rle(rle):
    """A COCO run-length code as a mask.

    Args:
        rle: {"size": [height, width], "counts": text, bytes or list of numbers}.

    Returns:
        [height, width] bool.

    Raises:
        ValueError: the counts do not make up the size, or the size is none of an image.
    """
    return run_lengths.decode(rle)


def _tfod_points(low, high, image_side, mask_side):
    """Where the image's pixels read the mask along one axis; beyond 0..M-1 is outside."""
    low, high = np.float32(low) / np.float32(image_side), np.float32(high) / np.float32(image_side)
    extent = np.maximum(high - low, np.float32(_LEAST_EXTENT))
    start, end = -low / extent, (np.float32(1) - low) / extent
    last = np.float32(mask_side - 1)
    if image_side == 1:
        return np.array([0.5 * (start + end) * last], np.float32)
    step = (end - start) * last / np.float32(image_side - 1)
    return start * last + np.arange(image_side, dtype=np.float32) * step


def _bilinear(values, y, x):
    """Values [h, w] read at points y [n] and x [m] inside it: [n, m] float32."""
    y, x = np.asarray(y, np.float32), np.asarray(x, np.float32)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.ceil(y).astype(int), np.ceil(x).astype(int)
    across = values[:, left] + (values[:, right] - values[:, left]) * (x - left)
    return across[top] + (across[bottom] - across[top]) * (y - top)[:, np.newaxis]
