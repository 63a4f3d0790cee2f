"""COCO metrics: TFOD's own numbers, hand-worked ones, and odd data."""

import json

import numpy as np
import pytest
from made_instances import add, annotated, detected, sized
from pycocotools import mask as rle_codec
from reference import blocks, needs_reference

from object_detection.metrics.coco_evaluation import CocoEvaluation

NAMES = {1: "cat", 2: "dog"}


def truth_of(*boxes, classes=None, **fields):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    classes = np.ones(len(boxes), np.int32) if classes is None else np.array(classes)
    return annotated(boxes, classes, **fields)


def found_of(*boxes, scores=None, classes=None, masks=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else np.array(scores)
    classes = np.ones(len(boxes), np.int32) if classes is None else np.array(classes)
    return detected(boxes, scores, classes, masks)


def rles(masks):
    return [rle_codec.encode(np.asfortranarray(m.astype(np.uint8))) for m in masks]


@needs_reference
def test_the_numbers_of_tfod():
    data = blocks("coco_mask_metrics")
    evaluation = CocoEvaluation({i: f"c{i}" for i in (1, 2, 3)}, boxes=True, masks=True)
    for k in range(6):
        im = {n.split("/")[1]: v for n, v in data.items() if n.startswith(f"im{k}/")}
        truth = annotated(
            im["gt_boxes"], im["gt_classes"], im["gt_is_crowd"].astype(bool), masks=im["gt_masks"]
        )
        found = detected(
            im["det_boxes"], im["det_scores"], im["det_classes"], rles(im["det_masks"])
        )
        add(evaluation, f"im{k}", truth, found, 80, 100)

    metrics = evaluation.evaluate()

    want = json.loads(str(data["metrics"]))
    assert metrics.keys() == want.keys()
    for name, value in want.items():
        assert metrics[name] == pytest.approx(value, abs=1e-6), name


def test_a_box_found_and_a_box_missed():
    evaluation = CocoEvaluation(NAMES)
    add(
        evaluation,
        "a",
        truth_of([0, 0, 40, 40], [50, 50, 90, 90]),
        found_of([0, 0, 40, 40]),
        99,
        99,
    )

    metrics = evaluation.evaluate()

    # Recall reaches 1/2 at precision 1: of COCO's 101 recall points 0, .01 .. .5 are 51.
    assert metrics["DetectionBoxes_Precision/mAP"] == pytest.approx(51 / 101)
    assert metrics["DetectionBoxes_Recall/AR@1"] == pytest.approx(0.5)
    assert metrics["DetectionBoxes_Precision/mAP (medium)"] == pytest.approx(51 / 101)  # 40 * 40
    assert metrics["DetectionBoxes_Precision/mAP (large)"] == -1


def test_the_recorded_area_decides_the_size_and_the_box_stands_in_for_it():
    evaluation = CocoEvaluation(NAMES)
    boxes = [[0, 0, 40, 40], [50, 50, 90, 90]]  # both 1600 px: medium by their boxes
    add(evaluation, "a", truth_of(*boxes, area=np.array([100.0, 0.0])), found_of(*boxes), 99, 99)

    metrics = evaluation.evaluate()

    assert metrics["DetectionBoxes_Recall/AR@100 (small)"] == 1  # the first, by its area of 100
    assert metrics["DetectionBoxes_Recall/AR@100 (medium)"] == 1  # the second, by its box


def test_a_crowd_need_not_be_found_and_swallows_what_lies_in_it():
    evaluation = CocoEvaluation(NAMES)
    truth = truth_of([0, 0, 20, 20], [40, 0, 90, 90], crowd=np.array([False, True]))
    found = found_of([41, 1, 60, 60], [41, 30, 60, 80], [0, 0, 20, 20])  # two in the crowd first
    add(evaluation, "a", truth, found, 99, 99)

    assert evaluation.evaluate()["DetectionBoxes_Precision/mAP"] == pytest.approx(1)


def test_masks_are_scored_by_their_pixels():
    left = np.zeros([1, 40, 40], np.uint8)
    left[:, 10:30, 10:20] = 1
    box = [10, 10, 30, 30]
    square = np.ones([1, 8, 8], np.float32)
    evaluation = CocoEvaluation(NAMES, masks=True)
    add(evaluation, "a", truth_of(box, masks=left), found_of(box, masks=square), 40, 40)

    metrics = evaluation.evaluate()

    assert metrics["DetectionBoxes_Precision/mAP"] == pytest.approx(1)
    # The pasted square covers rows 10..29 and columns 10..29, the object half of them: IoU .5.
    assert metrics["DetectionMasks_Precision/mAP@.75IOU"] == 0
    assert metrics["DetectionMasks_Precision/mAP"] <= 0.1  # at most the first of ten thresholds


def test_only_the_best_100_detections_of_an_image_count():
    truth = truth_of([0, 0, 20, 20])
    wrong = np.tile(np.array([[50, 50, 70, 70]], np.float32), (100, 1))
    found = found_of(*wrong, [0, 0, 20, 20], scores=[0.9] * 100 + [0.8])
    evaluation = CocoEvaluation(NAMES)
    add(evaluation, "a", truth, found, 99, 99)

    assert evaluation.evaluate()["DetectionBoxes_Recall/AR@100"] == 0


def test_names_and_numbers_of_each_class():
    evaluation = CocoEvaluation(NAMES, per_category=True, super_categories={"pet": ["cat", "dog"]})
    add(evaluation, "a", truth_of([0, 0, 20, 20]), found_of([0, 0, 20, 20]), 99, 99)

    metrics = evaluation.evaluate()

    assert metrics["DetectionBoxes_PerformanceByCategory/mAP/cat"] == pytest.approx(1)
    assert metrics["DetectionBoxes_PerformanceByCategory/mAP/dog"] == -1
    # The class without objects does not draw the group down.
    assert metrics["DetectionBoxes_PerformanceBySuperCategory/pet"] == pytest.approx(1)
    assert len(metrics) == 12 + 2 + 1
    assert "no object of class dog" in evaluation.table()


def test_all_metrics_of_each_class():
    evaluation = CocoEvaluation(NAMES, masks=True, boxes=False, all_per_category=True)
    metrics = evaluation.evaluate()

    assert "DetectionMasks_Recall/AR@100 (small) ByCategory/cat" in metrics
    assert len(metrics) == 12 + 2 * (1 + 12)


def test_a_group_of_unknown_classes_is_refused():
    with pytest.raises(ValueError, match="names cow; the label map has: cat, dog"):
        CocoEvaluation(NAMES, super_categories={"farm": ["cow"]})


def test_no_image():
    evaluation = CocoEvaluation(NAMES, masks=True)

    assert set(evaluation.evaluate().values()) == {-1.0}
    assert "no image was evaluated" in evaluation.table()


def test_no_detections_score_zero():
    evaluation = CocoEvaluation(NAMES)
    add(evaluation, "a", truth_of([0, 0, 20, 20]), found_of(), 99, 99)

    metrics = evaluation.evaluate()

    assert metrics["DetectionBoxes_Precision/mAP"] == 0
    assert metrics["DetectionBoxes_Precision/mAP (large)"] == -1
    table = evaluation.table()
    assert "the model found nothing" in table
    assert "no object of the ground truth is large (area over 9216 px)" in table


def test_images_without_objects_count_as_images():
    evaluation = CocoEvaluation(NAMES, masks=True)
    add(evaluation, "a", truth_of(), found_of([0, 0, 9, 9], masks=np.ones([1, 4, 4])), 99, 99)
    add(evaluation, "b", truth_of(), found_of(), 99, 99)

    assert set(evaluation.evaluate().values()) == {-1.0}
    assert "has no object that is not a crowd" in evaluation.table()


def test_an_id_of_two_images_loses_neither():
    evaluation = CocoEvaluation(NAMES)
    add(evaluation, b"0", truth_of([0, 0, 20, 20]), found_of([0, 0, 20, 20]), 99, 99)
    add(evaluation, b"0", truth_of([5, 5, 30, 30]), found_of(), 99, 99)

    assert evaluation.evaluate()["DetectionBoxes_Recall/AR@100"] == 0.5
    assert "1 images share their id with another image" in evaluation.table()
    assert evaluation.repeated.ids == ["0"]


def test_an_image_that_comes_again_counts_once():
    evaluation = CocoEvaluation(NAMES)
    for _ in range(2):
        add(evaluation, "a", truth_of([0, 0, 20, 20]), found_of([0, 0, 20, 20]), 99, 99)

    assert len(evaluation.images) == 1
    assert "counted once: a" in evaluation.table()


def test_numbers_that_are_not_finite_are_left_out_and_counted():
    evaluation = CocoEvaluation(NAMES)
    found = found_of([0, 0, 20, 20], [0, 0, np.nan, 20], scores=[0.5, 0.9])
    add(evaluation, "a", truth_of([0, 0, 20, 20]), found, 99, 99)

    assert evaluation.evaluate()["DetectionBoxes_Precision/mAP"] == pytest.approx(1)
    assert "1 detections left out" in evaluation.table()


def test_classes_without_a_name_are_counted():
    evaluation = CocoEvaluation(NAMES)
    add(evaluation, "a", truth_of([0, 0, 9, 9], classes=[7]), found_of(), 99, 99)

    assert "no object of the ground truth has a class of the label map" in evaluation.table()
    assert "1 objects of the ground truth left out: no class 7" in evaluation.table()


def test_objects_without_masks_stay_out_of_the_mask_metrics_only():
    square = np.ones([1, 8, 8], np.float32)
    full = np.zeros([1, 40, 40], np.uint8)
    full[:, 10:30, 10:30] = 1
    evaluation = CocoEvaluation(NAMES, masks=True)
    box = [10, 10, 30, 30]
    add(evaluation, "with", truth_of(box, masks=full), found_of(box, masks=square), 40, 40)
    add(evaluation, "bare", truth_of(box), found_of([1, 1, 5, 5], masks=square), 40, 40)

    metrics = evaluation.evaluate()

    assert metrics["DetectionBoxes_Recall/AR@100"] == 0.5
    assert metrics["DetectionMasks_Precision/mAP@.50IOU"] == pytest.approx(1)
    assert "1 images with objects but without masks" in evaluation.table()


@pytest.mark.parametrize(
    ("truth", "found", "message"),
    [
        (truth_of([0, 0, 9, 9], classes=[1, 1]), found_of(), "has 1 boxes but 2 classes"),
        (truth_of(), found_of([0, 0, 9, 9], scores=[]), "detections has 1 boxes but 0 scores"),
        (
            truth_of([0, 0, 9, 9], masks=np.ones([1, 5, 6], np.uint8)),
            found_of(),
            "masks of 5 x 6 pixels .height x width., but the image is 40 x 40",
        ),
        (truth_of(), found_of([0, 0, 9, 9]), "the detections have no masks"),
    ],
)
def test_arrays_that_do_not_belong_together(truth, found, message):
    with pytest.raises(ValueError, match=message):
        add(CocoEvaluation(NAMES, masks=True), "a", truth, found, 40, 40)


def test_full_masks_of_truth_and_detections():
    full = np.zeros([1, 40, 40], np.uint8)
    full[:, 10:30, 10:30] = 1
    box = [10, 10, 30, 30]

    assert truth_of(box, masks=full).masks.full(0).sum() == 400
    assert found_of(box, masks=rles(full)).masks.full(0).sum() == 400
    pasted = sized(found_of(box, masks=np.ones([1, 8, 8])), 40, 40).masks.full(0)
    assert pasted.dtype == bool and pasted[15, 15] and not pasted[5, 15]


def test_more_can_be_added_after_a_first_score():
    evaluation = CocoEvaluation(NAMES)
    add(evaluation, "a", truth_of([0, 0, 20, 20]), found_of([0, 0, 20, 20]), 99, 99)
    first = evaluation.evaluate()
    add(evaluation, "b", truth_of([0, 0, 20, 20]), found_of(), 99, 99)

    assert first["DetectionBoxes_Recall/AR@100"] == 1
    assert evaluation.evaluate()["DetectionBoxes_Recall/AR@100"] == 0.5
