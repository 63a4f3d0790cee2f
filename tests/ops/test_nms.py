"""Suppression: by hand, against a plain loop, and TFOD's."""

import json

import numpy as np
import pytest
import tensorflow as tf
from random_boxes import clustered_boxes
from reference import blocks, needs_reference

from object_detection.ops import boxes as box_ops
from object_detection.ops.nms import keep_best, multiclass_nms, proposals_nms

GOLDEN = blocks("multiclass_nms")
EVERYWHERE = tf.constant([[-1e6, -1e6, 1e6, 1e6]])
LIMITS = {"score_threshold": 0.0, "iou_threshold": 0.5, "max_per_class": 10, "max_total": 10}


def row(y, size=10.0):
    """A square box `y` below the top."""
    return [y, 0.0, y + size, size]


def proposals(boxes, scores, window=EVERYWHERE, valid=None, **limits):
    limits = {"score_threshold": 0.0, "iou_threshold": 0.5, "max_output": 4, **limits}
    valid = None if valid is None else tf.constant([valid])
    return proposals_nms(among([boxes]), tf.constant([scores]), valid, window, **limits)


def among(boxes):
    """What `proposals_nms` asks for boxes [B, N, 4]."""
    boxes = tf.convert_to_tensor(boxes)
    return lambda rows: boxes if rows is None else tf.gather(boxes, rows, batch_dims=1)


def detections(boxes, scores, window=EVERYWHERE, valid=None, **limits):
    boxes, scores = tf.constant(boxes)[tf.newaxis], tf.constant(scores)[tf.newaxis]
    valid = None if valid is None else tf.constant([valid])
    return multiclass_nms(boxes, scores, valid, window, **{**LIMITS, **limits})


def listed(tensor, valid):
    return tensor[valid].numpy().tolist()


def test_the_worse_of_two_that_overlap_goes():
    # Rows at 0 and 3 share 7 of 13: IoU .54. At 0 and 4 they share 6 of 14: .43.
    found = proposals([row(0.0), row(3.0), row(4.0)], [0.8, 0.9, 0.7])
    assert found.boxes[0, :2].numpy().tolist() == [row(3.0), [0.0] * 4]
    found = proposals([row(0.0), row(4.0)], [0.8, 0.9])
    assert listed(found.boxes, found.valid) == [row(4.0), row(0.0)]
    np.testing.assert_allclose(found.scores[0], [0.9, 0.8, 0, 0])


def test_overlap_at_the_threshold_stays_and_a_score_at_the_threshold_goes():
    # Rows 6 apart share 4 of 16: 0.25, exact in float32.
    found = proposals([row(0.0), row(6.0)], [0.5, 0.75], iou_threshold=0.25, score_threshold=0.25)
    assert found.valid.numpy().sum() == 2
    found = proposals([row(0.0), row(50.0)], [0.25, 0.75], score_threshold=0.25)
    assert found.valid.numpy().sum() == 1


def test_of_equal_scores_the_first_stays():
    found = proposals([row(0.0), row(1.0)], [0.5, 0.5])
    assert listed(found.boxes, found.valid) == [row(0.0)]


def test_survivors_are_clipped_and_those_without_area_leave_a_gap():
    boxes = [row(0.0), row(20.0), row(95.0)]
    found = proposals(boxes, [0.7, 0.9, 0.8], tf.constant([[0.0, 0.0, 15.0, 5.0]]), max_output=2)
    # Two are kept, 20 and 95; clipped to rows up to 15 neither has area, and row 0 came too late.
    assert not found.valid.numpy().any()
    assert not found.boxes.numpy().any() and not found.scores.numpy().any()
    found = proposals(boxes, [0.7, 0.9, 0.8], tf.constant([[0.0, 0.0, 100.0, 5.0]]))
    assert listed(found.boxes, found.valid) == [
        [20.0, 0.0, 30.0, 5.0],
        [95.0, 0.0, 100.0, 5.0],
        [0.0, 0.0, 10.0, 5.0],
    ]


