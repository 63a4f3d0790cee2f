"""Errors by name, the confusion matrix and the F1 curve, against what was worked out by hand."""

import numpy as np
import pytest
from made_instances import annotated, detected
from made_sets import coco_right, random_images
from pycocotools import mask as rle_codec

from object_detection.reports import detection_errors
from object_detection.reports.detection_errors import (
    DOUBLE,
    FALSE,
    FOUND,
    MISSED,
    POOR_MASK,
    THRESHOLDS,
    WRONG_CLASS,
    Tally,
)

CAT, DOG = 1, 2
A, B, C, D = (0, 0, 10, 10), (0, 20, 10, 30), (0, 40, 10, 50), (0, 60, 10, 70)
SIZE = (12, 80)


def truth_of(*objects, masks=None):
    """Objects as (box, class) or (box, class, "crowd")."""
    return annotated(
        boxes=np.float64([each[0] for each in objects]).reshape(-1, 4),
        classes=np.int64([each[1] for each in objects]),
        crowd=np.array([len(each) == 3 for each in objects], bool),
        masks=masks,
    )


def found_of(*found, masks=None):
    """Detections as (box, class, score)."""
    boxes, classes, scores = zip(*found, strict=True) if found else ((), (), ())
    return detected(np.float64(boxes).reshape(-1, 4), np.float64(scores), np.int64(classes), masks)


def mask(top, left, bottom, right):
    full = np.zeros(SIZE, np.uint8, order="F")
    full[top:bottom, left:right] = 1
    return rle_codec.encode(full)


def events(truth, found, *, kind="boxes", min_score=0.5):
    iou = detection_errors.overlaps(truth, found, kind)
    box_iou = detection_errors.overlaps(truth, found, "boxes") if kind == "masks" else None
    return detection_errors.classify(
        truth,
        found,
        iou,
        detection_errors.match(truth, found, iou, 0.5),
        threshold=0.5,
        min_score=min_score,
        box_iou=box_iou,
    )


def named(*given, **options):
    return [(event.kind, event.detection, event.truth) for event in events(*given, **options)]


TRUTH = truth_of((A, CAT), (B, CAT), (C, DOG), (D, DOG))
FOUND_IN_IT = found_of(
    (A, CAT, 0.9),  # right
    ((0, 1, 10, 11), CAT, 0.8),  # the same again: IoU 9 / 11
    ((0, 20, 10, 24), CAT, 0.85),  # 4 of B's 10 columns
    (C, CAT, 0.7),  # C is a dog
    (D, DOG, 0.4),  # right, but of too low a score
)


def test_each_error_has_its_name():
    assert named(TRUTH, FOUND_IN_IT) == [
        (FOUND, 0, 0),
        (FALSE, 2, None),
        (DOUBLE, 1, 0),
        (WRONG_CLASS, 3, 2),
        (MISSED, None, 1),
        (MISSED, None, 3),
    ]
    assert events(TRUTH, FOUND_IN_IT)[2].iou == pytest.approx(9 / 11)


def test_a_lower_score_lets_more_count():
    assert (FOUND, 4, 3) in named(TRUTH, FOUND_IN_IT, min_score=0.4)


def test_of_two_the_better_score_has_the_object():
    found = found_of((A, CAT, 0.6), ((0, 1, 10, 11), CAT, 0.9))

    assert named(truth_of((A, CAT)), found) == [(FOUND, 1, 0), (DOUBLE, 0, 0)]


def test_another_class_over_an_object_that_was_found_is_false():
    found = found_of((A, CAT, 0.6), (A, DOG, 0.9))

    assert named(truth_of((A, CAT)), found) == [(FALSE, 1, None), (FOUND, 0, 0)]


