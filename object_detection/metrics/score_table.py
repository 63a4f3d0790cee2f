"""Metrics of an evaluation as text, with the reason for every number that is missing."""

import math

PREFIX = {"boxes": "DetectionBoxes_", "masks": "DetectionMasks_"}
_NAMES_SHOWN = 5


def render(evaluation, metrics: dict) -> str:
    """Return the table: totals, twelve numbers of each kind, classes if requested, and remarks."""
    objects = [t for t in evaluation.truths if not t["iscrowd"]]
    crowds = len(evaluation.truths) - len(objects)
    lines = [
        f"{len(evaluation.images)} images, {len(objects)} objects"
        + (f" and {crowds} crowds" if crowds else "")
        + f", {len(evaluation.results)} detections"
    ]
    lines.append(_row("", evaluation.kinds))
    for metric in evaluation.metrics:
        cells = [_number(metrics[PREFIX[kind] + metric.name]) for kind in evaluation.kinds]
        lines.append(_row(metric.label, cells))
    if evaluation.per_category:
        lines += _classes(evaluation, metrics, objects)
    return "\n".join(lines + _reasons(evaluation, objects) + _losses(evaluation))


def render_scores(evaluation, title: str, metrics: dict) -> str:
    """Return the table of an evaluation with one line for each metric, such as Pascal's.

    Args:
        evaluation: An `Evaluation` with `reasons()`.
        title: The first line.
        metrics: {label: value} to show.
    """
    lines = [title] + [_row(label, [_number(value)]) for label, value in metrics.items()]
    return "\n".join(lines + evaluation.reasons() + _losses(evaluation))


def _number(value):
    return "n/a" if value < 0 or math.isnan(value) else f"{value:.4f}"


def _row(label, cells):
    return f"  {label:<28}" + "".join(f"{cell:>9}" for cell in cells)


def _classes(evaluation, metrics, objects):
    """Return one row for each class: its AP of each kind and its number of objects."""
    lines = ["  AP by class".ljust(30) + "".join(f"{k:>9}" for k in evaluation.kinds) + "  objects"]
    for number, name in evaluation.categories.items():
        keys = [f"{PREFIX[k]}PerformanceByCategory/mAP/{name}" for k in evaluation.kinds]
        count = sum(t["category_id"] == number for t in objects)
        lines.append(_row(f"  {name}", [_number(metrics[key]) for key in keys]) + f"{count:>9}")
    for group in evaluation.super_categories:
        keys = [f"{PREFIX[k]}PerformanceBySuperCategory/{group}" for k in evaluation.kinds]
        lines.append(_row(f"  {group} (group)", [_number(metrics[key]) for key in keys]))
    return lines


def _reasons(evaluation, objects):
    """Return why numbers are n/a."""
    if not evaluation.images:
        return ["n/a: no image was evaluated."]
    if not objects and evaluation.unknown_truth:
        return [
            "n/a: no object of the ground truth has a class of the label map. Do records and label "
            "map belong together?"
        ]
    if not objects:
        return ["n/a: the ground truth of these images has no object that is not a crowd."]
    lines = []
    if "masks" in evaluation.kinds and len(evaluation.without_masks) == len(evaluation.images):
        lines.append("n/a: no image has ground-truth masks (load_instance_masks, mask_type?).")
    for size, low, high in evaluation.options.settings.areas[1:]:
        if not any(low <= t["area"] <= high for t in objects):
            wide = f"{low:g} to {high:g} px" if high < 1e9 else f"over {low:g} px"
            lines.append(f"n/a: no object of the ground truth is {size} (area {wide}).")
    if evaluation.per_category:
        present = {t["category_id"] for t in objects}
        absent = [name for i, name in evaluation.categories.items() if i not in present]
        if absent:
            lines.append(f"n/a: no object of class {_list(absent)} in the ground truth.")
    if not evaluation.results:
        lines.append("0: the model found nothing in any image.")
    return lines


def _losses(evaluation):
    """Return what was left out or counted apart, and how often."""
    notes = (
        (
            evaluation.repeated.images,
            "images came again under the same id with the same objects; counted once",
        ),
        (
            evaluation.repeated.ids,
            "images share their id with another image (image/source_id not unique); each counted",
        ),
        (
            evaluation.without_masks,
            "images with objects but without masks are not in the mask metrics",
        ),
    )
    lines = [f"{len(ids)} {text}: {_list(ids)}" for ids, text in notes if ids]
    if evaluation.unverified:
        lines.append(
            f"{evaluation.unverified} detections left out: their image says nothing of their class"
        )
    for counts, what in (
        (evaluation.unknown_truth, "objects of the ground truth"),
        (evaluation.unknown_found, "detections"),
    ):
        if counts:
            ids = _list([str(i) for i in sorted(counts)])
            lines.append(f"{sum(counts.values())} {what} left out: no class {ids} in the label map")
    if evaluation.not_finite:
        lines.append(
            f"{evaluation.not_finite} detections left out: their box or score is not finite"
        )
    return lines


def _list(names):
    shown = ", ".join(dict.fromkeys(names[:_NAMES_SHOWN]))
    return shown + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")
