"""HTML page of a scored model: numbers, curves, confusion matrix and its worst images.

The page's parts lie next to this file: `evaluation_page.html`, `.css` and `.js`.
"""

import html

import numpy as np

from object_detection.metrics.score_table import PREFIX
from object_detection.reports import charts, model_evaluation, page, pictures
from object_detection.reports.charts import Line
from object_detection.reports.detection_errors import ERRORS, FOUND, THRESHOLDS, Tally

_TITLES = {"boxes": "Boxes", "masks": "Masks"}
_CONFUSED = 40  # classes in the matrix at most; the JSON file has all
_ABOUT_ERRORS = (
    "missed: an object without a detection. wrong class: detected as another class. double: "
    "detected again. poor mask: the box fits, but the mask does not. false: no object of that "
    "class is there."
)


def write(path, scored, figures, origin, *, worst_images=40, side=640):
    """Write the page, completely or not at all.

    Args:
        path: The HTML file.
        scored: `model_evaluation.Scored`.
        figures: `evaluation_figures.to_dict` of it.
        origin: Lines on what was evaluated.
        worst_images: Number of images drawn for each kind.
        side: Largest number of pixels of a picture's longer side.

    Returns:
        The names of images that cannot be drawn because their files are missing.
    """
    rules, kinds = scored.rules, scored.kinds[::-1]  # masks first, if any
    names = scored.coco.categories
    cards = [
        _card(matched, kind, names, side)
        for kind in kinds
        for matched in model_evaluation.worst(scored.matches[kind], worst_images)
    ]
    counted = "{images} images, {objects} objects, {crowds} crowds, {detections} detections"
    lines = [*origin, counted.format(**figures), *scored.notes]
    marks = {
        "STYLE": page.part("contact_sheet.css") + page.part("evaluation_page.css"),
        "SCRIPT": page.part("evaluation_page.js"),
        "TABS": "".join(
            f'<button type="button" role="tab" class="tab" data-kind="{kind}">{_TITLES[kind]}'
            "</button>"
            for kind in kinds
        ),
        "ERRORS": "".join(
            f'<label><input type="checkbox" value="{kind}" checked><i style="background:'
            f'{pictures.ERROR_COLORS[kind]}"></i>{kind}</label>'
            for kind in ERRORS
        )
        + f'<span><i style="background:{pictures.ERROR_COLORS[FOUND]}"></i>found well</span>',
        "ABOUT-WORST": (
            f"Images with the most errors first, at IoU {rules.iou_threshold:g} and scores from "
            f"{rules.min_score:g}. {_ABOUT_ERRORS}"
        ),
        "TITLE": "Evaluation",
        "ORIGIN": "".join(f"<li>{html.escape(line)}</li>" for line in lines),
        "OPTIONS": "".join(
            f'<option value="{number}">{html.escape(name)}</option>'
            for number, name in names.items()
        ),
        "SECTIONS": "".join(_sections(scored, figures, kind) for kind in kinds),
        # Last: texts from the data may contain anything.
        "CARDS": page.as_script(cards),
    }
    page.write(path, "evaluation_page.html", marks)
    return sorted({card["name"] for card in cards if card["picture"] is None})


def _card(matched, kind, names, side):
    picture = pictures.draw_errors(matched, names, side, masks=kind == "masks")
    return {
        "view": kind,
        "id": matched.image.image_id,
        "name": matched.image.name,
        "found": len(matched.events) - len(matched.errors),
        "picture": None if picture is None else pictures.data_uri(picture),
        "errors": [
            {
                "kind": event.kind,
                "text": model_evaluation.describe(event, matched.image, names),
                "classes": _classes_of(event, matched.image),
            }
            for event in matched.errors
        ],
    }


def _classes_of(event, image):
    """Return the ids of the classes of an event, as in the page's selection."""
    sides = ((image.truth, event.truth), (image.detections, event.detection))
    return sorted({str(int(owner.classes[k])) for owner, k in sides if k is not None})


def _sections(scored, figures, kind):
    parts = (
        _overview(scored, figures, kind),
        _by_class(scored, figures, kind),
        _curves(scored, kind),
        _confusion(scored, kind),
    )
    return f'<div class="kind" data-kind="{kind}" hidden>{"".join(parts)}</div>'


def _overview(scored, figures, kind):
    rows, reasons = "", {}
    for metric in scored.coco.metrics:
        key = PREFIX[kind] + metric.name
        why = figures["reasons"].get(key)
        rows += (
            f"<tr><th>{html.escape(metric.label)}</th>{_cell(figures['metrics'][key], why)}</tr>"
        )
        if why:
            reasons.setdefault(why, []).append(metric.label)
    counts = figures[kind]["errors"]
    best = figures[kind]["all_classes"]
    errors = ", ".join(f"{count} {name}" for name, count in counts.items())
    f1 = ""
    if best["at score"] is not None:
        f1 = f" F1 over all classes is largest, {best['best F1']:.3f}, "
        f1 += f"from score {best['at score']:g} on."
    return (
        f'<section><h2>Numbers</h2><table class="numbers"><tbody>{rows}</tbody></table>'
        f"{_reasons(reasons)}<p>At score {scored.rules.min_score:g} and IoU "
        f"{scored.rules.iou_threshold:g}: {errors}.{f1}</p></section>"
    )


