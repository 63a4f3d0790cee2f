"""Pascal VOC's evaluation and its kin: weighted, Open Images', precision at recall.

An average precision for each class at an IoU of 0.5, and their mean. A class without an object to
find has no number: NaN, as TFOD gives it. All numbers equal TFOD's evaluators'.
"""

import unicodedata
from collections import Counter
from typing import NamedTuple

import numpy as np

from object_detection.metrics import average_precision, images, pascal_matching, score_table


class Variant(NamedTuple):
    """What sets the members of the family apart."""

    prefix: str  # of the metric names
    masks: bool = False  # compares masks, not boxes
    pooled: bool = False  # the mean is the AP of all classes' detections in one list
    group_of: bool = False  # goes by group_of and not by difficult (Open Images)
    group_weight: float = 0.0  # what a found group counts
    verified: bool = False  # detections of classes that an image was not verified for do not count
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
    """What a config may set."""

    iou_thresholds: tuple = (0.5,)
    recall_low: float = 0.0
    recall_high: float = 1.0
    # None counts every detection; else as CocoEvaluation's.
    verified_only: bool | None = None


class PascalEvaluation:
    """Collects images and scores them by one Variant.

    Args:
        categories: {id: name}, the label map.
        name: key of VARIANTS.
        **options: fields of Options.
    """

    def __init__(self, categories, name, **options):
        self.name, self.variant, self.options = name, VARIANTS[name], Options(**options)
        self.categories = {int(i): str(text) for i, text in sorted(categories.items())}
        self.kinds = ("masks",) if self.variant.masks else ("boxes",)
        self.num_images = 0
        self.num_found = 0
        self.totals = Counter()  # class id -> how much there is to find
        self._judged = {  # (IoU threshold, class id) -> list of Judged
            (threshold, number): []
            for threshold in self.options.iou_thresholds
            for number in self.categories
        }
        self.register = images.Register()
        self.without_masks = []  # images with objects that have no masks: left out
        self.unknown_truth = Counter()
        self.unknown_found = Counter()
        self.not_finite = 0
        self.unverified = 0

    def add(self, image_id, truth, detections, height, width):
        """Adds one image; see CocoEvaluation.add."""
        image_id, height, width = images.text_of(image_id), int(height), int(width)
        images.check(image_id, truth, detections, height, width)
        if self.register.is_repetition(image_id, truth, height, width):
            return
        if self.variant.masks:
            images.need_masks(image_id, detections, self.name)
            if truth.masks is None and len(truth.boxes):
                self.without_masks.append(image_id)
                return
            truth = truth.encoded()
        self.num_images += 1
        detections = self._countable(detections, truth)
        if self.variant.masks:
            detections = detections.encoded(height, width)
        self._count_truth(truth)
        for number in np.unique(detections.classes).tolist():
            self._judge(int(number), truth, detections)

    def evaluate(self):
        """Scores what was added, as {TFOD's name: float}; NaN where there is nothing to find."""
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

    def curve(self, number, threshold=0.5):
        """(precision, recall) of one class, the best detection first; None without objects."""
        return self._curve([number], threshold)

    def table(self):
        """The metrics as text for people; see CocoEvaluation.table."""
        numbers, shown = self.evaluate(), {}
        for threshold in self.options.iou_thresholds:
            names = self._names(threshold)
            shown[names[0].partition("/")[2]] = numbers[names[0]]
            for number, text in self.categories.items():
                shown[f"  {text}" + f" @{threshold}" * (threshold != 0.5)] = numbers[names[number]]
        title = f"{self.name}: {self.num_images} images, {self.num_found} detections"
        return score_table.render_scores(self, title, shown)

    def reasons(self):
        """Why numbers are n/a."""
        if not self.num_images:
            return ["n/a: no image was evaluated."]
        absent = [text for i, text in self.categories.items() if not self.totals[i]]
        what = "that is to be found" + (" and has a mask" if self.variant.masks else "")
        return [f"n/a: no object of class {', '.join(absent[:5])} {what}."] if absent else []

    def _names(self, threshold):
        """{class id, or 0 for the mean: metric name} at one IoU threshold."""
        start, at = f"{self.variant.prefix}_", f"@{threshold}IOU"
        low, high = self.options.recall_low, self.options.recall_high
        bounds = f"@[{low:.1f},{high:.1f}]Recall" if low > 0 or high < 1 else ""
        names = {0: f"{start}Precision/mAP{at}{bounds}"}
        for number, text in self.categories.items():
            plain = unicodedata.normalize("NFKD", text)
            names[number] = f"{start}PerformanceByCategory/AP{at}/{plain}"
        return names

    def _countable(self, found, truth):
        """Those of ImageDetections that can be scored, in the order given."""
        boxes = np.asarray(found.boxes).reshape(-1, 4)
        kept = found.finite()
        self.not_finite += int(len(kept) - kept.sum())
        known = np.isin(found.classes, list(self.categories))
        for number in np.asarray(found.classes)[kept & ~known].tolist():
            self.unknown_found[int(number)] += 1
        kept &= known & (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
        allowed = np.ones(len(kept), bool)
        if self.variant.verified:
            verified = truth.labels.verified if truth.labels is not None else frozenset()
            allowed = np.isin(found.classes, [*verified, *np.asarray(truth.classes).tolist()])
        elif self.options.verified_only is not None:
            allowed = images.allowed_classes(
                found.classes, truth.labels, empty_means_all=self.options.verified_only
            )
        self.unverified += int((kept & ~allowed).sum())
        kept &= allowed
        self.num_found += int(kept.sum())
        return found if kept.all() else found.select(kept)

    def _count_truth(self, truth):
        """Adds up what there is to find."""
        difficult, group_of = self._flags(truth)
        if self.variant.masks:
            difficult = difficult | ~pascal_matching.has_mask(truth.masks or [])
        for number, hard, group in zip(truth.classes, difficult, group_of, strict=True):
            if int(number) not in self.categories:
                self.unknown_truth[int(number)] += 1
            elif not hard:
                self.totals[int(number)] += self.variant.group_weight if group else 1

    def _flags(self, truth):
        """(difficult, group_of) as this variant reads them."""
        none = np.zeros(len(truth.boxes), bool)
        if self.variant.group_of:
            return none, truth.flags("group_of")
        return truth.flags("difficult"), none

    def _judge(self, number, truth, detections):
        found = detections.select(np.asarray(detections.classes) == number)
        chosen = np.asarray(truth.classes) == number
        difficult, group_of = self._flags(truth)
        masks = None
        if self.variant.masks and chosen.any():
            masks = [truth.masks[k] for k in np.flatnonzero(chosen)]
        objects = pascal_matching.Objects(
            np.asarray(truth.boxes).reshape(-1, 4)[chosen],
            difficult[chosen],
            group_of[chosen],
            masks,
        )
        found = pascal_matching.Found(found.boxes, found.scores, found.masks)
        for threshold in self.options.iou_thresholds:
            self._judged[threshold, number].append(
                pascal_matching.judge(
                    found, objects, threshold=threshold, group_weight=self.variant.group_weight
                )
            )

    def _curve(self, numbers, threshold):
        total = sum(self.totals[i] for i in numbers)
        if not total:
            return None
        # Detections of a class without objects do not count in the pooled list (TFOD).
        judged = [j for i in numbers if self.totals[i] for j in self._judged[threshold, i]]
        scores = np.concatenate([np.zeros(0), *(j.scores for j in judged)])
        labels = np.concatenate([np.zeros(0), *(j.labels for j in judged)])
        return average_precision.precision_recall(scores, labels, total)

    def _score(self, numbers, threshold):
        curve = self._curve(numbers, threshold)
        if curve is None:
            return float("nan")
        inside = average_precision.within(*curve, self.options.recall_low, self.options.recall_high)
        return average_precision.average_precision(*inside)


def _mean(by_class):
    """The mean over the classes that have a number, added up in TFOD's order: one place an id."""
    places = np.full(max(by_class), np.nan)
    for number, value in by_class.items():
        places[number - 1] = value
    return float("nan") if np.isnan(places).all() else float(np.nanmean(places))
