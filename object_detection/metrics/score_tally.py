"""Numbers of right detections from each score on, by COCO's matching at one IoU threshold."""

from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_codec

from object_detection.metrics.evaluation import RepeatedImages, id_text
from object_detection.structures.instances import Instances

THRESHOLDS = np.round(np.arange(0, 1.005, 0.01), 2)  # scores of the F1 curves
_NOT_QUITE_ONE = 1 - 1e-10  # COCO's largest IoU threshold


class Matching(NamedTuple):
    """The object of its own class that each detection matches; independent of score thresholds."""

    truth_of: np.ndarray  # [d] int index of the object, -1 without
    in_crowd: np.ndarray  # [d] bool; counts neither for nor against


def overlaps(truth: Instances, detections: Instances, kind: str) -> np.ndarray:
    """Return COCO's IoU of detections with objects, [d, g]; of a crowd, the share inside it.

    Args:
        truth, detections: Objects and detections; both with masks if `kind` is "masks".
        kind: "boxes" or "masks".
    """
    if not len(detections.boxes) or not len(truth.boxes):
        return np.zeros([len(detections.boxes), len(truth.boxes)])
    crowd = truth.flags("crowd").astype(np.uint8).tolist()
    if kind == "masks":
        return np.asarray(rle_codec.iou(detections.masks.to_rle(), truth.masks.to_rle(), crowd))
    return np.asarray(rle_codec.iou(_extents(detections.boxes), _extents(truth.boxes), crowd))


def match(truth: Instances, detections: Instances, iou: np.ndarray, threshold: float) -> Matching:
    """Match the detections of one image with objects of their class.

    Args:
        truth, detections: Objects and detections.
        iou: [d, g] of `overlaps`.
        threshold: Least IoU.
    """
    crowd, threshold = truth.flags("crowd"), min(threshold, _NOT_QUITE_ONE)
    truth_of = np.full(len(detections.scores), -1)
    in_crowd = np.zeros(len(detections.scores), bool)
    same = np.asarray(detections.classes)[:, None] == np.asarray(truth.classes)[None]
    free = ~crowd
    for k in np.argsort(-np.asarray(detections.scores), kind="mergesort"):
        fits = same[k] & (iou[k] >= threshold)
        if (fits & free).any():
            # The last of equals, as COCO's loop leaves it.
            values = np.where(fits & free, iou[k], -1)
            truth_of[k] = len(values) - 1 - np.argmax(values[::-1])
            free[truth_of[k]] = False
        else:
            in_crowd[k] = (fits & crowd).any()
    return Matching(truth_of, in_crowd)


class Tally:
    """Counts of right and wrong detections of one class, from each score on."""

    def __init__(self):
        self.objects = 0
        # How many detections, and how many right ones, score at least each of THRESHOLDS.
        self._reached = np.zeros(len(THRESHOLDS), np.int64)
        self._right = np.zeros(len(THRESHOLDS), np.int64)

    def add(self, objects, scores, right):
        """Add an image: its number of objects, [d] scores, [d] whether each is right."""
        self.objects += int(objects)
        reached = np.asarray(scores, float)[:, None] >= THRESHOLDS[None]
        self._reached += reached.sum(axis=0)
        self._right += reached[np.asarray(right, bool)].sum(axis=0)

    def __add__(self, other):
        """Return the sum of both."""
        both = Tally()
        both.objects = self.objects + other.objects
        both._reached = self._reached + other._reached
        both._right = self._right + other._right
        return both

    def counts(self):
        """Return [len(THRESHOLDS), 3]: right detections, wrong ones and missed objects."""
        wrong, missed = self._reached - self._right, self.objects - self._right
        return np.stack([self._right, wrong, missed], axis=1)

    def f1(self):
        """Return F1 = 2 TP / (TP + FP + objects) at each of THRESHOLDS; None without objects."""
        if not self.objects:
            return None
        return 2 * self._right / (self._reached + self.objects)


class ScoreTallies:
    """Tallies of every class, for precision-recall curves.

    Args:
        categories: {id: name}.
        kinds: "boxes", "masks" or both: what is compared.
        threshold: Least IoU of a right detection.
    """

    def __init__(self, categories, kinds, threshold=0.5):
        self._threshold = threshold
        self._tallies = {kind: {number: Tally() for number in categories} for kind in kinds}
        self._repeated = RepeatedImages()

    def add(self, image_id: object, truth: Instances, detections: Instances) -> None:
        """Add one image; see `CocoEvaluation.add`."""
        if self._repeated.is_repetition(id_text(image_id), truth):
            return
        detections = detections.select(detections.is_finite())
        for kind, tallies in self._tallies.items():
            if kind == "boxes" or truth.masks is not None or not len(truth.boxes):
                self._add(tallies, truth, detections, kind)

    def of_class(self, kind, number):
        """Return the `Tally` of one class, by its id."""
        return self._tallies[kind][number]

    def of_all(self, kind):
        """Return the `Tally` of all classes: each detection and object counts the same."""
        return sum(self._tallies[kind].values(), Tally())

    def _add(self, tallies, truth, detections, kind):
        matching = match(truth, detections, overlaps(truth, detections, kind), self._threshold)
        classes, crowd = np.asarray(truth.classes), truth.flags("crowd")
        for number in {*classes.tolist(), *detections.classes.tolist()} & tallies.keys():
            mine = (detections.classes == number) & ~matching.in_crowd
            objects = ((classes == number) & ~crowd).sum()
            tallies[number].add(objects, detections.scores[mine], matching.truth_of[mine] >= 0)


def _extents(boxes):
    """Return COCO's (x, y, width, height) of (ymin, xmin, ymax, xmax) boxes."""
    ymin, xmin, ymax, xmax = np.asarray(boxes, np.float64).T
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1)
