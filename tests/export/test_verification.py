"""Which differences between two answers count."""

import numpy as np
import pytest

from object_detection.errors import ExportError
from object_detection.export import verification
from object_detection.export.options import ExportOptions


def answer(scores=(0.9, 0.6, 0.3), **changes):
    """Detections side by side."""
    count = len(scores)
    left = np.arange(count, dtype=np.float32) / 10
    outputs = {
        "num_detections": np.float32([count]),
        "detection_scores": np.float32([scores]),
        "detection_classes": np.float32([[1, 2, 1, 2][:count]]),
        "detection_boxes": np.stack([left, left, left + 0.2, left + 0.3], -1)[np.newaxis],
        "detection_masks": np.full([1, count, 4, 4], 0.7, np.float32),
        "raw_detection_scores": np.float32([[[0.1, 0.9, 0.0], [0.4, 0.0, 0.6]]]),
    }
    return outputs | changes


def compared(got, wanted=None, **kwargs):
    verification.check_outputs(
        {"serving_default": got}, wanted or answer(), verification.FLOAT32, **kwargs
    )


def test_the_same_in_another_order_is_the_same():
    one = answer()
    turned = {k: v[:, ::-1] if k.startswith("detection_") else v for k, v in one.items()}
    compared(turned)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detection_scores": np.float32([[0.9, 0.61, 0.3]])}, "1 of 3 detections are missing"),
        ({"detection_scores": np.float32([[0.9, 0.6, 0.4]])}, "1 of 3 detections"),
        ({"detection_classes": np.float32([[1, 1, 1]])}, "1 of 3 detections"),
        (
            {"detection_masks": np.full([1, 3, 4, 4], 0.71, np.float32)},
            "masks differ by up to 0.01",
        ),
        ({"num_detections": np.float32([2])}, "2 detections instead of 3"),
        ({"detection_boxes": np.full([1, 3, 4], np.nan, np.float32)}, "is not finite"),
        ({"raw_detection_scores": np.zeros([1, 2, 3], np.float32)}, "2 of 2 proposals have no"),
        ({"raw_detection_scores": np.zeros([1, 5, 3], np.float32)}, "5 proposals instead of 2"),
    ],
)
def test_differences_are_reported(changes, message):
    with pytest.raises(ExportError, match=message):
        compared(answer(**changes))


def test_an_output_that_is_not_there():
    got = answer()
    del got["detection_masks"]
    with pytest.raises(ExportError, match="missing outputs: detection_masks"):
        compared(got)


def test_what_ties_with_the_last_may_be_another():
    wanted = answer((0.9, 0.3, 0.3))
    other = answer((0.9, 0.3, 0.30001))
    other["detection_boxes"][0, 2] = [0.5, 0.5, 0.9, 0.9]
    compared(other, wanted)
    other["detection_scores"][0, 2] = 0.4
    with pytest.raises(ExportError):
        compared(other, wanted)


def test_more_of_the_chosen_classes_are_right():
    with pytest.raises(ExportError, match="3 detections instead of 2"):
        compared(answer(), answer((0.9, 0.6)))
    compared(answer(), answer((0.9, 0.6)), allow_more=True)


def test_what_options_leave_of_an_answer():
    chosen = ExportOptions(score_threshold=0.3, max_detections=2, masks="none")
    left = verification.narrow_outputs(answer((0.9, 0.6, 0.5, 0.3)), chosen, (2,))
    assert left["num_detections"].tolist() == [1]
    np.testing.assert_allclose(left["detection_scores"], [[0.6]])
    assert "detection_masks" not in left


def test_precision_effect():
    got = answer((0.88, 0.6, 0.3))
    got["detection_boxes"] = got["detection_boxes"].copy()
    got["detection_boxes"][0, 1] += 0.1
    effect = verification.precision_effect(got, answer())
    assert effect == {
        "detections": 3, "found_again": 2, "mean_box_iou": 1.0, "largest_score_change": 0.02
    }  # fmt: skip


def proposals(count=64):
    """The scores and boxes of proposals, best first, one beside the other."""
    best = np.linspace(0.95, 0.01, count, dtype=np.float32)
    scores = np.stack([1 - best, best, np.zeros_like(best)], -1)
    left = np.linspace(0.1, 0.6, count, dtype=np.float32)
    boxes = np.stack([left, left, left + 0.2, left + 0.3], -1)
    return {"raw_detection_scores": scores[np.newaxis], "raw_detection_boxes": boxes[np.newaxis]}


def exchanged(rows, score, place):
    """Proposals of which one is another, in its own place among the ordered rows."""
    scores, boxes = (rows[name][0] for name in ("raw_detection_scores", "raw_detection_boxes"))
    scores = np.insert(scores[1:], place, [1 - score, score, 0], axis=0)
    boxes = np.insert(boxes[1:], place, [0.7, 0.05, 0.9, 0.3], axis=0)
    return {"raw_detection_scores": scores[np.newaxis], "raw_detection_boxes": boxes[np.newaxis]}


def test_a_proposal_that_rounding_exchanged_is_no_difference():
    rows = proposals()
    turned = {name: value[:, ::-1] for name, value in rows.items()}
    one = exchanged(rows, 0.4, 37)  # moves 37 rows by one
    for got in (rows, turned, one):
        compared(answer(**got), answer(**rows))
    without_boxes = {"raw_detection_scores": one["raw_detection_scores"]}
    compared(answer(**without_boxes), answer(**rows))


@pytest.mark.parametrize("row", [0, 20, 63])
def test_a_proposal_that_is_scored_otherwise_is_a_difference(row):
    """One of 64 is enough: it is the same box."""
    rows = proposals()
    scores = rows["raw_detection_scores"].copy()
    scores[0, row, 1:] += [0, 0.2]
    with pytest.raises(ExportError) as fault:
        compared(answer(**rows | {"raw_detection_scores": scores}), answer(**rows))
    text = str(fault.value)
    assert "the scores of 1 of 64 proposals differ by up to 0.2000" in text
    assert "--test_image=FILE" in text and "--verify=false" in text


def test_too_many_exchanged_proposals_are_a_difference():
    got = rows = proposals()
    for number in range(7):  # six are a tenth
        if number == 6:
            compared(answer(**got), answer(**rows))
        got = exchanged(got, 0.4 + number / 100, 30)
    with pytest.raises(ExportError, match="7 of 64 proposals have no partner"):
        compared(answer(**got), answer(**rows))
