"""Figures of a scored model for programs: JSON and CSV, each missing value with its reason."""

import csv
import json
import os
from pathlib import Path

from object_detection.metrics.score_table import PREFIX
from object_detection.reports.detection_errors import ERRORS, THRESHOLDS, Tally

AP = "Precision/mAP"


def to_dict(scored) -> dict:
    """Return everything except pictures as plain Python; undefined values are None."""
    coco, metrics = scored.coco, scored.coco.evaluate()
    figures = {
        "images": len(coco.images),
        "objects": sum(not t["iscrowd"] for t in coco.truths),
        "crowds": sum(t["iscrowd"] for t in coco.truths),
        "detections": len(coco.results),
        "min_score": scored.rules.min_score,
        "iou_threshold": scored.rules.iou_threshold,
        "metrics": {},
        "reasons": {},
        "classes": [
            {"id": number, "name": name, "objects": _count(coco, number)}
            for number, name in coco.categories.items()
        ],
        "notes": list(scored.notes),
    }
    for kind in scored.kinds:
        for metric in coco.metrics:
            key = PREFIX[kind] + metric.name
            _put(figures["metrics"], figures["reasons"], key, metrics[key])
            if key in figures["reasons"]:
                figures["reasons"][key] = reason(coco, kind, metric)
        summary = scored.matches[kind]
        for entry in figures["classes"]:
            entry[kind] = _of_class(coco, kind, metrics, entry)
            entry[kind].update(_best_threshold(summary.tallies[entry["id"]]))
            if entry[kind]["best F1"] is None:
                why = entry[kind]["reasons"].get(AP) or "no object to detect"
                entry[kind]["reasons"] |= {"best F1": why, "at score": why}
            elif entry[kind]["at score"] is None:
                entry[kind]["reasons"]["at score"] = "no detection of this class is correct"
        everything = sum(summary.tallies.values(), Tally())
        figures[kind] = {
            "errors": {name: summary.errors[name] for name in ("found", *ERRORS)},
            "all_classes": _best_threshold(everything),
            "confusion_rows_truth_columns_found": {
                "labels": [*coco.categories.values(), "background"],
                "counts": summary.confusion.tolist(),
            },
        }
    return figures


def reason(coco, kind, metric, number=None):
    """Return why a metric has no value, in plain words.

    Args:
        coco: `CocoEvaluation`.
        kind: "boxes" or "masks".
        metric: One of `coco.metrics`.
        number: Id of a class; None for the mean over classes.
    """
    if not coco.images:
        return "no image was evaluated"
    usable = {image["id"] for image in coco.images if kind == "boxes" or image["has_masks"]}
    if not usable:
        return "no image with objects has masks in the ground truth"
    name = "object" if number is None else coco.categories[number]
    here = [t for t in coco.truths if number is None or t["category_id"] == number]
    if not here:
        return f"no {name} in the ground truth"
    with_masks = [t for t in here if t["image_id"] in usable]
    if not with_masks:
        return f"no image with {name} has masks in the ground truth"
    if all(t["iscrowd"] for t in with_masks):
        return f"every {name} in the ground truth is a crowd, which need not be detected"
    area = coco.options.settings.areas[metric.area]
    to = f"from {area.low:g} to {area.high:g}" if area.high < 1e9 else f"of {area.low:g} or more"
    return f"no {name} in the ground truth is {area.name} (area {to} pixels)"


def rows(figures):
    """Yield (kind, class, metric, value, reason) of every number; class '' for the means."""
    for kind in PREFIX:
        start = PREFIX[kind]
        for key, value in figures["metrics"].items():
            if key.startswith(start):
                why = figures["reasons"].get(key, "")
                yield kind, "", key.removeprefix(start), value, why
        for entry in figures["classes"]:
            of_kind = entry.get(kind, {})
            for name, value in of_kind.items():
                if name != "reasons":
                    yield kind, entry["name"], name, value, of_kind["reasons"].get(name, "")


def write_json(path, figures):
    """Write the figures as JSON."""
    _write(path, json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


def write_csv(path, figures):
    """Write `rows` as CSV, one number per line."""
    draft = Path(path).with_name(f".{Path(path).name}.partial")
    with open(draft, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("kind", "class", "metric", "value", "reason"))
        writer.writerows(rows(figures))
    os.replace(draft, path)


def _of_class(coco, kind, metrics, entry):
    """Return {metric: value} of one class, with the reasons of missing values."""
    values, reasons = {}, {}
    for metric in coco.metrics:
        key = f"{PREFIX[kind]}{metric.name} ByCategory/{entry['name']}"
        _put(values, reasons, metric.name, metrics[key])
        if metric.name in reasons:
            reasons[metric.name] = reason(coco, kind, metric, entry["id"])
    return {**values, "reasons": reasons}


def _put(values, reasons, key, value):
    values[key] = value if value >= 0 else None
    if value < 0:
        reasons[key] = ""


def _best_threshold(tally):
    """Return the largest F1 and the highest score threshold that gives it; None if undefined."""
    f1 = tally.f1()
    if f1 is None:
        return {"best F1": None, "at score": None}
    best = len(f1) - 1 - int(f1[::-1].argmax())
    score = float(THRESHOLDS[best]) if f1[best] > 0 else None
    return {"best F1": float(f1[best]), "at score": score}


def _count(coco, number):
    return sum(t["category_id"] == number and not t["iscrowd"] for t in coco.truths)


def _write(path, text):
    draft = Path(path).with_name(f".{Path(path).name}.partial")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
