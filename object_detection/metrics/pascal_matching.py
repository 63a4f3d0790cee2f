"""Which detections of one class in one image are right, by the rules of Pascal VOC and Open Images.

Each detection, the best first, looks at the one object it overlaps most: right if that object is
still free, wrong if it is taken or too far off, left out of the count if it is difficult. What is
wrong so far and lies inside a box of several objects (group-of) is left out too, or counts once for
that box with a weight.
"""

from typing import NamedTuple

import numpy as np

from object_detection.metrics import overlaps

_MOST_DETECTIONS = 10000  # of an image and class


class Objects(NamedTuple):
    """The objects of one class in one image."""

    boxes: np.ndarray  # [g, 4]
    difficult: np.ndarray  # [g] bool
    group_of: np.ndarray  # [g] bool
    masks: list | None = None  # g COCO RLEs; empty ones stand for objects known by box alone


class Found(NamedTuple):
    """The detections of one class in one image."""

    boxes: np.ndarray  # [d, 4], none empty
    scores: np.ndarray  # [d]
    masks: list | None = None  # d COCO RLEs


class Judged(NamedTuple):
    """What counts."""

    scores: np.ndarray  # [n] float64
    labels: np.ndarray  # [n] float64: 1 right, 0 wrong, or a group's weight


class _State:
    """What is known of d detections while they are judged."""

    def __init__(self, count):
        self.right = np.zeros(count, bool)
        self.left_out = np.zeros(count, bool)  # lies on a difficult object
        self.in_group = np.zeros(count, bool)
        self.by_box = np.zeros(count, bool)  # matched with an object that has no mask

    def is_open(self, k):
        return not (self.right[k] or self.left_out[k] or self.in_group[k])


def has_mask(masks):
    """[g] bool: whether there is a pixel in each of g COCO RLEs."""
    return overlaps.mask_areas(masks) > 0


def judge(found, objects, *, threshold, group_weight):
    """Judges the detections of one class in one image.

    Args:
        found: Found.
        objects: Objects; masks on both sides or on none. With masks, detections that match an
            object known by its box alone are left out.
        threshold: least IoU with an object, and least share of a detection inside a group.
        group_weight: what a found group counts; 0 leaves groups out.

    Returns:
        Judged.
    """
    order = np.argsort(found.scores, kind="stable")[::-1][:_MOST_DETECTIONS]
    scores = np.asarray(found.scores, np.float64)[order]
    if not len(objects.boxes):
        return Judged(scores, np.zeros(len(scores)))
    state = _State(len(scores))
    by_mask = np.zeros(len(objects.boxes), bool)
    groups = []
    if objects.masks is not None:
        by_mask = has_mask(objects.masks)
        pairs = overlaps.of_masks(
            [found.masks[k] for k in order],
            [objects.masks[k] for k in np.flatnonzero(by_mask)],
        )
        groups.append(
            _judge_by(pairs, _of(objects, by_mask), scores, state, threshold, is_box=False)
        )
    if not by_mask.all():
        pairs = overlaps.of_boxes(found.boxes[order], objects.boxes[~by_mask])
        best = _judge_by(pairs, _of(objects, ~by_mask), scores, state, threshold, is_box=True)
        if objects.masks is None:
            groups.append(best)
    counted = ~(state.left_out | state.in_group)
    if objects.masks is not None:
        counted &= ~state.by_box
    best = np.concatenate(groups) if groups and group_weight > 0 else np.zeros(0)
    best = best[best > 0]
    return Judged(
        np.concatenate([scores[counted], best]),
        np.concatenate([state.right[counted].astype(np.float64), np.full(len(best), group_weight)]),
    )


def _of(objects, chosen):
    """(difficult, group_of) of the chosen objects."""
    return objects.difficult[chosen], objects.group_of[chosen]


def _judge_by(pairs, flags, scores, state, threshold, *, is_box):
    """Goes through the detections twice, for objects and then for groups.

    Returns:
        For each group the best score of those in it, 0 where none is.
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
    for k, place in enumerate(nearest):
        if not (iou[k, place] >= threshold and state.is_open(k)):
            continue
        if difficult[place]:
            state.left_out[k] = True
        elif not taken[place]:
            taken[place] = state.right[k] = True
            state.by_box[k] = is_box
