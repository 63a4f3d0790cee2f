"""azoda's evaluation of an exported model: its tables by image and by class, of masks too.

The average precisions are TFOD's of Pascal VOC at an IoU of 0.5, which azoda took. Its tables keep
their names; those of masks, which it never had, are called after them.
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
    """A row of the table by class; the precision is None where there is nothing to find."""

    category: str
    average_precision: float | None
    number_of_gts: int


class Tables(NamedTuple):
    """What azoda logs of an evaluation."""

    binary: dict  # TP, FP, FN, TN, Precision, Recall, Accuracy; None where undefined
    categories: dict  # kind of KINDS -> list of `CategoryRow`, the last of all classes together
    mean: dict  # kind -> mean average precision over classes with objects, or None


def tables_of(categories, pairs, threshold, kinds=("boxes",)):
    """The `Tables` of looked-at images.

    Args:
        categories: {id: name}.
        pairs: of `model_evaluation.look_at`: (`TruthImage`, `ImageDetections`).
        threshold: EVAL_CONF: an image with a detection of this score or more counts as positive.
            Average precisions go over all scores.
        kinds: what is compared, of KINDS.
    """
    counts = Counter(
        _verdict(bool(len(image.truth.boxes)), bool((found.scores >= threshold).any()))
        for image, found in pairs
    )
    rows, mean = {}, {}
    for kind in kinds:
        rows[kind], mean[kind] = _by_class(categories, pairs, kind)
    return Tables(_binary(counts), rows, mean)


def as_dict(tables):
    """The tables under the names azoda logs them by, as plain Python."""
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
    """Writes azoda_metrics.json and, for each table, a CSV."""
    folder = Path(folder)
    text = json.dumps(as_dict(tables), indent=1, ensure_ascii=False)
    atomic.write_text(folder / "azoda_metrics.json", text + "\n")
    _write_csv(folder / "image_metrics.csv", tables.binary, [tables.binary.values()])
    for kind, rows in tables.categories.items():
        _write_csv(folder / f"{kind}_by_category.csv", CategoryRow._fields, rows)


def as_text(tables, threshold):
    """The tables for people."""
    tally = tables.binary
    lines = [
        f"Images, by whether they hold anything and anything scores {threshold:g} or more:",
        f"{'':22}{'found':>8}{'nothing':>9}",
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


def _verdict(holds_objects, found):
    return ("TN", "FP")[found] if not holds_objects else ("FN", "TP")[found]


def _binary(counts):
    tp, fp, fn, tn = (counts[name] for name in ("TP", "FP", "FN", "TN"))
    return {
        **{"TP": tp, "FP": fp, "FN": fn, "TN": tn},
        "Precision": _share(tp, tp + fp),
        "Recall": _share(tp, tp + fn),
        "Accuracy": _share(tp + tn, tp + fp + fn + tn),
    }


def _share(part, whole):
    return part / whole if whole else None


def _by_class(categories, pairs, kind):
    """The `CategoryRow`s of one kind, and the mean."""
    each, pooled = (PascalEvaluation(categories, name) for name in _VARIANTS[kind])
    for image, found in pairs:
        if kind == "masks" and found.masks is None:
            found = found._replace(masks=[])  # an image in which nothing was found
        for evaluation in (each, pooled):
            evaluation.add(image.id, image.truth, found, image.height, image.width)
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
