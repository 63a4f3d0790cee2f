"""Matching by the rules of Pascal VOC and Open Images, and the precision-recall curves from it.

Each detection of a class, best first, is compared with the one object that it overlaps most. It is
right if that object is still free, wrong if it is taken or too far away, and left out of the count
if it is difficult. A detection that is wrong so far and lies inside a box of several objects
(group-of) is left out too, or counts once for that box with a weight.
"""

from typing import NamedTuple

import numpy as np

from object_detection.metrics import overlaps
from object_detection.structures.instances import Instances

_MAX_DETECTIONS = 10000  # of an image and class


class MatchResult(NamedTuple):
    """What counts of the detections of one class in one image."""

    scores: np.ndarray  # [n] float64
    labels: np.ndarray  # [n] float64: 1 right, 0 wrong, or a group's weight


class _State:
    """State of d detections during matching."""

    def __init__(self, count):
        self.right = np.zeros(count, bool)
        self.left_out = np.zeros(count, bool)  # lies on a difficult object
        self.in_group = np.zeros(count, bool)
        self.by_box = np.zeros(count, bool)  # matched with an object that has no mask

    def is_open(self, k):
        return not (self.right[k] or self.left_out[k] or self.in_group[k])


def has_mask(rles: list[dict]) -> np.ndarray:
    """Return [g] bool: whether there is a pixel in each of g COCO RLEs."""
    return overlaps.mask_areas(rles) > 0


def match(
    detections: Instances, objects: Instances, *, threshold: float, group_weight: float
) -> MatchResult:
    """Match the detections of one class in one image.

    Args:
        detections: None of them has an empty box.
        objects: Objects with `difficult` and `group_of`. Both sides have masks or neither has. With
            masks, empty ones mark objects without a known mask; detections that match
            these are left out.
        threshold: Least IoU with an object, and least share of a detection inside a group.
        group_weight: How much a found group counts; 0 leaves groups out.
    """
    order = np.argsort(detections.scores, kind="stable")[::-1][:_MAX_DETECTIONS]
    scores = np.asarray(detections.scores, np.float64)[order]
    if not len(objects.boxes):
        return MatchResult(scores, np.zeros(len(scores)))
    state = _State(len(scores))
    by_mask = np.zeros(len(objects.boxes), bool)
    groups = []
    if objects.masks is not None:
        masks, found_masks = objects.masks.to_rle(), detections.masks.to_rle()
        by_mask = has_mask(masks)
        pairs = overlaps.of_masks(
            [found_masks[k] for k in order], [masks[k] for k in np.flatnonzero(by_mask)]
        )
        flags = objects.difficult[by_mask], objects.group_of[by_mask]
        groups.append(_match_by(pairs, flags, scores, state, threshold, is_box=False))
    if not by_mask.all():
        boxes = np.asarray(objects.boxes).reshape(-1, 4)[~by_mask]
        pairs = overlaps.of_boxes(np.asarray(detections.boxes)[order], boxes)
        flags = objects.difficult[~by_mask], objects.group_of[~by_mask]
        best = _match_by(pairs, flags, scores, state, threshold, is_box=True)
        if objects.masks is None:
            groups.append(best)
    counted = ~(state.left_out | state.in_group)
    if objects.masks is not None:
        counted &= ~state.by_box
    best = np.concatenate(groups) if groups and group_weight > 0 else np.zeros(0)
    best = best[best > 0]
    return MatchResult(
        np.concatenate([scores[counted], best]),
        np.concatenate([state.right[counted].astype(np.float64), np.full(len(best), group_weight)]),
    )


def precision_recall(
    scores: np.ndarray, labels: np.ndarray, total: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the precision-recall curve of all detections of a class.

    Args:
        scores: [n]; of equal ones the last comes first.
        labels: [n], > 0 for right detections: by how much they count.
        total: Weight of all objects to find, > 0.

    Returns:
        (precision [n], recall [n]), best detection first.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    right = np.asarray(labels, np.float64)[order]
    hits, wrong = np.cumsum(right), np.cumsum((right <= 0).astype(np.float64))
    return hits / (hits + wrong), hits / total


def average_precision(precision: np.ndarray, recall: np.ndarray) -> float:
    """Return the area under the curve (VOC since 2010), its precision made to fall; 0 if empty."""
    recall = np.concatenate([[0.0], recall, [1.0]])
    falling = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    if len(recall) == 2:
        return 0.0
    return float(np.sum((recall[steps] - recall[steps - 1]) * falling[steps]))


def within(
    precision: np.ndarray, recall: np.ndarray, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of a curve whose recall lies in low..high."""
    inside = (recall >= low) & (recall <= high)
    return precision[inside], recall[inside]


def _match_by(pairs, flags, scores, state, threshold, *, is_box):
    """Match the detections with objects, then with groups.

    Returns:
        The best score of the detections in each group, 0 if there is no detection.
    """
    difficult, group_of = flags
    iou, ioa = pairs.iou[:, ~group_of], pairs.ioa[:, group_of]
    if iou.shape[1]:
        _match_objects(iou, difficult[~group_of], state, threshold, is_box)
    best = np.zeros(ioa.shape[1])
    if not ioa.shape[1]:
        return best
    nearest = ioa.argmax(axis=1)
    for k, group in enumerate(nearest):
        if ioa[k, group] >= threshold and state.is_open(k):
            state.in_group[k] = True
            state.by_box[k] = is_box
            best[group] = max(best[group], scores[k])
    return best


def _match_objects(iou, difficult, state, threshold, is_box):
    nearest = iou.argmax(axis=1)
    taken = np.zeros(iou.shape[1], bool)
    for k, index in enumerate(nearest):
        if not (iou[k, index] >= threshold and state.is_open(k)):
            continue
        if difficult[index]:
            state.left_out[k] = True
        elif not taken[index]:
            taken[index] = state.right[k] = True
            state.by_box[k] = is_box
