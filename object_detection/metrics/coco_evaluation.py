"""COCO's evaluation of boxes and of masks, under the metric names TFOD's users read.

Both go one way: annotations are collected image by image (masks at once as run lengths, so that
memory holds no full-size mask), `coco_engine` matches them, and the numbers are read off its
precision and recall arrays. A metric is -1 where COCO defines none (no object of that kind in the
ground truth); `table()` prints these as n/a and says why.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from object_detection.metrics import coco_engine, images, overlaps, score_table
from object_detection.metrics.coco_engine import Settings
from object_detection.metrics.images import ImageDetections, ImageTruth

__all__ = ["CocoEvaluation", "ImageDetections", "ImageTruth", "Metric", "metrics_of"]

PREFIX = score_table.PREFIX


class Metric(NamedTuple):
    """Where one number stands in the arrays, as indices into `Settings`."""

    name: str
    label: str  # for people
    array: str  # precision [T, R, K, A, M] or recall [T, K, A, M]
    threshold: int | None  # None averages over all IoU thresholds
    area: int
    limit: int


def metrics_of(settings):
    """The numbers that are read off; COCO's twelve with the default settings."""
    last, most = len(settings.limits) - 1, settings.limits[-1]
    found = [Metric("Precision/mAP", "AP  " + _span(settings), "precision", None, 0, last)]
    for place, threshold in enumerate(settings.iou_thresholds):
        if settings.iou_thresholds != Settings().iou_thresholds or place in (0, 5):
            text = _hundredths(threshold)
            found.append(
                Metric(f"Precision/mAP@{text}IOU", f"AP  @{text}", "precision", place, 0, last)
            )
    for place, area in enumerate(settings.areas[1:], start=1):
        name = f"Precision/mAP ({area.name})"
        found.append(Metric(name, f"AP  {area.name}", "precision", None, place, last))
    for place, limit in enumerate(settings.limits):
        name = f"Recall/AR@{limit}"
        found.append(Metric(name, f"AR  {limit} an image", "recall", None, 0, place))
    for place, area in enumerate(settings.areas[1:], start=1):
        name = f"Recall/AR@{most} ({area.name})"
        found.append(Metric(name, f"AR  {area.name}", "recall", None, place, last))
    return tuple(found)