def _by_class(scored, figures, kind):
    shown = {metric.name: metric.label for metric in scored.coco.metrics}
    shown |= {"best F1": "best F1", "at score": "at score"}
    head = "".join(f"<th>{html.escape(label)}</th>" for label in ("objects", *shown.values()))
    rows, reasons = "", {}
    for entry in figures["classes"]:
        values, whys = entry[kind], entry[kind]["reasons"]
        cells = "".join(_cell(values[name], whys.get(name)) for name in shown)
        rows += (
            f'<tr data-class="{entry["id"]}"><th>{html.escape(entry["name"])}</th>'
            f"<td>{entry['objects']}</td>{cells}</tr>"
        )
        for name, why in whys.items():
            reasons.setdefault(why, []).append(shown[name])
    return (
        '<section><h2>By class and size</h2><div class="scroll"><table class="numbers"><thead><tr>'
        f"<th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>{_reasons(reasons)}"
        '<p class="faint">Sizes are COCO\'s, by the area of the object in the ground truth. Best '
        "F1 and its score are at the IoU of the confusion matrix.</p></section>"
    )


def _curves(scored, kind):
    coco, rules = scored.coco, scored.rules
    thresholds = np.array(coco.options.settings.iou_thresholds)
    nearest = int(np.abs(thresholds - rules.iou_threshold).argmin())
    precision = coco.arrays(kind).precision[nearest, :, :, 0, -1]  # [R, K]
    recalls = np.linspace(0, 1, precision.shape[0])
    of_precision, of_f1 = [], []
    for index, (number, name) in enumerate(coco.categories.items()):
        if precision[0, index] > -1:
            of_precision.append(Line(name, recalls, precision[:, index], str(number)))
        f1 = scored.matches[kind].tallies[number].f1()
        if f1 is not None:
            of_f1.append(Line(name, THRESHOLDS, f1, str(number)))
    if not of_precision or not of_f1:
        why = "the ground truth has no objects to detect"
        return f'<section><h2>Curves</h2><p class="none">None: {why}.</p></section>'
    mean = np.mean([line.y for line in of_precision], axis=0)
    of_precision.append(Line("all classes (mean)", recalls, mean))
    together = sum(scored.matches[kind].tallies.values(), Tally()).f1()
    of_f1.append(Line("all classes (together)", THRESHOLDS, together))
    at = f"at IoU {thresholds[nearest]:g}"
    left = charts.chart(f"Precision and recall {at}", "recall", "precision", of_precision)
    title = f"F1 by minimum score, at IoU {rules.iou_threshold:g}"
    right = charts.chart(title, "score", "F1", of_f1)
    return (
        f'<section><h2>Curves</h2>{charts.legend(of_precision)}<div class="charts">{left}{right}'
        "</div></section>"
    )


def _confusion(scored, kind):
    counts, names = scored.matches[kind].confusion, list(scored.coco.categories.values())
    off = counts.copy()
    np.fill_diagonal(off, 0)
    seen = np.flatnonzero((counts.sum(0) + counts.sum(1))[:-1])
    note = ""
    if len(seen) < len(names):
        note = f" {len(names) - len(seen)} classes without objects and detections are left out."
    if len(seen) > _CONFUSED:
        weight = (off.sum(0) + off.sum(1))[seen]
        note += (
            f" The {_CONFUSED} classes with the most errors of {len(seen)}; the JSON file has all."
        )
        seen = np.sort(seen[np.argsort(-weight, kind="stable")[:_CONFUSED]])
    places = [*seen.tolist(), len(names)]
    labels = [*(names[place] for place in seen), "background"]
    totals = np.maximum(counts.sum(axis=1), 1)
    body = ""
    for row, label in zip(places, labels, strict=True):
        cells = "".join(
            _count(counts[row, k], counts[row, k] / totals[row], row == k) for k in places
        )
        body += f"<tr><th>{html.escape(label)}</th>{cells}</tr>"
    head = "".join(f"<th>{html.escape(label)}</th>" for label in labels)
    return (
        '<section><h2>Confusion matrix</h2><p class="faint">Rows are the ground truth, columns '
        "are detections. The background row counts detections without such an object, and its "
        "column counts missed objects. An object with a poor mask counts in both. Shades are "
        f'shares of the row.{note}</p><div class="scroll confusion"><table>'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _count(count, share, right):
    kind = "" if right else ' class="error"'
    return f'<td{kind} style="--share:{share:.3f}">{count or ""}</td>'


def _cell(value, why):
    if value is None:
        return f'<td class="none" title="{html.escape(why or "", quote=True)}">n/a</td>'
    return f"<td>{value:.3f}</td>"


def _reasons(reasons):
    """Why numbers are n/a: {reason: [what]} as a list."""
    items = "".join(
        f"<li>n/a: {html.escape(why)} ({html.escape(', '.join(dict.fromkeys(what)))})</li>"
        for why, what in list(reasons.items())[:30]
    )
    more = f"<li>and {len(reasons) - 30} more, in the JSON file</li>" if len(reasons) > 30 else ""
    return f'<ul class="reasons">{items}{more}</ul>' if items else ""
