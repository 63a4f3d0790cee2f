"""How far objects of one image overlap, for boxes and for COCO run-length codes, in numpy.

Areas of boxes stay in the boxes' own precision and their intersections are taken in 64 bit, those
of masks in 32 bit, as TFOD's evaluations do: a threshold then decides alike.
"""

from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_codec

_LEAST_AREA = np.float32(1e-7)  # stands for an empty mask's area where it divides (TFOD)


class Overlaps(NamedTuple):
    """Of d detections with g objects."""

    iou: np.ndarray  # [d, g] intersection over union
    ioa: np.ndarray  # [d, g] intersection over the detection's own area


def of_boxes(found, truth):
    """Overlaps of (ymin, xmin, ymax, xmax) boxes [d, 4] and [g, 4]; no box is empty."""
    low = np.maximum(found[:, None, :2], truth[None, :, :2])
    high = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    sides = np.maximum(0.0, (high - low).astype(np.float64))
    shared = sides[..., 0] * sides[..., 1]
    areas = _box_areas(found)[:, None]
    return Overlaps(shared / (areas + _box_areas(truth)[None] - shared), shared / areas)


def of_masks(found, truth):
    """Overlaps of d and g COCO RLEs."""
    if not found or not truth:
        nothing = np.zeros([len(found), len(truth)], np.float32)
        return Overlaps(nothing, nothing)
    areas = mask_areas(found)[:, None]
    sums = areas + mask_areas(truth)[None]
    ratio = rle_codec.iou(found, truth, [0] * len(truth))
    shared = np.rint(ratio * sums / (1.0 + ratio)).astype(np.float32)
    union = sums.astype(np.float32) - shared
    own = areas.astype(np.float32) + _LEAST_AREA
    return Overlaps(shared / np.maximum(union, _LEAST_AREA), shared / own)


def mask_areas(masks):
    """[n] float64 pixels of n COCO RLEs."""
    # One by one: with NumPy 2 pycocotools (2.0.11) counts no more than 255 at once.
    return np.array([rle_codec.area(mask) for mask in masks], np.float64)


def _box_areas(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
