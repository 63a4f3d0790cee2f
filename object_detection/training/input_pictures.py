"""What a step was given, drawn: its images after augmentation and resizing, with their objects."""

from typing import NamedTuple

import numpy as np

from object_detection.structures.batch import Batch
from object_detection.training.stored_frame import to_numpy, with_whole_masks
from object_detection.utils import side_by_side, visualization_utils


class _Objects(NamedTuple):
    """The objects of one image, as `draw_named_objects` wants them."""

    boxes: np.ndarray  # [n, 4] pixels of the resized image
    classes: np.ndarray  # [n]
    masks: np.ndarray  # [k, h, w] of 0 and 1, k <= n; of the stored image's size
    true_shape: tuple  # (height, width) of the resized image, which the masks span

    def full_mask(self, index, height, width):
        """The mask of object `index` as bool [height, width]; None where it has none."""
        if index >= len(self.masks) or not self.masks[index].size:
            return None
        mask, (rows, columns) = self.masks[index], self.true_shape
        full = np.zeros((height, width), bool)
        row = np.arange(rows) * mask.shape[0] // rows
        column = np.arange(columns) * mask.shape[1] // columns
        full[:rows, :columns] = mask[row[:, None], column] > 0
        return full


def draw(batch: Batch, names: dict[int, str]) -> np.ndarray:
    """Draws every image of a batch with its boxes, masks and class names, its id above it.

    Args:
        batch: of at least one image, its pixels in uint8.
        names: {class: name}.

    Returns:
        uint8 [B, H, W, 3]; small images are enlarged.
    """
    batch = to_numpy(with_whole_masks(batch))
    return np.stack([_drawn(batch, row, names) for row in range(len(batch.image_id))])


def _drawn(batch, row, names):
    truth, valid = batch.truth, batch.truth.valid[row]
    masks = np.zeros([0, 0, 0], np.uint8)
    if truth.masks is not None:
        height, width = truth.masks.shape[row]
        masks = truth.masks.pixels[row, :, :height, :width]
        masks = masks[valid[: len(masks)]]
    objects = _Objects(
        truth.boxes[row][valid],
        truth.classes[row][valid],
        masks,
        tuple(batch.images.true_shape[row].tolist()),
    )
    remarks = ["(crowd)" if crowd else "" for crowd in truth.crowd[row][valid]]
    picture = visualization_utils.draw_named_objects(
        batch.images.pixels[row], objects, range(len(objects.boxes)), remarks, names
    )
    return side_by_side.titled(picture, batch.image_id[row].decode(errors="replace"))
