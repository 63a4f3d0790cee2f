"""What a model did to each object of an image: found it, missed it, or one of the other errors.

Matching is COCO's: detections in the order of their scores each take the object of their class
with the largest IoU that no better one has taken; a crowd takes any number. Leaving low scores out
afterwards therefore changes nothing about the others.
"""

from typing import NamedTuple

import numpy as np

from object_detection.metrics.score_tally import THRESHOLDS, Matching, Tally, match, overlaps

__all__ = ["THRESHOLDS", "Matching", "Tally", "match", "overlaps"]

MISSED, FALSE, DOUBLE = "missed", "false", "double"
WRONG_CLASS, POOR_MASK = "wrong class", "poor mask"
ERRORS = (MISSED, FALSE, DOUBLE, WRONG_CLASS, POOR_MASK)
FOUND = "found"
BACKGROUND = -1


class Event(NamedTuple):
    """One object that was found, or one error."""

    kind: str  # FOUND or one of ERRORS
    found: int | None  # index of the detection; None where there is none
    truth: int | None  # index of the object it is about
    iou: float = 0.0  # of the two, of masks where masks are compared
    box_iou: float = 0.0


def events(truth, found, iou, matching, *, threshold, min_score, box_iou=None):
    """Names what happened in one image.

    A detection that matches nothing is, by the first that holds: a poor mask (its box fits an
    object of its class that nothing else found, its mask does not), a wrong class (an object of
    another class that nothing else found lies there), a double (its object was found already), or
    false. Objects that none of these is about are missed.

    Args:
        iou, matching: of `overlaps` and `match`.
        threshold: least IoU.
        min_score: detections below do not count.
        box_iou: [d, g] IoU of boxes where `iou` is that of masks; None: no mask can be poor.

    Returns:
        List of `Event`s: detections by falling score, then what was missed.
    """
    order = [
        int(k)
        for k in np.argsort(-np.asarray(found.scores), kind="mergesort")
        if found.scores[k] >= min_score and not matching.in_crowd[k]
    ]
    of_boxes = iou if box_iou is None else box_iou
    named = {
        k: _event(FOUND, k, int(matching.truth_of[k]), iou, of_boxes)
        for k in order
        if matching.truth_of[k] >= 0
    }
    same = np.asarray(found.classes)[:, None] == np.asarray(truth.classes)[None]
    crowd = truth.flags("crowd")
    taken = np.array(crowd)  # nobody has to find a crowd
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
            place = int(np.argmax(fits)) if again else None
            named[k] = _event(DOUBLE if again else FALSE, k, place, iou, of_boxes)
    missed = [Event(MISSED, None, int(g)) for g in np.flatnonzero(~taken)]
    return [named[k] for k in order] + missed


def count_into(matrix, place_of, truth, found, happened):
    """Adds an image to a confusion matrix.

    Args:
        matrix: [K + 1, K + 1] int, rows the truth, columns what was found; the last of either is
            the background.
        place_of: {class id: its row and column}.
        happened: the image's `Event`s. What is a wrong class stands off the diagonal; a double, a
            false one and a poor mask in the background's row; an object that was missed, or has a
            poor mask, in the background's column.
    """
    for event in happened:
        row = column = BACKGROUND
        if event.truth is not None and event.kind != DOUBLE:
            row = place_of[int(truth.classes[event.truth])]
        if event.found is not None:
            column = place_of[int(found.classes[event.found])]
        if event.kind == POOR_MASK:
            matrix[row, BACKGROUND] += 1
            row = BACKGROUND
        matrix[row, column] += 1


def _event(kind, k, place, iou, box_iou):
    if place is None:
        return Event(kind, k, None)
    return Event(kind, k, place, float(iou[k, place]), float(box_iou[k, place]))
