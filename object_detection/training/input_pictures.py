"""Draws the input of a training step: augmented and resized images with their objects."""

import numpy as np

from object_detection.structures import drawing
from object_detection.structures.batch import Batch
from object_detection.structures.instances import Instances
from object_detection.training.stored_frame import masks_of, to_numpy


def draw(batch: Batch, names: dict[int, str]) -> np.ndarray:
    """Draw every image of a batch with its boxes, masks and class names, its id above it.

    Args:
        batch: At least one image, pixels in uint8.
        names: {class: name}.

    Returns:
        uint8 [B, H, W, 3]; small images are enlarged.
    """
    batch = to_numpy(batch)
    return np.stack([_drawn(batch, row, names) for row in range(len(batch.image_id))])


def _drawn(batch, row, names):
    truth, valid = batch.truth, batch.truth.valid[row]
    height, width = batch.images.true_shape[row].tolist()
    masks = truth.masks and masks_of(truth.masks._replace(present=None), row, valid)
    instances = Instances(
        height,
        width,
        truth.boxes[row][valid],
        truth.classes[row][valid],
        masks=None if masks is None else masks.resize(height, width),
        crowd=truth.crowd[row][valid],
    )
    picture = drawing.draw(batch.images.pixels[row], instances, names)
    return drawing.titled(picture, batch.image_id[row].decode(errors="replace"))
