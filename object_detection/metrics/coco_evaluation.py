"""COCO's evaluation of boxes and of masks, under the metric names that TFOD's users read.

Annotations are collected image by image (masks as run lengths, so that memory holds no full-size
mask), `coco_engine` matches them, and the numbers are read off its precision and recall arrays. A
metric is -1 where COCO defines no number (no object of that kind in the ground truth); `table()`
prints these as n/a and gives the reason.
"""

from typing import NamedTuple

import numpy as np

from object_detection.metrics import coco_engine, overlaps, score_table
from object_detection.metrics.coco_engine import Settings
from object_detection.metrics.evaluation import (
    Evaluation,
    allowed_classes,
    coco_order,
    require_masks,
)
from object_detection.structures.instances import ImageLabels, Instances

PREFIX = score_table.PREFIX


class Metric(NamedTuple):
    """Position of one number in the arrays, as indices into `Settings`."""

    name: str
    label: str  # for people
    array: str  # precision [T, R, K, A, M] or recall [T, K, A, M]
    threshold: int | None  # None averages over all IoU thresholds
    area: int
    limit: int


def metrics_of(settings: Settings) -> tuple[Metric, ...]:
    """Return the numbers that are read off; COCO's twelve with the default settings."""
    last, most = len(settings.limits) - 1, settings.limits[-1]
    metrics = [Metric("Precision/mAP", "AP  " + _span(settings), "precision", None, 0, last)]
    for index, threshold in enumerate(settings.iou_thresholds):
        if settings.iou_thresholds != Settings().iou_thresholds or index in (0, 5):
            text = _hundredths(threshold)
            metrics.append(
                Metric(f"Precision/mAP@{text}IOU", f"AP  @{text}", "precision", index, 0, last)
            )
    for index, area in enumerate(settings.areas[1:], start=1):
        name = f"Precision/mAP ({area.name})"
        metrics.append(Metric(name, f"AP  {area.name}", "precision", None, index, last))
    for index, limit in enumerate(settings.limits):
        name = f"Recall/AR@{limit}"
        metrics.append(Metric(name, f"AR  {limit} an image", "recall", None, 0, index))
    for index, area in enumerate(settings.areas[1:], start=1):
        name = f"Recall/AR@{most} ({area.name})"
        metrics.append(Metric(name, f"AR  {area.name}", "recall", None, index, last))
    return tuple(metrics)


