"""Matching: by hand, padding, TFOD's matcher and its target assigner."""

import numpy as np
import pytest
import tensorflow as tf
from random_boxes import random_boxes
from reference import blocks, needs_reference

from object_detection.ops import box_coder, boxes
from object_detection.ops.matcher import IGNORED, NEGATIVE, POSITIVE, match_boxes, match_by_iou

GOLDEN = blocks("matcher_assigner")
RPN = {"low": 0.3, "high": 0.7}


def labels_of(match):
    return match.label.numpy().tolist()


def indices_of(match):
    return match.gt_index.numpy().tolist()


def test_thresholds_by_hand():
    iou = tf.constant([[[0.7, 0.1], [0.69, 0.2], [0.3, 0.0], [0.29, 0.28]]])
    match = match_by_iou(iou, tf.constant([[True, True]]), **RPN)
    assert labels_of(match) == [[POSITIVE, IGNORED, IGNORED, NEGATIVE]]
    assert match.label.dtype == match.gt_index.dtype == tf.int32


def test_a_candidate_takes_the_first_of_its_best_overlaps():
    match = match_by_iou(tf.constant([[[0.5, 0.9, 0.9]]]), tf.ones([1, 3], tf.bool), **RPN)
    assert indices_of(match) == [[1]]


@pytest.mark.parametrize("force_best", [True, tf.constant([[True, True]])])
def test_padding_never_matches(force_best):
    iou = tf.constant([[[0.1, 0.95], [0.4, 0.9], [0.8, 0.9]]])  # the second column is padding's
    match = match_by_iou(iou, tf.constant([[True, False]]), force_best=force_best, **RPN)
    assert labels_of(match) == [[NEGATIVE, IGNORED, POSITIVE]]
    assert indices_of(match) == [[0, 0, 0]]


def test_the_best_candidate_of_each_ground_truth_is_forced():
    iou = tf.constant([[[0.2, 0.0], [0.1, 0.5], [0.05, 0.4]]])
    match = match_by_iou(iou, tf.ones([1, 2], tf.bool), force_best=True, **RPN)
    assert labels_of(match) == [[POSITIVE, POSITIVE, IGNORED]]
    assert indices_of(match)[0][:2] == [0, 1]


def test_a_forced_candidate_leaves_its_better_overlap():
    # Candidate 0 overlaps object 1 more, but is the best that object 0 has.
    iou = tf.constant([[[0.75, 0.8], [0.1, 0.9]]])
    match = match_by_iou(iou, tf.ones([1, 2], tf.bool), force_best=True, **RPN)
    assert indices_of(match) == [[0, 1]]


def test_the_first_of_equal_candidates_is_forced():
    iou = tf.constant([[[0.0], [0.2], [0.2]]])
    match = match_by_iou(iou, tf.ones([1, 1], tf.bool), force_best=True, **RPN)
    assert labels_of(match) == [[NEGATIVE, POSITIVE, NEGATIVE]]


def test_the_first_of_several_objects_keeps_a_forced_candidate():
    iou = tf.constant([[[0.1, 0.2, 0.25], [0.0, 0.1, 0.1]]])
    forcing = tf.constant([[False, True, True]])
    match = match_by_iou(iou, tf.ones([1, 3], tf.bool), force_best=forcing, **RPN)
    assert labels_of(match) == [[POSITIVE, NEGATIVE]]
    assert indices_of(match)[0][0] == 1


def test_only_candidates_are_forced():
    iou = tf.constant([[[0.6], [0.2], [0.1]]])
    for candidates in ([False, True, True], [[False, True, True]]):
        match = match_by_iou(
            iou,
            tf.ones([1, 1], tf.bool),
            force_best=True,
            candidates=tf.constant(candidates),
            **RPN,
        )
        assert labels_of(match) == [[IGNORED, POSITIVE, NEGATIVE]]


@pytest.mark.parametrize("force_best", [False, True, tf.zeros([2, 0], tf.bool)])
def test_without_ground_truth_all_is_background(force_best):
    match = match_by_iou(
        tf.zeros([2, 3, 0]), tf.zeros([2, 0], tf.bool), force_best=force_best, **RPN
    )
    assert labels_of(match) == [[NEGATIVE] * 3] * 2
    assert indices_of(match) == [[0] * 3] * 2


def as_function(function, *shapes):
    """`function` of (boxes, ground truth, valid, forcing) with every dimension unknown."""
    return tf.function(
        function,
        input_signature=[
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None], tf.bool),
            tf.TensorSpec([None, None], tf.bool),
        ],
    )


def plain(anchors, gt, valid, forcing):
    return match_by_iou(boxes.iou(anchors, gt), valid, force_best=forcing, **RPN)


def image_by_image(anchors, gt, valid, forcing):
    return match_boxes(anchors, gt, valid, force_best=forcing, **RPN)


