"""A set evaluated as a whole: figures, reasons, files, and which images are the worst."""

import csv
import json

import numpy as np
import pytest
from made_sets import NASTY, SIZES, write_coco

from object_detection.metrics import coco_results
from object_detection.reports import (
    evaluation_figures,
    ground_truth,
    model_evaluation,
    pictures,
)
from object_detection.reports.detection_errors import ERRORS
from object_detection.structures.masks import Masks


def evaluated(folder, *, masks=True, results=None, **rules):
    write_coco(folder, masks=masks)
    truth = ground_truth.from_coco(folder / "truth.json")
    found = results or coco_results.read(folder / "results.json", truth.sizes)
    pairs, _ = model_evaluation.collect(truth, lambda image: found[image.image_id])
    return model_evaluation.score(truth.categories, pairs, model_evaluation.Rules(**rules))


def test_numbers_confusion_and_errors(tmp_path):
    figures = evaluation_figures.to_dict(evaluated(tmp_path))

    assert (figures["images"], figures["objects"], figures["detections"]) == (3, 5, 6)
    assert list(figures["masks"]["errors"].items()) == [
        ("found", 2),
        *zip(ERRORS, (1, 1, 1, 1, 1), strict=True),
    ]
    assert figures["boxes"]["errors"]["poor mask"] == 0
    # dog, the nasty one, nobody, background
    assert figures["masks"]["confusion_rows_truth_columns_found"]["counts"] == [
        [1, 1, 0, 1],
        [0, 1, 0, 1],
        [0, 0, 0, 0],
        [1, 2, 0, 0],
    ]
    dog = figures["classes"][0]["masks"]
    # Of 3 dogs one is found, by the best of the two detections.
    assert dog["Precision/mAP@.50IOU"] == pytest.approx(34 / 101)
    assert (dog["best F1"], dog["at score"]) == (pytest.approx(2 / (1 + 3)), 0.9)


def test_every_missing_value_has_a_reason_in_words(tmp_path):
    figures = evaluation_figures.to_dict(evaluated(tmp_path))

    assert figures["metrics"]["DetectionMasks_Precision/mAP (large)"] is None
    assert figures["reasons"]["DetectionMasks_Precision/mAP (large)"] == (
        "no object in the ground truth is large (area of 9216 or more pixels)"
    )
    nobody = figures["classes"][2]["boxes"]
    assert nobody["Precision/mAP"] is None and nobody["at score"] is None
    assert set(nobody["reasons"].values()) == {"no nobody in the ground truth"}
    for _, _, _, value, reason in evaluation_figures.rows(figures):
        assert (value is None) == bool(reason)


def test_crowds_alone_are_a_reason_of_their_own(tmp_path):
    write_coco(tmp_path)
    content = json.loads((tmp_path / "truth.json").read_text())
    for annotation in content["annotations"]:
        annotation["iscrowd"] = int(annotation["category_id"] == 7)
    (tmp_path / "truth.json").write_text(json.dumps(content))
    truth = ground_truth.from_coco(tmp_path / "truth.json")
    found = coco_results.read(tmp_path / "results.json", SIZES)
    pairs, _ = model_evaluation.collect(truth, lambda image: found[image.image_id])

    figures = evaluation_figures.to_dict(model_evaluation.score(truth.categories, pairs))

    reasons = figures["classes"][1]["masks"]["reasons"]
    assert "is a crowd, which need not be detected" in reasons["Precision/mAP"]


def test_without_masks_boxes_alone_are_scored(tmp_path):
    scored = evaluated(tmp_path, masks=False)

    assert scored.kinds == ("boxes",)
    assert scored.matches["boxes"].errors["found"] == 3


def test_masks_on_one_side_only_are_reported(tmp_path):
    write_coco(tmp_path)
    found = coco_results.read(tmp_path / "results.json", SIZES)
    bare = {key: each._replace(masks=None) for key, each in found.items()}

    scored = evaluated(tmp_path, results=bare)

    assert scored.kinds == ("boxes",)
    assert scored.notes == ["Masks are not scored: the detections have none."]


def test_the_worst_come_first(tmp_path):
    summary = evaluated(tmp_path).matches["masks"]

    ranked = model_evaluation.worst(summary, 10)

    assert [(seen.image.image_id, len(seen.errors)) for seen in ranked] == [("2", 3), ("3", 2)]
    assert [seen.image.image_id for seen in model_evaluation.worst(summary, 1)] == ["2"]


def test_errors_in_words(tmp_path):
    scored = evaluated(tmp_path)
    words = [
        model_evaluation.describe(event, seen.image, scored.coco.categories)
        for seen in model_evaluation.worst(scored.matches["masks"], 2)
        for event in seen.errors
    ]

    assert words == [
        "false: dog 80%",
        f"double: {NASTY} 70%, IoU 0.90",
        "missed: dog",
        f"wrong class: {NASTY} 90%, it is dog, IoU 1.00",
        f"poor mask: {NASTY} 80%, IoU of masks 0.38, of boxes 1.00",
    ]


def test_pictures_have_each_error_in_its_color(tmp_path):
    scored = evaluated(tmp_path)
    bad, lost = model_evaluation.worst(scored.matches["masks"], 2)

    picture = pictures.draw_errors(bad, scored.coco.categories, 640).astype(int)

    assert picture.shape == (480, 640, 3)  # 8 times as large
    grey = picture[-8:, -8:].mean(axis=(0, 1))
    missed, false = (picture[y : y + 40, 60:120].mean(axis=(0, 1)) - grey for y in (130, 370))
    assert missed[0] > 15 and missed[1] < -5  # red, where the missed dog is
    assert false[0] > 15 and false[2] < -20  # orange
    assert pictures.draw_errors(lost, scored.coco.categories, 640) is None  # its file is missing


def test_files_for_programs(tmp_path):
    figures = evaluation_figures.to_dict(evaluated(tmp_path))

    evaluation_figures.write_json(tmp_path / "metrics.json", figures)
    evaluation_figures.write_csv(tmp_path / "metrics.csv", figures)

    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8")) == figures
    with open(tmp_path / "metrics.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    mean = next(row for row in table if row["kind"] == "masks" and not row["class"])
    assert float(mean["value"]) == figures["metrics"]["DetectionMasks_Precision/mAP"]
    assert {row["class"] for row in table} == {"", "dog", NASTY, "nobody"}


def test_detections_that_are_no_numbers_or_of_no_class_are_left_out(tmp_path):
    write_coco(tmp_path)
    found = coco_results.read(tmp_path / "results.json", SIZES)
    bad = found["1"]
    found["1"] = bad._replace(
        boxes=np.vstack([bad.boxes, bad.boxes, bad.boxes]),
        scores=np.array([0.9, np.nan, 0.8]),
        classes=np.array([1, 1, 55]),
        masks=Masks.from_checked_rle(bad.masks.to_rle() * 3, 60, 80),
    )

    scored = evaluated(tmp_path, results=found)

    assert scored.matches["boxes"].errors["false"] == 1  # that of image 2
    assert scored.coco.unknown_found == {55: 1}
