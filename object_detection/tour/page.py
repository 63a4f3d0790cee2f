"""how_it_works.md: the text of page.md, filled with the numbers of a tour."""

import json
import os
from pathlib import Path
from string import Template

from object_detection import atomic

NAME, FOLDER, NUMBERS = "how_it_works.md", "how_it_works", "numbers.json"
TEXT = Path(__file__).parent / "page.md"
OWN = "coffee.png"
PACKAGE = Path(__file__).resolve().parents[1]
FROM_DOCS = "../object_detection", "../notebooks/inspect_model.ipynb"
LOSSES = {
    "Loss/RPNLoss/localization_loss": ("smooth L1 of the deltas", "sampled anchors on an object"),
    "Loss/RPNLoss/objectness_loss": ("cross-entropy of two logits", "all sampled anchors"),
    "Loss/BoxClassifierLoss/localization_loss": (
        "smooth L1 of the deltas of the own class",
        "sampled rois on an object",
    ),
    "Loss/BoxClassifierLoss/classification_loss": (
        "cross-entropy of all classes",
        "all sampled rois",
    ),
    "Loss/BoxClassifierLoss/mask_loss": (
        "mean cross-entropy of a mask's pixels",
        "sampled rois on an object",
    ),
    "Loss/regularization_loss": ("sum of the weights' penalties", "the weights"),
    "Loss/total_loss": ("their sum, which is minimized", ""),
}


def write(folder, numbers):
    """Write the page and numbers.json.

    Args:
        folder: of the page; its pictures are in its folder `FOLDER`.
        numbers: of `inside.to_numbers`.
    """
    folder = Path(folder)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    text = json.dumps(numbers, indent=1) + "\n"
    atomic.write_text(folder / FOLDER / NUMBERS, text)
    links = [
        os.path.relpath(path, folder.resolve())
        for path in (PACKAGE, PACKAGE.parent / "notebooks" / "inspect_model.ipynb")
    ]
    atomic.write_text(folder / NAME, render(numbers, *links))


def render(numbers, code=FROM_DOCS[0], notebook=FROM_DOCS[1]):
    """Return the page's text, only from the content of numbers.json.

    Args:
        numbers: of `inside.to_numbers`.
        code, notebook: paths of the package and the notebook, relative to the page's folder.
    """
    photograph, anchors = numbers["photograph"], numbers["anchors"]
    proposals, detections = numbers["proposals"], numbers["detections"]
    crop = numbers["roi_align"]
    per_level = list(anchors["per_level"].values())
    strides = [2 ** int(level[1:]) for level in numbers["levels"]]
    return Template(TEXT.read_text(encoding="utf-8")).substitute(
        code=code,
        notebook=notebook,
        pictures=FOLDER,
        command="`make tour`" if photograph["file"] == OWN else "`python -m object_detection.tour`",
        about_photograph=_about(photograph),
        by_heart=_by_heart(numbers["model"]),
        weights=numbers["model"]["weights"],
        parameters=f"{numbers['model']['parameters']:,}",
        source=_width_by_height(photograph["size"]),
        resized=_width_by_height(photograph["resized"]),
        stages=_shapes(numbers["stages"], "stage"),
        levels=_shapes(numbers["levels"], "level"),
        stride_rule=", ".join(map(str, strides[:-1])) + f" and {strides[-1]}",
        anchors=_anchors(numbers),
        anchors_sum=f"{' + '.join(map(str, per_level))} = {anchors['total']}",
        anchors_total=anchors["total"],
        num_levels=len(per_level),
        scores=_scores(numbers),
        best_anchor=_best_anchor(numbers["best_anchor"]),
        proposals_before=proposals["before"],
        proposals_after=proposals["after"],
        sure_before=proposals["sure_before"],
        sure_after=proposals["sure_after"],
        nms_iou=f"{proposals['nms_iou']:g}",
        at_most=proposals["at_most"],
        squares=_squares(numbers["level_assignment"]["squares"]),
        rule=_rule(numbers["level_assignment"]),
        assigned=_row(numbers["level_assignment"]["proposals"], "level", "proposals"),
        crop=f"a grid of {crop['crop'][0]} x {crop['crop'][1]}",
        crop_box=_box(crop["box"]),
        crop_level=crop["level"],
        pairs=detections["pairs"],
        detections_all=detections["all"],
        detections=_detections(detections["objects"]),
        spatial=_mask_input(numbers["mask_branch"]),
        mask=" x ".join(map(str, detections["mask"])),
        losses=_losses(numbers, code),
    )


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _row(values, first, second):
    return _table([first, *values], [[second, *values.values()]])