def test_suppression_sees_boxes_unclipped():
    # Inside the window the two are one box; unclipped they hardly meet.
    boxes = [[-90.0, 0.0, 10.0, 10.0], [0.0, 0.0, 100.0, 10.0]]
    found = proposals(boxes, [0.9, 0.8], tf.constant([[0.0, 0.0, 10.0, 10.0]]))
    assert listed(found.boxes, found.valid) == [row(0.0), row(0.0)]


def test_boxes_that_do_not_count_suppress_nothing():
    found = proposals([row(0.0), row(1.0)], [0.9, 0.5], valid=[False, True])
    assert listed(found.boxes, found.valid) == [row(1.0)]
    # They stay out even where the threshold lets every score pass.
    found = proposals([row(0.0), row(50.0)], [0.9, -5.0], valid=[False, True], score_threshold=-1e9)
    assert listed(found.scores, found.valid) == [-5.0]


def test_classes_do_not_suppress_each_other():
    found = detections([[row(0.0)], [row(1.0)]], [[0.9, 0.3], [0.8, 0.7]])
    assert listed(found.classes, found.valid) == [0, 1]
    assert listed(found.index, found.valid) == [0, 1]
    np.testing.assert_allclose(listed(found.scores, found.valid), [0.9, 0.7])
    assert found.index.dtype == found.classes.dtype == tf.int32


def test_each_class_has_its_own_boxes():
    found = detections([[row(0.0), row(40.0)], [row(1.0), row(80.0)]], [[0.9, 0.3], [0.8, 0.7]])
    assert listed(found.boxes, found.valid) == [row(0.0), row(80.0), row(40.0)]
    assert listed(found.classes, found.valid) == [0, 1, 1]
    assert listed(found.index, found.valid) == [0, 1, 0]


def test_the_limits_of_a_class_and_of_all():
    boxes = [[row(20.0 * i)] for i in range(4)]
    scores = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]
    found = detections(boxes, scores, max_per_class=2)
    np.testing.assert_allclose(listed(found.scores, found.valid), [0.9, 0.8, 0.4, 0.3])
    assert found.boxes.shape == (1, 10, 4)
    found = detections(boxes, scores, max_per_class=2, max_total=3)
    np.testing.assert_allclose(found.scores[0], [0.9, 0.8, 0.4])


def test_equal_scores_stand_in_the_order_of_classes():
    boxes = [[row(20.0 * i)] for i in range(3)]
    found = detections(boxes, [[0.5, 0.5], [0.25, 0.5], [0.5, 0.25]])
    assert listed(found.classes, found.valid) == [0, 0, 1, 1, 0, 1]
    assert listed(found.index, found.valid) == [0, 2, 0, 1, 1, 2]


def test_padded_proposals_are_not_detected():
    found = detections([[row(0.0)], [row(50.0)]], [[0.9], [0.8]], valid=[False, True])
    assert listed(found.index, found.valid) == [1]
    assert not found.boxes[~found.valid].numpy().any()


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_padding_is_zero(class_agnostic):
    # The one detection is of row 1 and class 1: nothing of it may be in the padding.
    found = detections(
        [[row(0.0)], [row(50.0)]], [[-1.0, -1.0], [-1.0, 0.8]], class_agnostic=class_agnostic
    )
    assert found.valid.numpy().tolist() == [[True] + [False] * 9]
    assert listed(found.index, found.valid) == listed(found.classes, found.valid) == [1]
    for values in found:
        assert not values[:, 1:].numpy().any()


def test_class_agnostic_boxes_suppress_boxes_of_any_class():
    boxes, scores = [[row(0.0)], [row(1.0)], [row(50.0)]], [[0.9, 0.3], [0.1, 0.8], [0.2, 0.6]]
    found = detections(boxes, scores, class_agnostic=True, max_per_class=1)
    assert listed(found.classes, found.valid) == [0, 1]
    assert listed(found.index, found.valid) == [0, 2]
    with pytest.raises(ValueError, match="max_classes_per_detection is 2"):
        detections(boxes, scores, class_agnostic=True, max_classes_per_detection=2)


