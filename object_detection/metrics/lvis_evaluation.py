"""LVIS's evaluation of masks: COCO's rules for annotations that are not complete.

An image is annotated for some classes only. A detection counts if its class has an object in the
image or is known to be absent from it; where not every object of a class was annotated, what
matches none of them does not count. The numbers equal those of the `lvis` package, under the names
TFOD gives them.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_codec

from object_detection.metrics import score_table
from object_detection.metrics.coco_engine import AreaRange
from object_detection.metrics.evaluation import Evaluation, coco_order, require_masks
from object_detection.structures.instances import ImageLabels, Instances

PREFIX = "DetectionMasks_"
_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
_AREAS = (
    AreaRange("all", 0, 1e10),
    AreaRange("small", 0, 32**2),
    AreaRange("medium", 32**2, 96**2),
    AreaRange("large", 96**2, 1e10),
)
_MAX_DETECTIONS = 300  # the best of an image, whatever their class
_FREQUENCIES = {"r": "rare", "c": "common", "f": "frequent"}


class _Pair(NamedTuple):
    """The objects and detections of one class in one image."""

    areas: np.ndarray  # [g] of the objects
    found_areas: np.ndarray  # [d]
    scores: np.ndarray  # [d], falling
    iou: np.ndarray  # [d, g]
    exhaustive: bool  # whether all objects of the class are annotated


class LvisEvaluation(Evaluation):
    """LVIS's evaluation of the masks of the images added to it.

    Args:
        categories: {id: name}, the label map.
        frequencies: {id: "r", "c" or "f"}: How often a class occurs in the training data.
        per_category: Also the AP of each class, `DetectionMasks_AP ByCategory/<class>`.
    """

    kinds = ("masks",)

    def __init__(
        self, categories: Mapping[int, str], *, frequencies=None, per_category: bool = False
    ):
        super().__init__(categories)
        self.frequencies = dict(frequencies or {})
        self.per_category = per_category
        self.names = []  # of the images
        self.num_found = 0
        self.labelled_images = 0  # images with a list of absent classes
        self._pairs = defaultdict(dict)  # class id -> {index in `names`: _Pair}
        self._metrics = None

    def add(self, image_id: object, truth: Instances, detections: Instances) -> None:
        """Add one image; see CocoEvaluation.add. `truth.labels` says which classes are known."""
        image_id = self._accept(image_id, truth, detections)
        if image_id is None:
            return
        require_masks(image_id, detections, "lvis_mask_metrics")
        if truth.masks is None and len(truth.boxes):
            self.without_masks.append(image_id)
            return
        self._metrics = None
        index = len(self.names)
        self.names.append(image_id)
        labels = truth.labels or ImageLabels()
        self.labelled_images += bool(labels.negative)
        objects = self._objects(truth)
        detections = self._found(detections, labels.negative | objects.keys())
        for number in objects.keys() | detections.keys():
            exhaustive = number not in labels.not_exhaustive
            self._pairs[number][index] = _pair(objects[number], detections[number], exhaustive)

    def evaluate(self) -> dict[str, float]:
        """Score the images, as {TFOD's name: float}; -1 where LVIS defines no number."""
        if self._metrics is None:
            self._metrics = self._scores()
        return dict(self._metrics)

    def table(self) -> str:
        """Return the metrics as text for people; see CocoEvaluation.table."""
        title = f"lvis_mask_metrics: {len(self.names)} images, {self.num_found} detections"
        shown = {name.removeprefix(PREFIX): v for name, v in self.evaluate().items()}
        return score_table.render_scores(self, title, shown)

    def reasons(self) -> list[str]:
        """Return why numbers are n/a."""
        if not self.names:
            return ["n/a: no image was evaluated."]
        lines = []
        missing = [n for f, n in _FREQUENCIES.items() if f not in self.frequencies.values()]
        if missing:
            lines.append(
                f"n/a: no class is {', '.join(missing)} (frequency: RARE, COMMON or FREQUENT in "
                "the label map's items)."
            )
        if not self.labelled_images:
            lines.append(
                "No image says which classes it lacks (image/neg_category_ids): detections count "
                "only in images that have an object of their class."
            )
        return lines

    def _objects(self, truth):
        """Return {class id: [(area, RLE)]}; objects without an area do not exist for LVIS."""
        boxes = np.asarray(truth.boxes, np.float64).reshape(-1, 4)
        objects = defaultdict(list)
        masks = [] if truth.masks is None else truth.masks.to_rle()
        for k, number in enumerate(np.asarray(truth.classes).tolist()):
            if int(number) not in self.categories:
                self.unknown_truth[int(number)] += 1
                continue
            area = 0.0 if truth.area is None else float(truth.area[k])
            sides = boxes[k, 2:] - boxes[k, :2]
            area = area if area > 0 else float(sides[0] * sides[1])
            if area > 0:
                objects[int(number)].append((area, masks[k]))
        return objects

    def _found(self, detections: Instances, counted: set):
        """Return {class id: [(score, area, RLE)]} of the classes that count in this image."""
        detections = self._countable(detections)
        best = np.arange(len(detections.scores))
        if len(best) > _MAX_DETECTIONS:
            scores = np.asarray(detections.scores, np.float64)
            best = np.argsort(-scores, kind="stable")[:_MAX_DETECTIONS]
        kept = defaultdict(list)
        is_counted = np.isin(np.asarray(detections.classes)[best], list(counted))
        self.unverified += int((~is_counted).sum())
        detections = detections.select(best[is_counted])
        masks = [] if detections.masks is None else detections.masks.to_rle()
        for k, number in enumerate(np.asarray(detections.classes).tolist()):
            mask = masks[k]
            area = float(rle_codec.area(mask))
            if area > 0:
                kept[int(number)].append((float(detections.scores[k]), area, mask))
                self.num_found += 1
        return kept

    def _scores(self):
        """Return the thirteen numbers, and those of each class if requested."""
        classes = list(self.categories)
        precision = -np.ones([len(_THRESHOLDS), len(_RECALLS), len(classes), len(_AREAS)])
        recall = -np.ones([len(_THRESHOLDS), len(classes), len(_AREAS)])
        order = coco_order(self.names)
        for k, number in enumerate(classes):
            by_image = self._pairs.get(number, {})
            pairs = [by_image[index] for index in order if index in by_image]
            for a, area in enumerate(_AREAS):
                curves = _accumulate(pairs, area)
                if curves is not None:
                    precision[:, :, k, a], recall[:, k, a] = curves
        numbers = {"AP": _mean(precision[..., 0])}
        numbers |= {"AP50": _mean(precision[0, ..., 0]), "AP75": _mean(precision[5, ..., 0])}
        for a, area in enumerate(_AREAS[1:], start=1):
            numbers[f"AP{area.name[0]}"] = _mean(precision[..., a])
        for letter in _FREQUENCIES:
            rows = [k for k, i in enumerate(classes) if self.frequencies.get(i) == letter]
            numbers[f"AP{letter}"] = _mean(precision[:, :, rows, 0])
        numbers[f"AR@{_MAX_DETECTIONS}"] = _mean(recall[..., 0])
        for a, area in enumerate(_AREAS[1:], start=1):
            numbers[f"AR{area.name[0]}@{_MAX_DETECTIONS}"] = _mean(recall[..., a])
        if self.per_category:
            for k, name in enumerate(self.categories.values()):
                numbers[f"AP ByCategory/{name}"] = _mean(precision[:, :, k, 0])
        return {PREFIX + name: value for name, value in numbers.items()}


def _pair(objects, detections, exhaustive):
    """Return a _Pair of [(area, RLE)] and [(score, area, RLE)]."""
    detections = sorted(
        detections, key=lambda one: -one[0]
    )  # stable: equal scores stay in their order
    iou = np.zeros([len(detections), len(objects)])
    if objects and detections:
        iou = rle_codec.iou([f[2] for f in detections], [o[1] for o in objects], [0] * len(objects))
    return _Pair(
        areas=np.array([o[0] for o in objects]),
        found_areas=np.array([f[1] for f in detections]),
        scores=np.array([f[0] for f in detections]),
        iou=iou,
        exhaustive=exhaustive,
    )


def _match(pair, area):
    """Greedy matching at every threshold.

    Returns:
        (matched, ignored): [T, d] bool, of the detections; and [g] bool: objects out of the range.
    """
    ignored_objects = (pair.areas < area.low) | (pair.areas > area.high)
    count, total = len(_THRESHOLDS), len(pair.areas)
    matched = np.zeros([count, len(pair.scores)], bool)
    ignored = np.zeros_like(matched)
    free = np.ones([count, total], bool)
    rows = np.arange(count)
    least = np.minimum(_THRESHOLDS, 1 - 1e-10)[:, None]
    for d in range(len(pair.scores) if total else 0):
        fits = free & (pair.iou[d] >= least)
        # An object in the range takes precedence over any other; of equal ones the last.
        inside = fits & ~ignored_objects
        fits = np.where(inside.any(axis=1, keepdims=True), inside, fits)
        overlap = np.where(fits, pair.iou[d], -1.0)
        best = total - 1 - overlap[:, ::-1].argmax(axis=1)
        hit = fits[rows, best]
        matched[:, d] = hit
        ignored[:, d] = hit & ignored_objects[best]
        free[rows[hit], best[hit]] = False
    outside = (pair.found_areas < area.low) | (pair.found_areas > area.high)
    ignored |= ~matched & (outside | (not pair.exhaustive))
    return matched, ignored, ignored_objects


def _accumulate(pairs, area):
    """Return (precision [T, R], recall [T]) of one class and range; None without objects."""
    results = [_match(pair, area) for pair in pairs]
    total = sum(int((~objects).sum()) for _, _, objects in results)
    if not total:
        return None
    order = np.argsort(-np.concatenate([pair.scores for pair in pairs]), kind="mergesort")
    matched = np.concatenate([m for m, _, _ in results], axis=1)[:, order]
    counted = ~np.concatenate([i for _, i, _ in results], axis=1)[:, order]
    right = np.cumsum(matched & counted, axis=1).astype(float)
    wrong = np.cumsum(~matched & counted, axis=1).astype(float)
    precision = np.zeros([len(_THRESHOLDS), len(_RECALLS)])
    recall = np.zeros(len(_THRESHOLDS))
    if not len(order):
        return precision, recall
    for t in range(len(_THRESHOLDS)):
        reached = right[t] / total
        falling = right[t] / (wrong[t] + right[t] + np.spacing(1))
        falling = np.maximum.accumulate(falling[::-1])[::-1]
        indices = np.searchsorted(reached, _RECALLS, side="left")
        there = indices < len(falling)
        precision[t, there] = falling[indices[there]]
        recall[t] = reached[-1]
    return precision, recall


def _mean(values):
    defined = values[values > -1]
    return float(np.mean(defined)) if defined.size else -1.0