def _width_by_height(shape):
    return f"{shape[1]} x {shape[0]}"


def _box(box):
    return f"({', '.join(f'{side:g}' for side in box)})"


def _about(photograph):
    if photograph["file"] == OWN:
        return (
            "The photograph is `coffee.png` of scikit-image, by Rachel Michetti, courtesy "
            "of Pikolo Espresso Bar, in the public domain (CC0). A cup, a saucer and a spoon are "
            "outlined in it by hand."
        )
    objects = photograph["objects"]
    return f"The photograph is `{photograph['file']}`, with {len(objects)} annotated objects."


def _by_heart(model):
    if "this photograph only" not in model["weights"]:
        return ""
    return (
        " It was trained only on this photograph, mirrored and slightly brighter or darker, and "
        "has memorized it. The page shows how a trained network works, not how accurate one is on "
        "images that it has not seen."
    )


def _shapes(shapes, what):
    rows = [
        [name, f"{height} x {width}", channels, f"{2 ** int(name[1:])} pixels"]
        for name, (height, width, channels) in shapes.items()
    ]
    return _table([what, "cells (rows x columns)", "channels", "stride"], rows)


def _anchors(numbers):
    anchors = numbers["anchors"]
    rows = [
        [level, f"{shape[0]} x {shape[1]}", anchors["per_cell"][level], anchors["per_level"][level]]
        for level, shape in numbers["levels"].items()
    ]
    return _table(["level", "cells", "anchors at each", "anchors"], rows)


def _scores(numbers):
    rows = [
        [level, f"{score['best']:.3f}", score["above_half"]]
        for level, score in numbers["scores"].items()
    ]
    return _table(["level", "best score", "anchors above 0.5"], rows)


def _best_anchor(best):
    deltas = ", ".join(f"{value:.3f}" for value in best["deltas"])
    return (
        f"The best of all, with a score of {best['score']:.3f}, is an anchor of {best['level']}: "
        f"its deltas ({deltas}) move {_box(best['anchor'])} to {_box(best['moved'])}."
    )


def _squares(squares):
    return _table(
        ["square of", *(f"{side} px" for side in squares)], [["level by k0 = 4", *squares.values()]]
    )


def _rule(assignment):
    if assignment["paper_rule"]:
        return (
            "The config selects this rule (`fpn_paper_levels: true`); the default is TFOD's rule, "
            "by which 224 pixels belong to the second last level."
        )
    return (
        "This config does not set `fpn_paper_levels`, so TFOD's rule applies: 224 pixels belong to "
        "the second last level."
    )


def _detections(objects):
    if not objects:
        return "(There are none.)"
    rows = [
        [one["name"], f"{one['score']:.3f}", _box(one["from"]), _box(one["box"])] for one in objects
    ]
    return _table(["class", "score", "proposal", "moved to"], rows)


def _mask_input(branch):
    if branch["spatial"]:
        size = branch["crop"]
        return f"They use a finer crop of the pyramid, {size} x {size}."
    return "They share the crops and the trunk of the box head, as in TFOD."


def _losses(numbers, code):
    if numbers["losses"] is None:
        return "This photograph has no annotations, so there is no loss to show."
    rois = numbers["rois"]
    rows = [
        [f"`{name}`", *LOSSES[name], f"{value:.5f}"] for name, value in numbers["losses"].items()
    ]
    table = _table(["name in TensorBoard", "loss", "of", "value"], rows)
    return f"""Three stages have five losses, each multiplied by its weight in the config, and there
is a penalty on the weights. These are the values of a training step on this image. The step samples
a few anchors and proposals, and limits the fraction of those with an object: here
{rois["sampled"]} proposals, {rois["with_object"]} of them with an object (colored):

![The sampled rois, and the mask target of one]({FOLDER}/losses.jpg)

{table}

A roi's mask target is the annotated mask inside the roi's box, read at the size of the mask
head's output.

Files: [`object_detection/ops/losses.py`]({code}/ops/losses.py); matching and sampling:
[`object_detection/ops/matcher.py`]({code}/ops/matcher.py),
[`object_detection/ops/sampler.py`]({code}/ops/sampler.py); the sums: `losses_of` and `loss_of` in
[`object_detection/modeling/`]({code}/modeling), and their total:
[`object_detection/training/train_step.py`]({code}/training/train_step.py)."""