def test_class_agnostic_boxes_are_those_of_the_best_class():
    found = detections([[row(0.0), row(40.0)]], [[0.3, 0.6]], class_agnostic=True)
    assert listed(found.boxes, found.valid) == [row(40.0)]


def test_soft_suppression_by_hand():
    # IoU of rows 2 apart: 8 / 12. The second's score is lowered by exp(-iou^2 / (2 sigma)).
    found = detections([[row(0.0)], [row(2.0)]], [[0.9], [0.8]], soft_sigma=0.5, iou_threshold=1.0)
    np.testing.assert_allclose(
        listed(found.scores, found.valid), [0.9, 0.8 * np.exp(-((8 / 12) ** 2))], rtol=1e-6
    )


def plain_nms(boxes, scores, iou_threshold, score_threshold, limit):
    """The textbook's loop."""
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > score_threshold]
    iou = box_ops.iou(tf.constant(boxes), tf.constant(boxes)).numpy()
    kept = []
    for i in order:
        if len(kept) < limit and not any(iou[i, j] > iou_threshold for j in kept):
            kept.append(i)
    return kept


def test_proposals_are_those_of_a_plain_loop():
    boxes = np.stack([clustered_boxes(seed, 300) for seed in (0, 1)])
    scores = np.random.default_rng(2).random((2, 300)).astype(np.float32)
    scores[:, ::7] = 0.5  # ties
    window = tf.constant([[10.0, 10.0, 90.0, 60.0], [0.0, 0.0, 100.0, 100.0]])
    found = proposals_nms(
        among(boxes), scores, None, window, score_threshold=0.2, iou_threshold=0.4, max_output=60
    )
    for image in range(2):
        kept = plain_nms(boxes[image], scores[image], 0.4, 0.2, 60)
        clipped = box_ops.clip(tf.gather(boxes[image], kept), window[image])
        kept_scores = tf.gather(scores[image], kept)
        area = box_ops.area(clipped) > 0
        np.testing.assert_array_equal(found.boxes[image][found.valid[image]], clipped[area])
        np.testing.assert_array_equal(found.scores[image][found.valid[image]], kept_scores[area])