def test_crowds_take_any_number_and_are_not_missed():
    crowd = truth_of(((0, 0, 10, 40), CAT, "crowd"))

    assert named(crowd, found_of((A, CAT, 0.9), (B, CAT, 0.8))) == []
    assert named(crowd, found_of((C, CAT, 0.9))) == [(FALSE, 0, None)]
    assert named(crowd, found_of((A, DOG, 0.9))) == [(FALSE, 0, None)]


def test_a_poor_mask_is_neither_false_nor_missed():
    truth = truth_of((A, CAT), (B, CAT), masks=[mask(*A), mask(*B)])
    # All of A's box, but 4 of its 10 rows; B is right.
    found = found_of((A, CAT, 0.9), (B, CAT, 0.8), masks=[mask(0, 0, 4, 10), mask(*B)])

    poor, good = events(truth, found, kind="masks")

    assert (poor.kind, poor.detection, poor.truth) == (POOR_MASK, 0, 0)
    assert (poor.iou, poor.box_iou) == (pytest.approx(0.4), 1.0)
    assert good.kind == FOUND


def test_a_box_of_the_right_class_goes_before_a_mask_of_a_wrong_one():
    lower = mask(5, 0, 10, 10)
    truth = truth_of((A, CAT), (A, DOG), masks=[mask(0, 0, 5, 10), lower])
    found = found_of((A, CAT, 0.9), masks=[lower])

    assert named(truth, found, kind="masks") == [(POOR_MASK, 0, 0), (MISSED, None, 1)]


@pytest.mark.parametrize("given", [(truth_of(), found_of()), (truth_of(), found_of((A, CAT, 0.9)))])
def test_nothing_there(given):
    assert [kind for kind, *_ in named(*given)] == [FALSE] * len(given[1].boxes)


def test_confusion_matrix():
    matrix = np.zeros([3, 3], int)

    detection_errors.count_into(
        matrix, {CAT: 0, DOG: 1}, TRUTH, FOUND_IN_IT, events(TRUTH, FOUND_IN_IT)
    )

    # Columns: found as cat, as dog, not at all.
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 1], [2, 0, 0]]


def test_a_poor_mask_counts_in_row_and_column_of_the_background():
    truth = truth_of((A, DOG), masks=[mask(*A)])
    found = found_of((A, DOG, 0.9), masks=[mask(0, 0, 4, 10)])
    matrix = np.zeros([3, 3], int)

    happened = events(truth, found, kind="masks")
    detection_errors.count_into(matrix, {CAT: 0, DOG: 1}, truth, found, happened)

    assert matrix.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_f1_by_threshold():
    tally = Tally()
    tally.add(2, [0.9, 0.6], [True, False])
    tally.add(1, [0.3], [True])

    f1 = dict(zip(THRESHOLDS.tolist(), tally.f1(), strict=True))

    assert f1[0.0] == pytest.approx(2 * 2 / (3 + 3))
    assert f1[0.3] == pytest.approx(2 * 2 / (3 + 3))  # a score at the threshold counts
    assert f1[0.31] == pytest.approx(2 * 1 / (2 + 3))
    assert f1[0.61] == pytest.approx(2 * 1 / (1 + 3))
    assert f1[0.91] == 0
    assert (tally + tally).f1()[0] == pytest.approx(2 / 3)


def test_f1_without_objects():
    tally = Tally()
    tally.add(0, [0.9], [False])

    assert tally.f1() is None


def test_matching_is_that_of_coco():
    """On random images: as many right detections, at every score, as pycocotools' curves say."""
    images = random_images(seed=3)
    right, total = [], 0
    for truth, found in images:
        matching = detection_errors.match(
            truth, found, detection_errors.overlaps(truth, found, "boxes"), 0.5
        )
        counted = ~matching.in_crowd
        right += list(zip(found.scores[counted], matching.truth_of[counted] >= 0, strict=True))
        total += int((~truth.flags("crowd")).sum())

    assert sorted(right) == coco_right(images)
    assert total > 20 and 10 < sum(hit for _, hit in right) < len(right)
