"""Pascal VOC's evaluation and its variants: weighted, Open Images, precision at recall.

Computes an average precision for each class at an IoU of 0.5, and their mean. A class without
objects to find has no number: NaN, as in TFOD. All numbers equal those of TFOD's evaluators.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from object_detection.metrics import pascal_matching, score_table
from object_detection.metrics.evaluation import Evaluation, allowed_classes, require_masks
from object_detection.structures.instances import Instances


class Variant(NamedTuple):
    """Differences between the members of the family."""

    prefix: str  # begins the metric names
    masks: bool = False  # compares masks instead of boxes
    pooled: bool = False  # the mean is the AP of the detections of all classes in one list
    group_of: bool = False  # uses group_of instead of difficult (Open Images)
    group_weight: float = 0.0  # how much a found group counts
    verified: bool = False  # only classes that an image was verified for count
    recall_bounds: bool = False  # reads recall_lower_bound and recall_upper_bound


VARIANTS = {
    "pascal_voc_detection_metrics": Variant("PascalBoxes"),
    "weighted_pascal_voc_detection_metrics": Variant("WeightedPascalBoxes", pooled=True),
    "pascal_voc_instance_segmentation_metrics": Variant("PascalMasks", masks=True),
    "weighted_pascal_voc_instance_segmentation_metrics": Variant(
        "WeightedPascalMasks", masks=True, pooled=True
    ),
    "precision_at_recall_detection_metrics": Variant("PrecisionAtRecallBoxes", recall_bounds=True),
    "oid_V2_detection_metrics": Variant("OpenImagesV2", group_of=True),
    "oid_challenge_detection_metrics": Variant(
        "OpenImagesDetectionChallenge", group_of=True, group_weight=1.0, verified=True
    ),
    "oid_challenge_segmentation_metrics": Variant(
        "OpenImagesInstanceSegmentationChallenge", masks=True, group_of=True, verified=True
    ),
}


class Options(NamedTuple):
    """Options that a config may set."""

    iou_thresholds: tuple = (0.5,)
    recall_low: float = 0.0
    recall_high: float = 1.0
    # None counts every detection; otherwise as in CocoEvaluation.
    verified_only: bool | None = None


class PascalEvaluation(Evaluation):
    """Evaluation of the images added to it by one `Variant`.

    Args:
        categories: {id: name}, the label map.
        name: Key of `VARIANTS`.
        **options: Fields of `Options`.
    """

    def __init__(self, categories: Mapping[int, str], name: str, **options):
        super().__init__(categories)
        self.name, self.variant, self.options = name, VARIANTS[name], Options(**options)
        self.kinds = ("masks",) if self.variant.masks else ("boxes",)
        self.num_images = 0
        self.num_found = 0
        self.totals = Counter()  # class id -> weight of all objects to find
        self._matches = {  # (IoU threshold, class id) -> list of MatchResult
            (threshold, number): []
            for threshold in self.options.iou_thresholds
            for number in self.categories
        }

    def add(self, image_id: object, truth: Instances, detections: Instances) -> None:
        """Add one image; see CocoEvaluation.add."""
        image_id = self._accept(image_id, truth, detections)
        if image_id is None:
            return
        if self.variant.masks:
            require_masks(image_id, detections, self.name)
            if truth.masks is None and len(truth.boxes):
                self.without_masks.append(image_id)
                return
            truth = truth.encoded()
        self.num_images += 1
        detections = self._scorable(detections, truth)
        if self.variant.masks:
            detections = detections.encoded()
        self._count_truth(truth)
        for number in np.unique(detections.classes).tolist():
            self._match(int(number), truth, detections)

    def evaluate(self) -> dict[str, float]:
        """Score the images, as {TFOD's name: float}; NaN where there is nothing to find."""
        numbers = {}
        for threshold in self.options.iou_thresholds:
            names = self._names(threshold)
            by_class = {i: self._score([i], threshold) for i in self.categories}
            if self.variant.pooled:
                numbers[names[0]] = self._score(list(self.categories), threshold)
            else:
                numbers[names[0]] = _mean(by_class)
            numbers |= {names[i]: value for i, value in by_class.items()}
        return numbers

    def curve(self, number: int, threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray] | None:
        """Return (precision, recall) of one class, best detection first; None without objects."""
        return self._curve([number], threshold)

    def table(self) -> str:
        """Return the metrics as text for people; see CocoEvaluation.table."""
        numbers, shown = self.evaluate(), {}
        for threshold in self.options.iou_thresholds:
            names = self._names(threshold)
            shown[names[0].partition("/")[2]] = numbers[names[0]]
            for number, text in self.categories.items():
                shown[f"  {text}" + f" @{threshold}" * (threshold != 0.5)] = numbers[names[number]]
        title = f"{self.name}: {self.num_images} images, {self.num_found} detections"
        return score_table.render_scores(self, title, shown)

    def reasons(self) -> list[str]:
        """Return why numbers are n/a."""
        if not self.num_images:
            return ["n/a: no image was evaluated."]
        absent = [text for i, text in self.categories.items() if not self.totals[i]]
        what = "that is to be found" + (" and has a mask" if self.variant.masks else "")
        return [f"n/a: no object of class {', '.join(absent[:5])} {what}."] if absent else []

    def _names(self, threshold):
        """Return {class id, or 0 for the mean: metric name} at one IoU threshold."""
        start, at = f"{self.variant.prefix}_", f"@{threshold}IOU"
        low, high = self.options.recall_low, self.options.recall_high
        bounds = f"@[{low:.1f},{high:.1f}]Recall" if low > 0 or high < 1 else ""
        names = {0: f"{start}Precision/mAP{at}{bounds}"}
        for number, text in self.categories.items():
            plain = unicodedata.normalize("NFKD", text)
            names[number] = f"{start}PerformanceByCategory/AP{at}/{plain}"
        return names

    def _scorable(self, detections: Instances, truth: Instances) -> Instances:
        """Return the detections that can be scored, in the order given."""
        boxes = np.asarray(detections.boxes).reshape(-1, 4)
        allowed = None
        if self.variant.verified:
            verified = truth.labels.verified if truth.labels is not None else frozenset()
            allowed = np.isin(detections.classes, [*verified, *np.asarray(truth.classes).tolist()])
        elif self.options.verified_only is not None:
            allowed = allowed_classes(
                detections.classes, truth.labels, empty_means_all=self.options.verified_only
            )
        has_area = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
        detections = self._countable(detections, valid=has_area, allowed=allowed)
        self.num_found += len(detections.boxes)
        return detections

    def _count_truth(self, truth):
        """Add up the objects to find."""
        difficult, group_of = self._flags(truth)
        if self.variant.masks:
            rles = [] if truth.masks is None else truth.masks.to_rle()
            difficult = difficult | ~pascal_matching.has_mask(rles)
        for number, hard, group in zip(truth.classes, difficult, group_of, strict=True):
            if int(number) not in self.categories:
                self.unknown_truth[int(number)] += 1
            elif not hard:
                self.totals[int(number)] += self.variant.group_weight if group else 1

    def _flags(self, truth):
        """Return (difficult, group_of) as this variant reads them."""
        none = np.zeros(len(truth.boxes), bool)
        if self.variant.group_of:
            return none, truth.flags("group_of")
        return truth.flags("difficult"), none

    def _match(self, number: int, truth: Instances, detections: Instances):
        detections = detections.select(np.asarray(detections.classes) == number)
        objects = truth.select(np.asarray(truth.classes) == number)
        difficult, group_of = self._flags(objects)
        if not self.variant.masks:
            objects, detections = objects._replace(masks=None), detections._replace(masks=None)
        for threshold in self.options.iou_thresholds:
            self._matches[threshold, number].append(
                pascal_matching.match(
                    detections,
                    objects._replace(difficult=difficult, group_of=group_of),
                    threshold=threshold,
                    group_weight=self.variant.group_weight,
                )
            )

    def _curve(self, numbers, threshold):
        total = sum(self.totals[i] for i in numbers)
        if not total:
            return None
        # Detections of a class without objects do not count in the pooled list (TFOD).
        matches = [m for i in numbers if self.totals[i] for m in self._matches[threshold, i]]
        scores = np.concatenate([np.zeros(0), *(m.scores for m in matches)])
        labels = np.concatenate([np.zeros(0), *(m.labels for m in matches)])
        return pascal_matching.precision_recall(scores, labels, total)

    def _score(self, numbers, threshold):
        curve = self._curve(numbers, threshold)
        if curve is None:
            return float("nan")
        inside = pascal_matching.within(*curve, self.options.recall_low, self.options.recall_high)
        return pascal_matching.average_precision(*inside)


def _mean(by_class):
    """Return the mean over classes that have a number, added in TFOD's order: by id."""
    scores = np.full(max(by_class), np.nan)
    for number, value in by_class.items():
        scores[number - 1] = value
    return float("nan") if np.isnan(scores).all() else float(np.nanmean(scores))