class CocoEvaluation(Evaluation):
    """COCO's evaluation of the images added to it.

    At most the 100 best detections of an image and class count (COCO's maxDets). A crowd can be
    found any number of times and need not be found. The COCO area of an object, which decides
    whether it is small, medium or large, is its record's area where that is > 0, else the area of
    its box, for masks too. TFOD does so, and its numbers are the reference.

    Args:
        categories: {id: name}, the label map.
        boxes, masks: What to score.
        per_category: Also the AP of each class, `..PerformanceByCategory/mAP/<class>`.
        all_per_category: Also all twelve of each class, `..<metric> ByCategory/<class>`.
        super_categories: {name: class names}; the mean AP of each such group of classes.
        settings: Other IoU thresholds, area ranges and limits than COCO's.
        verified_only: None counts every detection. Otherwise only those count whose class the image
            was verified for; the value says whether an image verified for no class counts for all.
        engine: Name in `coco_engine.ENGINES`; None takes the fastest that is installed.
    """

    def __init__(
        self,
        categories,
        *,
        boxes=True,
        masks=False,
        per_category=False,
        all_per_category=False,
        super_categories=None,
        **options,
    ):
        if not (boxes or masks):
            raise ValueError("Nothing to evaluate: ask for boxes, masks or both.")
        super().__init__(categories)
        self.per_category = per_category or all_per_category
        self.all_per_category = all_per_category
        self.super_categories = _checked_groups(super_categories or {}, self.categories)
        self.options = Options(**options)
        self.metrics = metrics_of(self.options.settings)
        self.kinds = tuple(k for k, scored in (("boxes", boxes), ("masks", masks)) if scored)
        self.images = []  # COCO image entries; `id` is the position here, `name` the caller's id
        self.truths = []  # COCO annotations
        self.results = []  # COCO results
        self._arrays = {}
        self._metrics = None

    def add(self, image_id: object, truth: Instances, detections: Instances) -> None:
        """Add one image.

        Args:
            image_id: Unique in the data set. Given again with the same objects, the image is left
                out; with others it counts as another image. Both are counted and named in the
                table (TFOD drops whatever comes second).
            truth: Annotated objects, in pixels of the stored image.
            detections: Detected objects of the same image.

        Raises:
            ValueError: Arrays of different lengths, or masks of another size than the image.
        """
        image_id = self._accept(image_id, truth, detections)
        if image_id is None:
            return
        self._metrics, self._arrays = None, {}
        entry = {"id": len(self.images) + 1, "name": image_id}
        entry.update(height=int(truth.height), width=int(truth.width), has_masks=True)
        if truth.masks is None and len(truth.boxes) and "masks" in self.kinds:
            entry["has_masks"] = False
            self.without_masks.append(image_id)
        self.images.append(entry)
        self._add_truth(entry, truth)
        self._add_detections(entry, detections, truth.labels)

    def evaluate(self) -> dict[str, float]:
        """Score the images, as {TFOD's name: float}; -1 where COCO defines no number."""
        if self._metrics is None:
            self._metrics = {}
            for kind in self.kinds:
                self._metrics.update(self._scores_of(kind))
        return dict(self._metrics)

    def table(self) -> str:
        """Return the metrics as text, with the reason of each n/a and what was left out."""
        return score_table.render(self, self.evaluate())

    def arrays(self, kind: str) -> coco_engine.Arrays:
        """Return COCO's arrays of "boxes" or "masks", classes in the order of `categories`."""
        if kind not in self._arrays:
            self._arrays[kind] = self._match(kind)
        return self._arrays[kind]

    def _add_truth(self, entry, truth):
        boxes = np.asarray(truth.boxes, np.float64).reshape(-1, 4)
        extents = _extents(boxes)
        masks = None
        if "masks" in self.kinds and entry["has_masks"] and len(boxes):
            masks = truth.masks.to_rle()
        for k, extent in enumerate(extents):
            area = 0.0 if truth.area is None else float(truth.area[k])
            annotation = {
                "id": len(self.truths) + 1,  # from 1: pycocotools reads 0 as "no match"
                "image_id": entry["id"],
                "category_id": int(truth.classes[k]),
                "bbox": extent,
                "area": area if area > 0 else extent[2] * extent[3],
                "iscrowd": 0 if truth.crowd is None else int(truth.crowd[k]),
            }
            if masks is not None:
                annotation["segmentation"] = masks[k]
            if annotation["category_id"] in self.categories:
                self.truths.append(annotation)
            else:
                self.unknown_truth[annotation["category_id"]] += 1

    def _add_detections(self, entry, detections: Instances, labels: ImageLabels | None):
        scores_masks = "masks" in self.kinds and entry["has_masks"]
        if scores_masks:
            require_masks(entry["name"], detections, "coco_mask_metrics")
        allowed = None
        if self.options.verified_only is not None:
            allowed = allowed_classes(
                detections.classes, labels, empty_means_all=self.options.verified_only
            )
        detections = self._countable(detections, allowed=allowed)
        boxes = np.asarray(detections.boxes, np.float64).reshape(-1, 4)
        masks = detections.masks.to_rle() if scores_masks and len(boxes) else None
        for k, extent in enumerate(_extents(boxes)):
            result = {
                "id": len(self.results) + 1,
                "image_id": entry["id"],
                "category_id": int(detections.classes[k]),
                "bbox": extent,
                "area": extent[2] * extent[3],
                "score": float(detections.scores[k]),
            }
            if masks is not None:
                result["segmentation"] = masks[k]
            self.results.append(result)

    def _scores_of(self, kind):
        """Return the numbers of one kind, under their full names."""
        arrays = self.arrays(kind)
        prefix, first = PREFIX[kind], self.metrics[0]
        scores = {prefix + m.name: _read(arrays, m, slice(None)) for m in self.metrics}
        if not self.per_category:
            return scores
        shown = self.metrics if self.all_per_category else ()
        by_class = {name: k for k, name in enumerate(self.categories.values())}
        for name, k in by_class.items():
            scores[f"{prefix}PerformanceByCategory/mAP/{name}"] = _read(arrays, first, [k])
            for m in shown:
                scores[f"{prefix}{m.name} ByCategory/{name}"] = _read(arrays, m, [k])
        for group, names in self.super_categories.items():
            indices = [by_class[name] for name in names]
            # TFOD's mean includes the -1 of classes without objects; here they are left out.
            score = _read(arrays, first, indices)
            scores[f"{prefix}PerformanceBySuperCategory/{group}"] = score
            for m in shown:
                scores[f"{prefix}{m.name} BySuperCategory/{group}"] = _read(arrays, m, indices)
        return scores

    def _match(self, kind):
        order = coco_order([image["name"] for image in self.images])
        kept = [self.images[index] for index in order]
        kept = [image for image in kept if kind == "boxes" or image["has_masks"]]
        rank = {image["id"]: index for index, image in enumerate(kept, start=1)}
        entries = [{**image, "id": rank[image["id"]]} for image in kept]
        # Copies: pycocotools writes into them.
        truths, results = (
            [{**e, "image_id": rank[e["image_id"]]} for e in entries_of if e["image_id"] in rank]
            for entries_of in (self.truths, self.results)
        )
        if kind == "masks":
            # The area of a detected mask is the mask's own, as in COCO's loader.
            areas = overlaps.mask_areas([result["segmentation"] for result in results])
            for result, area in zip(results, areas.tolist(), strict=True):
                result["area"] = area
        else:
            for entry in [*truths, *results]:
                entry.pop("segmentation", None)
        return coco_engine.match(
            kind,
            entries,
            self.categories,
            truths,
            results,
            settings=self.options.settings,
            engine=self.options.engine,
        )