@pytest.mark.parametrize("num_gt", [0, 1, 6])
def test_image_by_image_is_the_same(num_gt):
    anchors = tf.constant(random_boxes(0, 3, 200))
    gt = tf.constant(random_boxes(1, 3, num_gt))
    valid = tf.constant(np.random.default_rng(2).random((3, num_gt)) < 0.6)
    forcing = valid & (tf.constant(np.random.default_rng(3).random((3, num_gt)) < 0.6))
    expected = as_function(plain)(anchors, gt, valid, forcing)
    found = as_function(image_by_image)(anchors, gt, valid, forcing)
    np.testing.assert_array_equal(found.label, expected.label)
    decided = expected.label.numpy() == POSITIVE
    np.testing.assert_array_equal(found.gt_index[decided], expected.gt_index[decided])
    if num_gt:
        assert decided.any()


def test_shared_anchors_are_matched_to_each_image():
    anchors, gt = tf.constant(random_boxes(0, 50)), tf.constant(random_boxes(1, 2, 4))
    valid = tf.constant([[True, False, True, True], [False] * 4])
    best = tf.argmax(boxes.iou(anchors, gt[0]), axis=0)  # of each object; they may not be forced
    candidates = ~tf.reduce_any(tf.range(50, dtype=tf.int64)[:, tf.newaxis] == best, axis=1)
    found = match_boxes(anchors, gt, valid, force_best=True, candidates=candidates, **RPN)
    expected = match_by_iou(
        boxes.iou(tf.stack([anchors] * 2), gt), valid, force_best=True, candidates=candidates, **RPN
    )
    np.testing.assert_array_equal(found.label, expected.label)
    assert found.label.shape == (2, 50)
    assert labels_of(found)[1] == [NEGATIVE] * 50


def as_tfod(match):
    """TFOD's row of results: the index of a match, -1 for background, -2 for ignored."""
    match = [x[0].numpy() for x in match]
    return np.select([match[1] == POSITIVE, match[1] == NEGATIVE], [match[0], -1], -2)


@needs_reference
def test_matches_as_in_tfod():
    iou, forcing = tf.constant(GOLDEN["iou"].T[np.newaxis]), tf.constant(GOLDEN["weights"] > 0)
    everyone = tf.ones([1, len(GOLDEN["gt"])], tf.bool)
    np.testing.assert_array_equal(boxes.iou(GOLDEN["gt"], GOLDEN["anchors"]).numpy(), GOLDEN["iou"])
    first = match_by_iou(iou, everyone, force_best=forcing[tf.newaxis], **RPN)
    np.testing.assert_array_equal(as_tfod(first), GOLDEN["match_m73"])
    second = match_by_iou(iou, everyone, low=0.5, high=0.5)
    np.testing.assert_array_equal(as_tfod(second), GOLDEN["match_m55"])


@needs_reference
@pytest.mark.parametrize("stage", ["proposal", "detection"])
@pytest.mark.parametrize("weighted", ["", "_weighted"])
def test_targets_as_in_tfod(stage, weighted):
    golden = {
        key.split("/")[1]: value
        for key, value in GOLDEN.items()
        if key.startswith(f"{stage}{weighted}/")
    }
    gt, anchors = tf.constant(GOLDEN["gt"]), tf.constant(GOLDEN["anchors"])
    weights = tf.constant(GOLDEN["weights"]) if weighted else tf.ones(len(gt))
    thresholds = RPN if stage == "proposal" else {"low": 0.5, "high": 0.5}
    match = match_boxes(
        anchors,
        gt[tf.newaxis],
        tf.ones([1, len(gt)], tf.bool),
        force_best=(weights > 0)[tf.newaxis] if stage == "proposal" else False,
        **thresholds,
    )
    gt_index, label = match.gt_index[0], match.label[0]
    positive = label == POSITIVE
    weight = tf.where(positive, tf.gather(weights, gt_index), 1.0)
    deltas = box_coder.encode(tf.gather(gt, gt_index), anchors)

    np.testing.assert_array_equal(as_tfod(match), golden["match"])
    np.testing.assert_allclose(
        tf.where(positive[:, tf.newaxis], deltas, 0.0), golden["reg_targets"], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(tf.where(positive, weight, 0.0), golden["reg_weights"])
    np.testing.assert_array_equal(
        tf.where(label == IGNORED, 0.0, weight), golden["cls_weights"][:, 0]
    )
    if stage == "proposal":
        np.testing.assert_array_equal(tf.cast(positive, tf.float32), golden["cls_targets"][:, 0])
    else:
        background = tf.one_hot([0], 6)
        targets = tf.where(
            positive[:, tf.newaxis], tf.gather(GOLDEN["labels"], gt_index), background
        )
        np.testing.assert_array_equal(targets, golden["cls_targets"])


@needs_reference
def test_no_targets_without_ground_truth_as_in_tfod():
    match = match_boxes(
        tf.constant(GOLDEN["anchors"]),
        tf.zeros([1, 0, 4]),
        tf.zeros([1, 0], tf.bool),
        low=0.5,
        high=0.5,
    )
    np.testing.assert_array_equal(as_tfod(match), GOLDEN["detection_empty/match"])
    assert not GOLDEN["detection_empty/reg_weights"].any()
