"""COCO's evaluation of boxes and of masks, under the metric names TFOD's users read.

Both go one way: annotations are collected image by image (masks at once as run lengths, so that
memory holds no full-size mask), pycocotools matches them, and the twelve numbers are read off its
precision and recall arrays. A metric is -1 where COCO defines none (no object of that kind in the
ground truth); `table()` prints these as n/a and says why.
"""

import contextlib
import io
from collections import Counter
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from object_detection.metrics import score_table
from object_detection.ops import paste

PREFIX = score_table.PREFIX


class ImageTruth(NamedTuple):
    """The annotated objects of one image, without padding."""

    boxes: np.ndarray  # [g, 4] (ymin, xmin, ymax, xmax) pixels of the stored image
    classes: np.ndarray  # [g] int, ids of the label map
    crowd: np.ndarray | None = None  # [g] bool; None: none is a crowd
    difficult: np.ndarray | None = None  # [g] bool; COCO's metrics make no use of it
    area: np.ndarray | None = None  # [g] COCO area in pixels; where not > 0 the box's area counts
    masks: np.ndarray | None = None  # [g, h, w] uint8, > 0 is object; h, w the stored image's

    def full_mask(self, index, height, width):
        """The mask of object `index` as bool [height, width], or None without masks."""
        del height, width  # stored at the image's size already
        return None if self.masks is None else self.masks[index] > 0


class ImageDetections(NamedTuple):
    """What a model found in one image, without padding."""

    boxes: np.ndarray  # [d, 4] (ymin, xmin, ymax, xmax) pixels of the stored image
    scores: np.ndarray  # [d] 0..1
    classes: np.ndarray  # [d] int, ids of the label map
    masks: np.ndarray | list | None = None  # [d, M, M] probabilities in the box, or d COCO RLEs

    def full_mask(self, index, height, width):
        """The mask of detection `index` as bool [height, width], or None without masks."""
        if self.masks is None:
            return None
        if isinstance(self.masks[index], dict):
            return rle_codec.decode(self.masks[index]).astype(bool)
        return paste.paste_mask(self.masks[index], self.boxes[index], height, width) > 0.5


class Metric(NamedTuple):
    """Where one number stands in pycocotools' arrays."""

    name: str
    array: str  # precision [T, R, K, A, M] or recall [T, K, A, M]
    threshold: int | None  # index of one IoU threshold; None averages .5:.95
    area: int  # 0 all, 1 small, 2 medium, 3 large
    limit: int  # index into detections per image and class: 1, 10, 100


