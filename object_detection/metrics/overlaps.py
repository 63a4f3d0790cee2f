"""Overlaps of objects of one image, for boxes and for COCO run lengths, in NumPy.

Areas of boxes keep the boxes' own precision and their intersections are 64-bit, those of masks
32-bit, as in TFOD's evaluations: a threshold then decides the same way.
"""

from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_codec

_LEAST_AREA = np.float32(1e-7)  # replaces an empty mask's area as a divisor (TFOD)


class Overlaps(NamedTuple):
    """Overlaps of d detections with g objects."""

    iou: np.ndarray  # [d, g] intersection over union
    ioa: np.ndarray  # [d, g] intersection over the detection's own area


def of_boxes(detections: np.ndarray, truth: np.ndarray) -> Overlaps:
    """Return the overlaps of (ymin, xmin, ymax, xmax) boxes [d, 4] and [g, 4]; no box is empty."""
    low = np.maximum(detections[:, None, :2], truth[None, :, :2])
    high = np.minimum(detections[:, None, 2:], truth[None, :, 2:])
    sides = np.maximum(0.0, (high - low).astype(np.float64))
    shared = sides[..., 0] * sides[..., 1]
    areas = _box_areas(detections)[:, None]
    return Overlaps(shared / (areas + _box_areas(truth)[None] - shared), shared / areas)


def of_masks(detections: list[dict], truth: list[dict]) -> Overlaps:
    """Return the overlaps of d and g COCO RLEs."""
    if not detections or not truth:
        nothing = np.zeros([len(detections), len(truth)], np.float32)
        return Overlaps(nothing, nothing)
    areas = mask_areas(detections)[:, None]
    sums = areas + mask_areas(truth)[None]
    ratio = rle_codec.iou(detections, truth, [0] * len(truth))
    shared = np.rint(ratio * sums / (1.0 + ratio)).astype(np.float32)
    union = sums.astype(np.float32) - shared
    own = areas.astype(np.float32) + _LEAST_AREA
    return Overlaps(shared / np.maximum(union, _LEAST_AREA), shared / own)


def mask_areas(masks: list[dict]) -> np.ndarray:
    """Return the numbers of pixels of n COCO RLEs, [n] float64."""
    # One by one: with NumPy 2 pycocotools (2.0.11) counts no more than 255 at once.
    return np.array([rle_codec.area(mask) for mask in masks], np.float64)


def _box_areas(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
