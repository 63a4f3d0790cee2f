"""Classification of detections and objects of an image: found, missed, or another error.

Matching is COCO's: detections in order of score each take the object of their class with the
largest IoU that no better detection has taken; a crowd takes any number. Leaving out low scores
afterward therefore does not change the others.
"""

from typing import NamedTuple

import numpy as np

from object_detection.metrics.score_tally import THRESHOLDS, Matching, Tally, match, overlaps
from object_detection.structures.instances import Instances

__all__ = ["THRESHOLDS", "Matching", "Tally", "match", "overlaps"]

MISSED, FALSE, DOUBLE = "missed", "false", "double"
WRONG_CLASS, POOR_MASK = "wrong class", "poor mask"
ERRORS = (MISSED, FALSE, DOUBLE, WRONG_CLASS, POOR_MASK)
FOUND = "found"
BACKGROUND = -1


class Event(NamedTuple):
    """One object that was found, or one error."""

    kind: str  # FOUND or one of ERRORS
    detection: int | None  # its index; None for a missed object
    truth: int | None  # index of the object concerned
    iou: float = 0.0  # of the two; of masks if masks are compared
    box_iou: float = 0.0


def classify(
    truth: Instances, detections: Instances, iou, matching, *, threshold, min_score, box_iou=None
) -> list[Event]:
    """Classify the detections and objects of one image.

    A detection without a match is the first of these that applies: a poor mask (its box fits an
    object of its class that no other detection found, its mask does not), a wrong class (an object
    of another class that no other detection found lies there), a double (its object was found
    already), or false. The remaining objects are missed.

    Args:
        truth, detections: Objects and detections.
        iou, matching: Results of `overlaps` and `match`.
        threshold: Least IoU.
        min_score: Detections with lower scores do not count.
        box_iou: [d, g] IoU of boxes if `iou` is that of masks; None: no mask can be poor.

    Returns:
        `Event`s: detections by descending score, then missed objects.
    """
    order = [
        int(k)
        for k in np.argsort(-np.asarray(detections.scores), kind="mergesort")
        if detections.scores[k] >= min_score and not matching.in_crowd[k]
    ]
    of_boxes = iou if box_iou is None else box_iou
    named = {
        k: _event(FOUND, k, int(matching.truth_of[k]), iou, of_boxes)
        for k in order
        if matching.truth_of[k] >= 0
    }
    same = np.asarray(detections.classes)[:, None] == np.asarray(truth.classes)[None]
    crowd = truth.flags("crowd")
    taken = np.array(crowd)  # a crowd need not be found
    taken[[event.truth for event in named.values()]] = True
    passes = [(WRONG_CLASS, iou, ~same)]
    if box_iou is not None:
        passes.insert(0, (POOR_MASK, box_iou, same))
    for kind, measure, allowed in passes:
        for k in order:
            fits = np.where(allowed[k] & ~taken & (measure[k] >= threshold), measure[k], -1)
            if k not in named and fits.max(initial=-1) >= 0:
                named[k] = _event(kind, k, int(np.argmax(fits)), iou, of_boxes)
                taken[named[k].truth] = True
    for k in order:
        if k not in named:
            fits = np.where(same[k] & ~crowd & (iou[k] >= threshold), iou[k], -1)
            again = fits.max(initial=-1) >= 0
            index = int(np.argmax(fits)) if again else None
            named[k] = _event(DOUBLE if again else FALSE, k, index, iou, of_boxes)
    missed = [Event(MISSED, None, int(g)) for g in np.flatnonzero(~taken)]
    return [named[k] for k in order] + missed


def count_into(
    matrix, index_of, truth: Instances, detections: Instances, events: list[Event]
) -> None:
    """Add an image to a confusion matrix.

    Args:
        matrix: [K + 1, K + 1] int, rows are the truth, columns the detections; the last of either
            is the background.
        index_of: {class id: its row and column}.
        truth, detections: Objects and detections.
        events: The image's events. A wrong class counts off the diagonal; a double, a false one and
            a poor mask in the background's row; an object that was missed or has a poor mask in the
            background's column.
    """
    for event in events:
        row = column = BACKGROUND
        if event.truth is not None and event.kind != DOUBLE:
            row = index_of[int(truth.classes[event.truth])]
        if event.detection is not None:
            column = index_of[int(detections.classes[event.detection])]
        if event.kind == POOR_MASK:
            matrix[row, BACKGROUND] += 1
            row = BACKGROUND
        matrix[row, column] += 1


def _event(kind, k, index, iou, box_iou):
    if index is None:
        return Event(kind, k, None)
    return Event(kind, k, index, float(iou[k, index]), float(box_iou[k, index]))
