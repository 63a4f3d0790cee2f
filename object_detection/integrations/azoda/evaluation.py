"""azoda's evaluation of an exported model: tables by image and by class, also for masks.

The average precisions are TFOD's Pascal VOC metrics at an IoU of 0.5, as in azoda. Its tables keep
their names; the tables of masks, which azoda does not have, are named after them.
"""

import csv
import json
import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection import atomic
from object_detection.metrics.pascal_evaluation import PascalEvaluation
from object_detection.structures.masks import Masks

KINDS = {"boxes": "Detection", "masks": "Segmentation"}
_VARIANTS = {  # kind -> metrics by class, and of all classes in one list
    "boxes": ("pascal_voc_detection_metrics", "weighted_pascal_voc_detection_metrics"),
    "masks": (
        "pascal_voc_instance_segmentation_metrics",
        "weighted_pascal_voc_instance_segmentation_metrics",
    ),
}
_CLASS_AVG = "class_avg"  # azoda's name of the row of all classes together


class CategoryRow(NamedTuple):
    """Row of the table by class; the precision is None for a class without objects."""

    category: str
    average_precision: float | None
    number_of_gts: int


class Tables(NamedTuple):
    """Tables that azoda logs of an evaluation."""

    binary: dict  # TP, FP, FN, TN, Precision, Recall, Accuracy; None where undefined
    categories: dict  # kind of KINDS -> list of `CategoryRow`, the last for all classes together
    mean: dict  # kind -> mean average precision over classes with objects, or None


def evaluate_images(categories, images, threshold, kinds=("boxes",)):
    """Evaluate detections as azoda does.

    Args:
        categories: {id: name}.
        images: `EvaluatedImage`s, as `model_evaluation.collect` returns them.
        threshold: EVAL_CONF: an image with a detection of this score or more counts as positive.
            Average precisions use all scores.
        kinds: of KINDS.
    """
    counts = Counter(
        _verdict(bool(len(image.truth.boxes)), bool((image.detections.scores >= threshold).any()))
        for image in images
    )
    rows, mean = {}, {}
    for kind in kinds:
        rows[kind], mean[kind] = _by_class(categories, images, kind)
    return Tables(_binary(counts), rows, mean)


def to_dict(tables):
    """Return the tables under azoda's names, as plain Python."""
    tally = tables.binary
    named = {
        "Binary - Metric Table": tally,
        "Binary - Confusion Matrix": {
            "schema_type": "confusion_matrix",
            "schema_version": "v1",
            "data": {
                "class_labels": ["Defect", "Clean"],
                "matrix": [[tally["TP"], tally["FN"]], [tally["FP"], tally["TN"]]],
            },
        },
    }
    for kind, rows in tables.categories.items():
        named[f"{KINDS[kind]} - Metric Table"] = {
            field: [getattr(row, field) for row in rows] for field in CategoryRow._fields
        }
        named[f"{KINDS[kind]} - mAP"] = tables.mean[kind]
    return named


def write(tables, folder):
    """Write azoda_metrics.json and, for each table, a CSV."""
    folder = Path(folder)
    text = json.dumps(to_dict(tables), indent=1, ensure_ascii=False)
    atomic.write_text(folder / "azoda_metrics.json", text + "\n")
    _write_csv(folder / "image_metrics.csv", tables.binary, [tables.binary.values()])
    for kind, rows in tables.categories.items():
        _write_csv(folder / f"{kind}_by_category.csv", CategoryRow._fields, rows)


def to_text(tables, threshold):
    """Return the tables as text."""
    tally = tables.binary
    lines = [
        f"Images with and without objects, with and without detections of score >= {threshold:g}:",
        f"{'':22}{'detected':>8}{'nothing':>9}",
        f"{'  with objects':22}{tally['TP']:>8}{tally['FN']:>9}",
        f"{'  without objects':22}{tally['FP']:>8}{tally['TN']:>9}",
        "  "
        + ", ".join(f"{key} {_number(tally[key])}" for key in ("Precision", "Recall", "Accuracy")),
    ]
    for kind, rows in tables.categories.items():
        lines += ["", f"{KINDS[kind]} ({kind}), average precision at IoU 0.5, objects:"]
        lines += [
            f"  {row.category:20}{_number(row.average_precision):>8}{row.number_of_gts:>9}"
            for row in rows
        ]
        lines.append(f"  {'mAP':20}{_number(tables.mean[kind]):>8}")
    return "\n".join(lines)


def _verdict(has_objects, is_positive):
    return ("FN", "TP")[is_positive] if has_objects else ("TN", "FP")[is_positive]


def _binary(counts):
    tp, fp, fn, tn = (counts[name] for name in ("TP", "FP", "FN", "TN"))
    return {
        **{"TP": tp, "FP": fp, "FN": fn, "TN": tn},
        "Precision": _ratio(tp, tp + fp),
        "Recall": _ratio(tp, tp + fn),
        "Accuracy": _ratio(tp + tn, tp + fp + fn + tn),
    }


def _ratio(part, whole):
    return part / whole if whole else None


def _by_class(categories, images, kind):
    """Return the `CategoryRow`s of one kind, and the mean."""
    each, pooled = (PascalEvaluation(categories, name) for name in _VARIANTS[kind])
    for image in images:
        detections = image.detections
        if kind == "masks" and detections.masks is None:  # an image without detections
            detections = detections._replace(masks=Masks([], image.height, image.width))
        for evaluation in (each, pooled):
            evaluation.add(image.image_id, image.truth, detections)
    mean, *by_class = map(_finite, each.evaluate().values())
    rows = [
        CategoryRow(name, value, int(each.totals[number]))
        for (number, name), value in zip(each.categories.items(), by_class, strict=True)
    ]
    everything = _finite(next(iter(pooled.evaluate().values())))
    rows.append(CategoryRow(_CLASS_AVG, everything, sum(row.number_of_gts for row in rows)))
    return rows, mean


def _finite(value):
    value = float(np.float64(value))
    return value if math.isfinite(value) else None


def _number(value):
    return "n/a" if value is None else f"{value:.3f}"


def _write_csv(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
