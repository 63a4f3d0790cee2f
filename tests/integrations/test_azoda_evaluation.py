"""azoda's tables, by numbers worked out by hand."""

import csv
import json

import numpy as np
import pytest
from made_instances import annotated, detected, sized

from object_detection.integrations.azoda import evaluation
from object_detection.structures.instances import EvaluatedImage

NAMES = {1: "tile", 2: "disc", 3: "never"}
BOX = (4.0, 4.0, 20.0, 20.0)


def seen(number, truth, detections):
    """An image of 32 x 32: true classes, all at BOX; found (class, score, box)."""
    side, mask = 32, np.zeros((32, 32), np.uint8)
    mask[4:20, 4:20] = 1
    truth = sized(
        annotated(
            np.array([BOX] * len(truth), np.float64).reshape(-1, 4),
            np.array(truth, np.int64),
            masks=np.stack([mask] * len(truth)) if truth else np.zeros((0, side, side), np.uint8),
        ),
        side,
        side,
    )
    detections = detected(
        np.array([box for _, _, box in detections], np.float64).reshape(-1, 4),
        np.array([score for _, score, _ in detections], np.float64),
        np.array([label for label, _, _ in detections], np.int64),
        np.ones((len(detections), 8, 8), np.float32),
    )
    return EvaluatedImage(f"{number}.jpg", truth, sized(detections, side, side).encoded())


@pytest.fixture
def tables():
    far = (24.0, 24.0, 30.0, 30.0)
    images = [
        seen(1, [1], [(1, 0.9, BOX)]),  # TP
        seen(2, [1], [(1, 0.3, BOX)]),  # FN: under the cut; its box still counts for the AP
        seen(3, [], [(1, 0.8, far)]),  # FP
        seen(4, [], []),  # TN
        seen(5, [2], [(2, 0.5, BOX)]),  # TP: the cut itself counts
    ]
    return evaluation.evaluate_images(NAMES, images, 0.5, ("boxes", "masks"))


def test_the_table_of_images(tables):
    assert tables.binary == {
        **{"TP": 2, "FP": 1, "FN": 1, "TN": 1},
        "Precision": pytest.approx(2 / 3),
        "Recall": pytest.approx(2 / 3),
        "Accuracy": pytest.approx(3 / 5),
    }


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_the_table_of_classes(tables, kind):
    # tile: right at 0.9, wrong at 0.8, right at 0.3: precision 1 up to recall 1/2, then 2/3.
    tile = 0.5 * 1 + 0.5 * 2 / 3

    rows = {row.category: row for row in tables.categories[kind]}

    assert list(rows) == ["tile", "disc", "never", "class_avg"]
    assert rows["tile"].average_precision == pytest.approx(tile)
    assert rows["disc"].average_precision == pytest.approx(1.0)
    assert rows["never"].average_precision is None
    # All classes in one list: right, wrong, right, right.
    assert rows["class_avg"].average_precision == pytest.approx(1 / 3 + 2 / 3 * 0.75)
    assert [row.number_of_gts for row in rows.values()] == [2, 1, 0, 3]
    assert tables.mean[kind] == pytest.approx((tile + 1) / 2)


def test_they_are_written_under_azodas_names(tables, tmp_path):
    evaluation.write(tables, tmp_path)

    content = json.loads((tmp_path / "azoda_metrics.json").read_text())
    assert content["Binary - Confusion Matrix"]["data"]["matrix"] == [[2, 1], [1, 1]]
    assert content["Detection - Metric Table"]["number_of_gts"] == [2, 1, 0, 3]
    assert content["Detection - mAP"] == content["Segmentation - mAP"] == tables.mean["boxes"]
    with open(tmp_path / "masks_by_category.csv", newline="") as file:
        assert next(csv.DictReader(file))["category"] == "tile"
    assert (tmp_path / "image_metrics.csv").is_file()


def test_they_are_reported_to_people(tables):
    text = evaluation.to_text(tables, 0.5)

    assert "Precision 0.667, Recall 0.667, Accuracy 0.600" in text
    assert "Segmentation (masks)" in text
    assert "n/a" in text


def test_nothing_found_at_all_divides_by_nothing():
    tables = evaluation.evaluate_images(NAMES, [seen(1, [1], [])], 0.5, ("boxes", "masks"))

    assert tables.binary["Precision"] is None
    assert tables.mean["masks"] == 0.0
