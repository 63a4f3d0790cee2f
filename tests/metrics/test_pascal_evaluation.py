"""Pascal's and Open Images' rules, worked by hand."""

import math

import numpy as np
import pytest
from made_instances import add, annotated, detected
from pycocotools import mask as rle_codec

from object_detection.metrics.pascal_evaluation import PascalEvaluation
from object_detection.structures.instances import ImageLabels

NAMES = {1: "cat", 2: "dog"}
A, B, FAR = [0, 0, 20, 20], [40, 40, 60, 60], [70, 70, 90, 90]


def truth_of(*boxes, **fields):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    for name in ("classes", "difficult", "group_of"):
        if name in fields:
            fields[name] = np.array(fields[name])
    return annotated(boxes, fields.pop("classes", np.ones(len(boxes), int)), **fields)


def found_of(*boxes, scores=None, classes=None, masks=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else np.array(scores)
    classes = np.ones(len(boxes), int) if classes is None else np.array(classes)
    return detected(boxes, scores, classes, masks)


def ap(name, *pairs, **options):
    evaluation = PascalEvaluation(NAMES, name, **options)
    for k, (truth, found) in enumerate(pairs):
        add(evaluation, k, truth, found, 99, 99)
    numbers = evaluation.evaluate()
    return numbers[next(key for key in numbers if key.endswith("/cat"))]


def test_found_missed_and_found_twice():
    # Right at recall 1/2, then the same object again: precision 1, area 1/2.
    assert ap("pascal_voc_detection_metrics", (truth_of(A, B), found_of(A, A))) == 0.5
    # Wrong first, then both right: precisions 0, 1/2, 2/3; made to fall 2/3 everywhere.
    assert ap(
        "pascal_voc_detection_metrics", (truth_of(A, B), found_of(FAR, A, B))
    ) == pytest.approx(2 / 3)


def test_a_difficult_object_neither_counts_nor_is_counted():
    truth = truth_of(A, B, difficult=[True, False])
    assert ap("pascal_voc_detection_metrics", (truth, found_of(A, A, B))) == 1


def test_a_detection_looks_at_the_object_it_overlaps_most_alone():
    # The second detection overlaps A most, which is taken: it does not fall back on the other.
    near = [0, 4, 20, 24]
    truth = truth_of(A, near)
    assert ap("pascal_voc_detection_metrics", (truth, found_of(A, [0, 1, 20, 21]))) == 0.5


def test_groups_are_left_out_or_count_once():
    truth = truth_of([0, 0, 60, 60], B, group_of=[True, False])
    inside = [0, 0, 10, 10], [10, 10, 30, 30]
    found = found_of(*inside, B)
    assert ap("oid_V2_detection_metrics", (truth, found)) == 1
    # In the challenge the group is one of two things to find, and found by its best detection.
    assert ap("oid_challenge_detection_metrics", (truth, found)) == 1
    assert ap("oid_challenge_detection_metrics", (truth, found_of(B))) == 0.5
    # For Pascal a group is an object like others.
    assert ap("pascal_voc_detection_metrics", (truth, found_of(B))) == 0.5


def test_the_challenge_counts_classes_that_the_image_was_verified_for():
    pair = (truth_of(A), found_of(A))
    silent = (truth_of(), found_of(FAR, scores=[0.95]))
    verified = (truth_of(labels=ImageLabels(frozenset({1}))), found_of(FAR, scores=[0.95]))
    assert ap("oid_challenge_detection_metrics", pair, silent) == 1
    assert ap("oid_challenge_detection_metrics", pair, verified) == 0.5


def test_masks_decide_and_objects_without_them_are_left_out():
    def rle(box):
        mask = np.zeros([99, 99], np.uint8)
        mask[box[0] : box[2], box[1] : box[3]] = 1
        return rle_codec.encode(np.asfortranarray(mask))

    nothing = [0, 0, 0, 0]
    truth = truth_of(A, B, masks=[rle([0, 0, 20, 10]), rle(nothing)])
    found = found_of(A, B, masks=[rle([0, 0, 20, 11]), rle(B)])
    assert ap("pascal_voc_instance_segmentation_metrics", (truth, found)) == 1
    poor = found_of(A, B, masks=[rle(A), rle(B)])  # half of the mask is right: IoU .5 suffices
    assert ap("pascal_voc_instance_segmentation_metrics", (truth, poor)) == 1
    assert ap("pascal_voc_instance_segmentation_metrics", (truth, poor), iou_thresholds=(0.6,)) == 0


def test_the_weighted_mean_is_one_curve_of_all_classes():
    truth = truth_of(A, B, FAR, classes=[1, 1, 2])
    found = found_of(A, FAR, B, scores=[0.9, 0.8, 0.1], classes=[1, 1, 2])
    evaluation = PascalEvaluation(NAMES, "weighted_pascal_voc_detection_metrics")
    add(evaluation, "a", truth, found, 99, 99)

    numbers = evaluation.evaluate()

    assert numbers["WeightedPascalBoxes_PerformanceByCategory/AP@0.5IOU/cat"] == 0.5
    assert numbers["WeightedPascalBoxes_PerformanceByCategory/AP@0.5IOU/dog"] == 0
    assert numbers["WeightedPascalBoxes_Precision/mAP@0.5IOU"] == pytest.approx(1 / 3)


def test_a_part_of_the_curve():
    truth, found = truth_of(A, B), found_of(A, FAR, B)
    name = "precision_at_recall_detection_metrics"
    # Recalls .5, .5, 1 with precisions 1, 1/2, 2/3.
    assert ap(name, (truth, found)) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert ap(name, (truth, found), recall_low=0.6) == pytest.approx(2 / 3)
    assert ap(name, (truth, found), recall_low=0.1, recall_high=0.4) == 0
    evaluation = PascalEvaluation(NAMES, name, recall_low=0.6)
    first = next(iter(evaluation.evaluate()))
    assert first == "PrecisionAtRecallBoxes_Precision/mAP@0.5IOU@[0.6,1.0]Recall"


def test_only_verified_classes_on_request():
    pair = (truth_of(A, labels=ImageLabels(frozenset({2}))), found_of(A))
    name = "precision_at_recall_detection_metrics"
    assert ap(name, pair) == 1
    assert ap(name, pair, verified_only=True) == 0
    unlabelled = (truth_of(A, labels=ImageLabels()), found_of(A))
    assert ap(name, unlabelled, verified_only=True) == 1
    assert ap(name, unlabelled, verified_only=False) == 0


def test_several_thresholds_have_numbers_of_their_own():
    evaluation = PascalEvaluation(NAMES, "pascal_voc_detection_metrics", iou_thresholds=(0.5, 0.75))
    add(evaluation, "a", truth_of(A), found_of([0, 0, 20, 13]), 99, 99)

    numbers = evaluation.evaluate()

    assert numbers["PascalBoxes_Precision/mAP@0.5IOU"] == 1
    assert numbers["PascalBoxes_Precision/mAP@0.75IOU"] == 0


def test_what_is_missing_is_nan_and_said():
    evaluation = PascalEvaluation(NAMES, "pascal_voc_detection_metrics")
    assert math.isnan(evaluation.evaluate()["PascalBoxes_Precision/mAP@0.5IOU"])
    assert "no image was evaluated" in evaluation.table()

    found = found_of(A, A, [0, 0, np.nan, 4], [9, 9, 9, 12], classes=[1, 7, 1, 1])
    add(evaluation, "a", truth_of(A), found, 99, 99)
    add(evaluation, "a", truth_of(A), found, 99, 99)

    table = evaluation.table()
    assert evaluation.evaluate()["PascalBoxes_Precision/mAP@0.5IOU"] == 1
    assert "n/a: no object of class dog that is to be found" in table
    assert "1 detections left out: no class 7" in table
    assert "1 detections left out: their box or score is not finite" in table
    assert "1 images came again" in table
    assert evaluation.curve(1)[1].tolist() == [1.0] and evaluation.curve(2) is None