METRICS = (
    Metric("Precision/mAP", "precision", None, 0, 2),
    Metric("Precision/mAP@.50IOU", "precision", 0, 0, 2),
    Metric("Precision/mAP@.75IOU", "precision", 5, 0, 2),
    Metric("Precision/mAP (small)", "precision", None, 1, 2),
    Metric("Precision/mAP (medium)", "precision", None, 2, 2),
    Metric("Precision/mAP (large)", "precision", None, 3, 2),
    Metric("Recall/AR@1", "recall", None, 0, 0),
    Metric("Recall/AR@10", "recall", None, 0, 1),
    Metric("Recall/AR@100", "recall", None, 0, 2),
    Metric("Recall/AR@100 (small)", "recall", None, 1, 2),
    Metric("Recall/AR@100 (medium)", "recall", None, 2, 2),
    Metric("Recall/AR@100 (large)", "recall", None, 3, 2),
)


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
    ):
        if not (boxes or masks):
            raise ValueError("Nothing to evaluate: ask for boxes, masks or both.")
        self.categories = {int(i): str(name) for i, name in sorted(categories.items())}
        self.per_category = per_category or all_per_category
        self.all_per_category = all_per_category
        self.super_categories = _checked_groups(super_categories or {}, self.categories)
        self.kinds = tuple(k for k, wanted in (("boxes", boxes), ("masks", masks)) if wanted)
        self.images = []  # COCO image entries; `id` is the place in this list, `name` the caller's
        self.truths = []  # COCO annotations
        self.found = []  # COCO results
        self.repeated_ids = []  # ids given again for another image, which is scored on its own
        self.repeated_images = []  # ids of the very same image given again, which is left out
        self.without_masks = []  # images with objects that have no masks: not in the mask metrics
        self.unknown_truth = Counter()  # class id -> objects the label map has no name for
        self.unknown_found = Counter()
        self.not_finite = 0  # detections with NaN or infinite numbers, left out
        self._seen = {}  # image id -> fingerprints of its ground truth
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
        image_id = image_id.decode(errors="replace") if isinstance(image_id, bytes) else image_id
        _check_lengths(image_id, truth, detections, int(height), int(width))
        if self._is_repetition(image_id, truth, int(height), int(width)):
            return
        self._metrics = None
        entry = {"id": len(self.images) + 1, "name": str(image_id)}
        entry.update(height=int(height), width=int(width), has_masks=True)
        if truth.masks is None and len(truth.boxes) and "masks" in self.kinds:
            entry["has_masks"] = False
            self.without_masks.append(str(image_id))
        self.images.append(entry)
        self._add_truth(entry, truth)
        self._add_found(entry, detections)

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

    def _is_repetition(self, image_id, truth, height, width):
        """Whether this very image was added before; notes ids that come more than once."""
        mark = (height, width, truth.boxes.tobytes(), np.asarray(truth.classes).tobytes())
        marks = self._seen.setdefault(image_id, set())
        if marks and mark in marks and len(truth.boxes):
            self.repeated_images.append(str(image_id))
            return True
        if marks:
            self.repeated_ids.append(str(image_id))
        marks.add(mark)
        return False

    def _add_truth(self, entry, truth):
        boxes = np.asarray(truth.boxes, np.float64).reshape(-1, 4)
        extents = _extents(boxes)
        masks = None
        if "masks" in self.kinds and entry["has_masks"] and len(boxes):
            masks = _encode_full(truth.masks)
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

    def _add_found(self, entry, found):
        boxes = np.asarray(found.boxes, np.float64).reshape(-1, 4)
        finite = np.isfinite(boxes).all(axis=1) & np.isfinite(found.scores)
        wanted = "masks" in self.kinds and entry["has_masks"]
        if wanted and found.masks is None and len(boxes):
            raise ValueError(
                f"Image {entry['name']!r}: mask metrics are asked for, but the detections have "
                "no masks. Does the model predict masks (number_of_stages: 3, "
                "predict_instance_masks: true)? If not, take coco_mask_metrics out of metrics_set."
            )
        for k, extent in enumerate(_extents(boxes)):
            if not finite[k]:
                self.not_finite += 1
                continue
            result = {
                "id": len(self.found) + 1,
                "image_id": entry["id"],
                "category_id": int(found.classes[k]),
                "bbox": extent,
                "area": extent[2] * extent[3],
                "score": float(found.scores[k]),
            }
            if result["category_id"] not in self.categories:
                self.unknown_found[result["category_id"]] += 1
                continue
            if wanted:
                size = (entry["height"], entry["width"])
                result["segmentation"] = _as_rle(found.masks[k], boxes[k], size)
            self.found.append(result)

    def _scores_of(self, kind):
        """The numbers of one kind, under their full names."""
        precision, recall = self._match(kind)
        arrays = {"precision": precision, "recall": recall}
        prefix = PREFIX[kind]
        scores = {prefix + m.name: _read(arrays, m, slice(None)) for m in METRICS}
        if not self.per_category:
            return scores
        shown = METRICS if self.all_per_category else ()
        by_class = {name: k for k, name in enumerate(self.categories.values())}
        for name, k in by_class.items():
            scores[f"{prefix}PerformanceByCategory/mAP/{name}"] = _read(arrays, METRICS[0], [k])
            for m in shown:
                scores[f"{prefix}{m.name} ByCategory/{name}"] = _read(arrays, m, [k])
        for group, names in self.super_categories.items():
            places = [by_class[name] for name in names]
            # TFOD's mean takes in the -1 of classes without objects; here they are left out.
            first = _read(arrays, METRICS[0], places)
            scores[f"{prefix}PerformanceBySuperCategory/{group}"] = first
            for m in shown:
                scores[f"{prefix}{m.name} BySuperCategory/{group}"] = _read(arrays, m, places)
        return scores

    def _match(self, kind):
        """pycocotools' precision [T, R, K, A, M] and recall [T, K, A, M] of one kind."""
        images = [i for i in self.images if kind == "boxes" or i["has_masks"]]
        kept = {image["id"] for image in images}
        truths = [dict(t) for t in self.truths if t["image_id"] in kept]
        found = [dict(f) for f in self.found if f["image_id"] in kept]
        if kind == "masks":
            for result in found:  # a found mask's area is the mask's, as in COCO's own loader
                result["area"] = float(rle_codec.area(result["segmentation"]))
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports by print
            run = COCOeval(
                _coco(images, self.categories, truths),
                _coco(images, self.categories, found),
                iouType="bbox" if kind == "boxes" else "segm",
            )
            run.evaluate()
            run.accumulate()
        return run.eval["precision"], run.eval["recall"]


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


def _check_lengths(image_id, truth, found, height, width):
    """Raises where arrays that belong together differ in length or size."""
    for label, boxes, fields in (
        ("ground truth", truth.boxes, ("classes", "crowd", "difficult", "area", "masks")),
        ("detections", found.boxes, ("scores", "classes", "masks")),
    ):
        owner = truth if label == "ground truth" else found
        for field in fields:
            values = getattr(owner, field)
            if values is not None and len(values) != len(boxes):
                raise ValueError(
                    f"Image {image_id!r}: the {label} has {len(boxes)} boxes but "
                    f"{len(values)} {field}."
                )
    if truth.masks is not None and len(truth.masks):
        if tuple(truth.masks.shape[1:]) != (height, width):
            raise ValueError(
                f"Image {image_id!r} is {height} x {width} but its ground-truth masks are "
                f"{truth.masks.shape[1]} x {truth.masks.shape[2]}."
            )


def _extents(boxes):
    """COCO's [x, y, width, height] of (ymin, xmin, ymax, xmax) boxes, as lists of floats."""
    ymin, xmin, ymax, xmax = np.moveaxis(boxes, 1, 0)
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1).tolist()


def _encode_full(masks):
    """COCO RLEs of [g, h, w] masks."""
    stacked = np.asfortranarray((masks > 0).astype(np.uint8).transpose(1, 2, 0))
    return rle_codec.encode(stacked)


def _as_rle(mask, box, size):
    """COCO RLE of one found mask; `mask` is one already, or [M, M] probabilities in `box`."""
    return mask if isinstance(mask, dict) else paste.encode_mask(mask, box, *size)


def _coco(images, categories, annotations):
    """pycocotools' container of these annotations."""
    holder = COCO()
    holder.dataset = {
        "images": images,
        "categories": [{"id": i, "name": name} for i, name in categories.items()],
        "annotations": annotations,
    }
    holder.createIndex()
    return holder


def _read(arrays, metric, classes):
    """The mean of a metric over IoU thresholds and `classes`, -1 where nothing is defined."""
    values = arrays[metric.array][..., classes, metric.area, metric.limit]
    if metric.threshold is not None:
        values = values[metric.threshold]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0