class CocoEvaluation:
    """Collects images and scores them by COCO's rules.

    At most 100 detections of an image and class count, the best ones (COCO's maxDets). A crowd
    can be found any number of times and need not be found. The COCO area of an object, which says
    whether it is small, medium or large, is its record's area where that is > 0, else the area of
    its box, for masks too: TFOD does so, and its numbers are compared with.

    Args:
        categories: {id: name}, the label map.
        boxes, masks: what to score.
        per_category: also the AP of each class, `..PerformanceByCategory/mAP/<class>`.
        all_per_category: also all twelve of each class, `..<metric> ByCategory/<class>`.
        super_categories: {name: class names}; the mean AP of each such group of classes.
        settings: other IoU thresholds, area ranges and limits than COCO's.
        verified_only: None counts every detection; else those alone whose class the image was
            verified for, and the value says whether images verified for none count for all.
        engine: of `coco_engine`; None takes the fastest that is installed.
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
        self.categories = {int(i): str(name) for i, name in sorted(categories.items())}
        self.per_category = per_category or all_per_category
        self.all_per_category = all_per_category
        self.super_categories = _checked_groups(super_categories or {}, self.categories)
        self.options = Options(**options)
        self.metrics = metrics_of(self.options.settings)
        self.kinds = tuple(k for k, wanted in (("boxes", boxes), ("masks", masks)) if wanted)
        self.images = []  # COCO image entries; `id` is the place in this list, `name` the caller's
        self.truths = []  # COCO annotations
        self.found = []  # COCO results
        self.register = images.Register()
        self.without_masks = []  # images with objects that have no masks: not in the mask metrics
        self.unknown_truth = Counter()  # class id -> objects the label map has no name for
        self.unknown_found = Counter()
        self.not_finite = 0  # detections with NaN or infinite numbers, left out
        self.unverified = 0  # detections of classes their image was not verified for, left out
        self._arrays = {}
        self._metrics = None

    def add(self, image_id, truth, detections, height, width):
        """Adds one image.

        Args:
            image_id: unique in the data set. Given again with the same objects, the image is left
                out; with others it counts as another image. Both are counted and named in the
                table (TFOD drops whatever comes second).
            truth: ImageTruth.
            detections: ImageDetections.
            height, width: of the stored image, in pixels.

        Raises:
            ValueError: arrays of differing lengths, or masks of another size than the image.
        """
        image_id, height, width = images.text_of(image_id), int(height), int(width)
        images.check(image_id, truth, detections, height, width)
        if self.register.is_repetition(image_id, truth, height, width):
            return
        self._metrics, self._arrays = None, {}
        entry = {"id": len(self.images) + 1, "name": image_id}
        entry.update(height=height, width=width, has_masks=True)
        if truth.masks is None and len(truth.boxes) and "masks" in self.kinds:
            entry["has_masks"] = False
            self.without_masks.append(image_id)
        self.images.append(entry)
        self._add_truth(entry, truth)
        self._add_found(entry, detections, truth.labels)

    def evaluate(self):
        """Scores what was added, as {contract name: float}; -1 where COCO defines no number."""
        if self._metrics is None:
            self._metrics = {}
            for kind in self.kinds:
                self._metrics.update(self._scores_of(kind))
        return dict(self._metrics)

    def table(self):
        """The metrics as text for people, with the reason of each n/a and of what was left out."""
        return score_table.render(self, self.evaluate())

    def arrays(self, kind):
        """`coco_engine.Arrays` of "boxes" or "masks", classes in the order of `categories`."""
        if kind not in self._arrays:
            self._arrays[kind] = self._match(kind)
        return self._arrays[kind]

    def _add_truth(self, entry, truth):
        boxes = np.asarray(truth.boxes, np.float64).reshape(-1, 4)
        extents = _extents(boxes)
        masks = None
        if "masks" in self.kinds and entry["has_masks"] and len(boxes):
            masks = truth.encoded().masks
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

    def _add_found(self, entry, found, labels):
        wanted = "masks" in self.kinds and entry["has_masks"]
        if wanted:
            images.need_masks(entry["name"], found, "coco_mask_metrics")
        found = self._countable(found, labels)
        boxes = np.asarray(found.boxes, np.float64).reshape(-1, 4)
        if wanted:
            found = found._replace(boxes=boxes).encoded(entry["height"], entry["width"])
        for k, extent in enumerate(_extents(boxes)):
            result = {
                "id": len(self.found) + 1,
                "image_id": entry["id"],
                "category_id": int(found.classes[k]),
                "bbox": extent,
                "area": extent[2] * extent[3],
                "score": float(found.scores[k]),
            }
            if wanted:
                result["segmentation"] = found.masks[k]
            self.found.append(result)

    def _countable(self, found, labels):
        """Those of ImageDetections that can be scored; the others are counted apart."""
        kept = found.finite()
        self.not_finite += int(len(kept) - kept.sum())
        known = np.isin(found.classes, list(self.categories))
        for number in np.asarray(found.classes)[kept & ~known].tolist():
            self.unknown_found[int(number)] += 1
        kept &= known
        if self.options.verified_only is not None:
            allowed = images.allowed_classes(
                found.classes, labels, empty_means_all=self.options.verified_only
            )
            self.unverified += int((kept & ~allowed).sum())
            kept &= allowed
        return found if kept.all() else found.select(kept)

    def _scores_of(self, kind):
        """The numbers of one kind, under their full names."""
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
            places = [by_class[name] for name in names]
            # TFOD's mean takes in the -1 of classes without objects; here they are left out.
            score = _read(arrays, first, places)
            scores[f"{prefix}PerformanceBySuperCategory/{group}"] = score
            for m in shown:
                scores[f"{prefix}{m.name} BySuperCategory/{group}"] = _read(arrays, m, places)
        return scores

    def _match(self, kind):
        order = images.order_of([image["name"] for image in self.images])
        kept = [self.images[place] for place in order]
        kept = [image for image in kept if kind == "boxes" or image["has_masks"]]
        rank = {image["id"]: place for place, image in enumerate(kept, start=1)}
        entries = [{**image, "id": rank[image["id"]]} for image in kept]
        # Copies: pycocotools writes into them.
        truths, found = (
            [{**e, "image_id": rank[e["image_id"]]} for e in entries_of if e["image_id"] in rank]
            for entries_of in (self.truths, self.found)
        )
        if kind == "masks":
            # A found mask's area is the mask's, as in COCO's own loader.
            areas = overlaps.mask_areas([result["segmentation"] for result in found])
            for result, area in zip(found, areas.tolist(), strict=True):
                result["area"] = area
        else:
            for entry in [*truths, *found]:
                entry.pop("segmentation", None)
        return coco_engine.match(
            kind,
            entries,
            self.categories,
            truths,
            found,
            settings=self.options.settings,
            engine=self.options.engine,
        )


class Options(NamedTuple):
    """What is rarely asked for; see CocoEvaluation."""

    settings: Settings = Settings()
    verified_only: bool | None = None
    engine: str | None = None


def _checked_groups(groups, categories):
    """super_categories with each class name known, or an error that names the first that isn't."""
    known = set(categories.values())
    for group, names in groups.items():
        strange = [name for name in names if name not in known]
        if strange or not names:
            raise ValueError(
                f"super_categories[{group!r}] names {', '.join(strange) or 'no class'}; the label "
                f"map has: {', '.join(sorted(known))}."
            )
    return groups


def _extents(boxes):
    """COCO's [x, y, width, height] of (ymin, xmin, ymax, xmax) boxes, as lists of floats."""
    ymin, xmin, ymax, xmax = np.moveaxis(boxes, 1, 0)
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1).tolist()


def _read(arrays, metric, classes):
    """The mean of a metric over IoU thresholds and `classes`, -1 where nothing is defined."""
    values = getattr(arrays, metric.array)[..., classes, metric.area, metric.limit]
    if metric.threshold is not None:
        values = values[metric.threshold]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


def _hundredths(number):
    """0.5 as .50, 0.925 as .925."""
    whole, _, digits = f"{number:.6f}".rstrip("0").partition(".")
    return f"{whole if whole != '0' else ''}.{digits.ljust(2, '0')}"


def _span(settings):
    """What an AP averages over, as COCO writes it."""
    low, high = _hundredths(settings.iou_thresholds[0]), _hundredths(settings.iou_thresholds[-1])
    return f"@[{low}:{high}]" if low != high else f"@{low}"