@pytest.mark.parametrize("spread, looked_at", [(100.0, ["best"]), (12.0, ["best", "all"])])
def test_the_best_proposals_alone_give_the_same(spread, looked_at):
    # Of 4 x 20 boxes 20 survive where they are spread out; in a heap they do not, and one that
    # stands far down takes a place.
    rng = np.random.default_rng(3)
    low = rng.uniform(0, spread, [2, 500, 2]).astype(np.float32)
    boxes = np.concatenate([low, low + rng.uniform(8, 12, low.shape)], axis=2).astype(np.float32)
    scores = np.round(rng.random((2, 500)), 2).astype(np.float32)  # ties
    scores[:, 5], scores[1, 7] = np.nan, np.inf
    valid = tf.constant(rng.random((2, 500)) < 0.9)
    limits = {"score_threshold": 0.1, "iou_threshold": 0.3, "max_output": 20}
    window = tf.constant([[10.0, 10.0, 90.0, 60.0], [0.0, 0.0, 100.0, 100.0]])
    asked = []

    def boxes_of(rows):
        tf.py_function(lambda: asked.append("all" if rows is None else "best"), [], [])
        return among(boxes)(rows)

    found = tf.function(lambda: proposals_nms(boxes_of, scores, valid, window, **limits))()
    plain = proposals_nms(among(boxes), scores, valid, window, **limits, best_first=False)
    for ours, theirs in zip(found, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert asked == looked_at


def test_a_batch_is_its_images_and_padding_changes_nothing():
    rng = np.random.default_rng(5)
    boxes = np.stack([clustered_boxes(seed, 3 * 40).reshape(40, 3, 4) for seed in (0, 1)])
    scores = rng.random((2, 40, 3)).astype(np.float32)
    valid = np.arange(40) < [[40], [25]]
    window = tf.constant([[0.0, 0.0, 90.0, 90.0], [0.0, 0.0, 50.0, 70.0]])
    limits = {**LIMITS, "score_threshold": 0.3}
    both = multiclass_nms(boxes, scores, valid, window, **limits)
    first = multiclass_nms(boxes[:1], scores[:1], None, window[:1], **limits)
    second = multiclass_nms(boxes[1:, :25], scores[1:, :25], None, window[1:], **limits)
    for found, one, other in zip(both, first, second, strict=True):
        np.testing.assert_array_equal(found, tf.concat([one, other], axis=0))


def test_unknown_shapes():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 4]),
            tf.TensorSpec([None, None, None]),
            tf.TensorSpec([None, None], tf.bool),
            tf.TensorSpec([None, 4]),
        ]
    )
    def found(boxes, scores, valid, window):
        per_class = multiclass_nms(boxes, scores, valid, window, **LIMITS)
        best = proposals_nms(
            among(boxes[:, :, 0]),
            scores[..., 0],
            valid,
            window,
            score_threshold=0.0,
            iou_threshold=0.5,
            max_output=7,
        )
        return per_class, best

    boxes = clustered_boxes(0, 2 * 5 * 3).reshape(2, 5, 3, 4)
    scores = np.random.default_rng(0).random((2, 5, 3)).astype(np.float32)
    window = tf.tile(EVERYWHERE, [2, 1])
    valid = tf.ones([2, 5], tf.bool)
    per_class, best = found(boxes, scores, valid, window)
    assert best.boxes.shape == (2, 7, 4)
    for one, other in zip(
        per_class, multiclass_nms(boxes, scores, valid, window, **LIMITS), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    per_class, best = found(boxes, scores, ~valid, window)
    assert not per_class.valid.numpy().any() and not best.valid.numpy().any()


def test_keep_best_marks_in_place():
    boxes = tf.constant([[row(0.0), row(1.0), row(40.0), row(80.0)]])
    scores = tf.constant([[0.1, 0.2, 0.3, 0.4]])
    kept = keep_best(
        boxes, scores, tf.constant([[True, True, True, False]]), iou_threshold=0.5, max_output=9
    )
    assert kept.numpy().tolist() == [[False, True, True, False]]


@needs_reference
@pytest.mark.parametrize("case", ["a", "b", "c", "soft", "soft2", "pad", "part"])
def test_detections_as_in_tfod(case):
    arguments = json.loads(str(GOLDEN[f"{case}/args"]))
    shared = case in ("c", "soft2")
    boxes = GOLDEN["boxes_shared" if shared else "boxes_per_class"]
    clipped = "clip_window" in arguments
    window = tf.constant(GOLDEN["clip_window"])[tf.newaxis] if clipped else EVERYWHERE
    found = detections(
        boxes,
        GOLDEN["scores"],
        window,
        score_threshold=arguments["score_thresh"],
        iou_threshold=arguments["iou_thresh"],
        max_per_class=arguments["max_size_per_class"],
        max_total=arguments["max_total_size"],
        soft_sigma=arguments.get("soft_nms_sigma", 0.0),
    )
    found_boxes = found.boxes
    if arguments.get("change_coordinate_frame"):
        found_boxes = box_ops.change_frame(found_boxes, window[:, tf.newaxis])
    count = int(GOLDEN[f"{case}/num_valid"])
    # With padding TFOD keeps boxes without area where without padding it drops them.
    expected = {k: GOLDEN[f"{case}/{k}"][:count] for k in ("boxes", "scores", "classes")}
    has_area = box_ops.area(expected["boxes"]).numpy() > 0
    assert has_area.all() or case in ("pad", "part")
    valid = found.valid[0].numpy()
    assert valid.sum() == has_area.sum()
    for name, values in (
        ("boxes", found_boxes),
        ("scores", found.scores),
        ("classes", found.classes),
    ):
        np.testing.assert_allclose(
            values[0][valid], expected[name][has_area], rtol=1e-6, atol=1e-6, err_msg=name
        )
    if case == "b":
        np.testing.assert_array_equal(
            tf.gather(GOLDEN["extra"], found.index[0][valid]), GOLDEN["b/extra"]
        )
        pairs = tf.stack([found.index, found.classes], axis=-1)[0][valid]
        np.testing.assert_array_equal(tf.gather_nd(GOLDEN["masks"], pairs), GOLDEN["b/masks"])


@needs_reference
def test_a_batch_of_detections_as_in_tfod():
    window = tf.constant(GOLDEN["batch/clip_window"])
    boxes, scores = GOLDEN["batch/in_boxes"], GOLDEN["batch/in_scores"]
    valid = np.arange(boxes.shape[1]) < GOLDEN["batch/num_valid_boxes"][:, np.newaxis]
    found = multiclass_nms(
        boxes,
        scores,
        valid,
        window,
        score_threshold=0.1,
        iou_threshold=0.5,
        max_per_class=10,
        max_total=40,
    )
    np.testing.assert_array_equal(found.valid.numpy().sum(1), GOLDEN["batch/num"])
    in_window = box_ops.change_frame(found.boxes, window[:, tf.newaxis])
    in_window = tf.where(found.valid[..., tf.newaxis], in_window, 0.0)
    np.testing.assert_allclose(in_window, GOLDEN["batch/boxes"], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found.scores, GOLDEN["batch/scores"])
    np.testing.assert_array_equal(found.classes, GOLDEN["batch/classes"])
    extra = np.stack([GOLDEN["extra"]] * 2)
    extra = tf.where(found.valid[..., tf.newaxis], tf.gather(extra, found.index, batch_dims=1), 0.0)
    np.testing.assert_array_equal(extra, GOLDEN["batch/extra"])


def crowded(seed, *, spread, shared=False, quantized=True):
    """Boxes [2, 40, C or 1, 4] and scores [2, 40, 12] with ties; the nearer the fewer survive."""
    rng = np.random.default_rng(seed)
    shape = (2, 40, 1 if shared else 12, 2)
    centre, half = rng.uniform(50, 50 + spread, shape), rng.uniform(10, 14, shape)
    boxes = np.concatenate([centre - half, centre + half], -1).astype(np.float32)
    scores = rng.uniform(0, 1, (2, 40, 12)).astype(np.float32)
    return boxes, np.round(scores, 2) if quantized else scores


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("threshold", [0.0, 0.95])
@pytest.mark.parametrize("spread", [500.0, 30.0])
def test_best_first_selects_the_same(seed, threshold, spread):
    boxes, scores = crowded(seed, spread=spread, shared=seed == 0, quantized=seed == 0)
    boxes[0, ::5] = -5.0  # outside the window, and without area
    valid = np.arange(40) < [[40], [33]]
    given = tuple(map(tf.constant, (boxes, scores, valid, [[0.0, 0.0, 300.0, 400.0]] * 2)))
    limits = {"score_threshold": threshold, "iou_threshold": 0.5, "max_per_class": 7}

    for total in (5, 60):
        found = multiclass_nms(*given, **limits, max_total=total)
        plain = multiclass_nms(*given, **limits, max_total=total, best_first=False)
        for got, want in zip(found, plain, strict=True):
            np.testing.assert_array_equal(got, want)


def test_where_the_best_are_not_enough_all_are_looked_at():
    """The 10 best pairs of each wanted one are the same box, over and over."""
    boxes, scores = crowded(0, spread=0.0, quantized=False)
    boxes[:, :30] = [0.0, 0.0, 9.0, 9.0]
    scores[:, :30] += 1.0
    limits = {"score_threshold": 0.0, "iou_threshold": 0.5, "max_per_class": 7, "max_total": 20}
    boxes, scores = tf.constant(boxes), tf.constant(scores)
    window = tf.constant([[0.0, 0.0, 300.0, 400.0]] * 2)

    found = multiclass_nms(boxes, scores, None, window, **limits)

    plain = multiclass_nms(boxes, scores, None, window, **limits, best_first=False)
    assert found.valid.numpy().all() and (found.scores.numpy() < 1).any()
    for got, want in zip(found, plain, strict=True):
        np.testing.assert_array_equal(got, want)