class Options(NamedTuple):
    """Rarely used options; see CocoEvaluation."""

    settings: Settings = Settings()
    verified_only: bool | None = None
    engine: str | None = None


def _checked_groups(groups, categories):
    """Return super_categories; raise ValueError for a class name that the label map lacks."""
    known = set(categories.values())
    for group, names in groups.items():
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise ValueError(
                f"super_categories[{group!r}] names {', '.join(unknown) or 'no class'}; the label "
                f"map has: {', '.join(sorted(known))}."
            )
    return groups


def _extents(boxes):
    """Return COCO's [x, y, width, height] of (ymin, xmin, ymax, xmax) boxes, as lists."""
    ymin, xmin, ymax, xmax = np.moveaxis(boxes, 1, 0)
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1).tolist()


def _read(arrays, metric, classes):
    """Return the mean of a metric over IoU thresholds and `classes`, -1 where undefined."""
    values = getattr(arrays, metric.array)[..., classes, metric.area, metric.limit]
    if metric.threshold is not None:
        values = values[metric.threshold]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


def _hundredths(number):
    """Return 0.5 as .50, 0.925 as .925."""
    whole, _, digits = f"{number:.6f}".rstrip("0").partition(".")
    return f"{whole if whole != '0' else ''}.{digits.ljust(2, '0')}"


def _span(settings):
    """Return the range an AP averages over, as COCO writes it."""
    low, high = _hundredths(settings.iou_thresholds[0]), _hundredths(settings.iou_thresholds[-1])
    return f"@[{low}:{high}]" if low != high else f"@{low}"
