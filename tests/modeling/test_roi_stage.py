"""The second stage apart from the network: mining, calibration, shared boxes."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tiny_models import truth_of

from object_detection.builders import post_processing_builder
from object_detection.export.portable import PortableCropper
from object_detection.modeling import roi_stage
from object_detection.modeling.roi_stage import DetectionSettings, RoiStage, SamplingSettings
from object_detection.ops.losses import (
    HardExampleMiner,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from object_detection.protos import post_processing_pb2
from object_detection.structures.batch import BoxOutput, Proposals, Rois

SETTINGS = DetectionSettings(
    score_converter="SOFTMAX",
    logit_scale=1.0,
    score_threshold=0.0,
    iou_threshold=0.5,
    max_per_class=4,
    max_total=4,
    soft_nms_sigma=0.0,
    class_agnostic=False,
    max_classes_per_detection=1,
)


def stage_of(**kwargs):
    """A stage without trunk and head; its class loss is the first logit."""
    return RoiStage(
        None,
        None,
        None,
        sampling=SamplingSettings(batch_size=2, positive_fraction=0.5, add_groundtruth=False),
        detection=kwargs.pop("detection", SETTINGS),
        classification_loss=lambda logits, onehot: logits[..., 0],
        **kwargs,
    )


def miner(**settings):
    return HardExampleMiner(
        **{"num_hard_examples": 2, "iou_threshold": 0.5, "loss_type": "BOTH", **settings}
    )


def rois_and_output():
    """Two images, four rois each, far apart but for the last two, which are at one place.

    The last roi of the second image is padding. The first roi of each is an object of class 1.
    """
    corner = tf.constant([0.0, 20.0, 40.0, 40.0])
    boxes = tf.stack([corner, corner, corner + 10, corner + 10], -1)
    boxes = tf.stack([boxes, boxes])
    valid = tf.constant([[True] * 4, [True] * 3 + [False]])
    classes = tf.constant([[1, 0, 0, 0]] * 2)
    weight = tf.cast(valid, tf.float32)
    rois = Rois(boxes, valid, classes, tf.zeros([2, 4, 4]), tf.zeros([2, 4], tf.int32), weight)
    losses = tf.constant([[1.0, 8.0, 5.0, 6.0], [4.0, 2.0, 3.0, 99.0]])
    deltas = tf.constant([[3.5, 0, 0, 0]] * 4)  # a loss of 3.5 - .5 on the object alone
    return rois, BoxOutput(
        tf.stack([losses, losses], -1), tf.tile(deltas[tf.newaxis, :, tf.newaxis], [2, 1, 1, 1])
    )


@pytest.mark.parametrize(
    ("settings", "localization", "classification"),
    [
        (None, 3 / 8 + 3 / 6, 20 / 8 + 9 / 6),
        # Ranked by both, as they count: 4 8 5 6 and 7 2 3. The third of the first image yields to
        # the fourth, which lies on it.
        ({}, 3 / 6, 14 / 8 + 7 / 6),
        ({"num_hard_examples": 0}, 3 / 8 + 3 / 6, 15 / 8 + 9 / 6),
        ({"loss_type": "LOCALIZATION"}, 3 / 8 + 3 / 6, 9 / 8 + 6 / 6),
        ({"iou_threshold": 1.0, "num_hard_examples": 3}, 3 / 6, 19 / 8 + 9 / 6),
    ],
)
def test_the_hardest_rois_of_each_image_count(settings, localization, classification):
    # Divisors: 2 images times 4 rois, and times 3; they stay those of all rois.
    stage = stage_of(miner=None if settings is None else miner(**settings))
    rois, output = rois_and_output()
    found = stage.losses_of(output, rois)
    np.testing.assert_allclose(found, [localization, classification], rtol=1e-6)


LN2, LN3 = np.log(2.0), np.log(3.0)


# One roi on one object; logits 0, ln 2, 0 are probabilities of 1/4, 1/2, 1/4 under softmax, and of
# 1/2, 2/3, 1/2 under sigmoid.
@pytest.mark.parametrize(
    ("targets", "target_class", "softmax", "sigmoid"),
    [
        ([0.0, 0.0], 0, 0.0, LN2 + LN3 + LN2),  # of no class, and no background either
        ([1.0, 0.0], 1, LN2, LN2 + (LN3 - LN2) + LN2),
        ([1.0, 1.0], 1, LN2 + 2 * LN2, LN2 + (LN3 - LN2) + LN2),
        ([0.0, 1.0], 2, 2 * LN2, LN2 + LN3 + LN2),
    ],
)
def test_objects_of_several_classes_or_of_none(targets, target_class, softmax, sigmoid):
    box = tf.constant([[[0.0, 0, 10, 10]]])
    truth = truth_of(box)._replace(
        classes=tf.constant([[target_class]]), class_targets=tf.constant([[targets]])
    )
    logits = tf.Variable([[[0.0, LN2, 0.0]]], dtype=tf.float32)
    # A y delta of 3.5 for class 1 and 1.5 for class 2, against 0: losses of 3.0 and 1.0; an object
    # of no class has deltas of 0.
    deltas = tf.constant([[[[3.5, 0, 0, 0], [1.5, 0, 0, 0]]]])
    for loss, expected in ((softmax_cross_entropy, softmax), (of_each_class, sigmoid)):
        stage = stage_of()
        stage.classification_loss = loss
        rois = stage.with_targets(box, tf.constant([[True]]), truth)
        with tf.GradientTape() as tape:
            found = stage.losses_of(BoxOutput(tf.identity(logits), deltas), rois)
        np.testing.assert_allclose(found, [[0.0, 3.0, 1.0][target_class], expected], atol=1e-6)
        gradient = tape.gradient(found[1], logits)
        assert bool(tf.reduce_any(gradient != 0)) == (expected > 0)


def of_each_class(logits, targets):
    return tf.reduce_sum(sigmoid_cross_entropy(logits, targets), -1)


def test_with_a_miner_every_proposal_is_a_roi():
    rois, _ = rois_and_output()
    proposals = Proposals(rois.boxes, tf.zeros([2, 4]), rois.valid)
    truth = truth_of(rois.boxes[:, :1])
    found = stage_of(miner=miner()).sample(proposals, truth, seed=None)
    np.testing.assert_array_equal(found.valid, rois.valid)
    assert found.target_class.numpy().tolist() == [[1, 0, 0, 0]] * 2


def proposals_and_output(boxes=2):
    corner = tf.constant([[0.0, 30.0]])
    proposals = Proposals(
        tf.stack([corner, corner, corner + 10, corner + 10], -1),
        tf.ones([1, 2]),
        tf.ones([1, 2], tf.bool),
    )
    logits = tf.math.log([[[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]]])
    return BoxOutput(logits, tf.zeros([1, 2, boxes, 4])), proposals


def test_scores_are_calibrated_before_suppression():
    output, proposals = proposals_and_output()
    detection = SETTINGS._replace(score_threshold=0.3, calibrate=lambda scores: 1 - scores)
    found = stage_of(detection=detection).detect(output, proposals, [[64, 64]])

    # .9 of class 2 and class 1, .6 of class 2, .3 of class 1 is not above the threshold.
    np.testing.assert_allclose(found.scores, [[0.9, 0.9, 0.6, 0]], rtol=1e-5)
    assert found.classes.numpy().tolist() == [[1, 2, 2, 0]]
    np.testing.assert_allclose(found.raw_scores, [[[0.8, 0.3, 0.9], [0.5, 0.9, 0.6]]], rtol=1e-5)
    np.testing.assert_allclose(found.multiclass_scores[0, 0], [0.5, 0.9, 0.6], rtol=1e-5)


def test_a_temperature_divides_the_logits():
    """softmax([0, 4, 1] / 2) is [e^0, e^2, e^.5] / 10.0378, whatever the order of columns."""
    text = "score_converter: SOFTMAX calibration_config {"
    text += " temperature_scaling_calibration { scaler: 2 } }"
    processing = text_format.Parse(text, post_processing_pb2.PostProcessing())
    output, proposals = proposals_and_output()
    output = output._replace(class_logits=tf.constant([[[0.0, 4, 1], [0.0, 4, 1]]]))
    stage = stage_of(detection=post_processing_builder.build(processing))
    found = stage.detect(output, proposals, [[64, 64]])
    want = [0.0996, 0.7361, 0.1643]
    np.testing.assert_allclose(found.raw_scores[0], [want, want], atol=5e-5)
    np.testing.assert_allclose(found.multiclass_scores[0, 0], want, atol=5e-5)


@pytest.mark.parametrize(
    ("converter", "expected"),
    # Logits are halved: the roots of the odds, 7 : 2 : 1 and so on.
    [("IDENTITY", np.log(0.7) / 2), ("SIGMOID", 1 / (1 + 0.7**-0.5))],
)
def test_score_converters(converter, expected):
    output, proposals = proposals_and_output()
    detection = SETTINGS._replace(score_converter=converter, logit_scale=2.0, score_threshold=-9)
    found = stage_of(detection=detection).detect(output, proposals, [[64, 64]])
    np.testing.assert_allclose(found.scores[0, 0], expected, rtol=1e-5)


def test_a_shared_box_is_the_box_of_every_class():
    shared, proposals = proposals_and_output(boxes=1)
    own, _ = proposals_and_output(boxes=2)
    stage = stage_of()
    found = [stage.detect(output, proposals, [[64, 64]]) for output in (shared, own)]
    for one, other in zip(*found, strict=True):
        if one is not None:
            np.testing.assert_array_equal(one, other)


def test_class_agnostic_suppression_leaves_a_box_its_best_class():
    output, proposals = proposals_and_output()
    detection = SETTINGS._replace(class_agnostic=True)
    found = stage_of(detection=detection).detect(output, proposals, [[64, 64]])
    np.testing.assert_allclose(found.scores, [[0.7, 0.4, 0, 0]], rtol=1e-5)
    assert found.classes.numpy().tolist() == [[1, 2, 0, 0]]


@pytest.mark.parametrize("shared", [False, True])
def test_only_the_chosen_classes_are_detected(shared):
    output, proposals = proposals_and_output(boxes=1 if shared else 2)
    every = stage_of().detect(output, proposals, [[64, 64]])
    found = stage_of(detection=SETTINGS._replace(classes=(2,))).detect(
        output, proposals, [[64, 64]]
    )
    ours = every.classes[0].numpy() == 2
    assert 0 < ours.sum() < len(ours)
    np.testing.assert_allclose(found.scores[0, : ours.sum()], every.scores[0][ours])
    np.testing.assert_allclose(found.boxes[0, : ours.sum()], every.boxes[0][ours])
    assert found.classes[0].numpy().tolist() == [2] * ours.sum() + [0] * (~ours).sum()
    np.testing.assert_array_equal(found.raw_scores, every.raw_scores)


def test_chosen_classes_where_classes_suppress_each_other():
    output, proposals = proposals_and_output()
    detection = SETTINGS._replace(class_agnostic=True, classes=(2,))
    found = stage_of(detection=detection).detect(output, proposals, [[64, 64]])
    # Of .7 of class 1 and .4 of class 2, in two places, the second is left and moves up.
    np.testing.assert_allclose(found.scores, [[0.4, 0, 0, 0]], rtol=1e-5)
    assert found.classes.numpy().tolist() == [[2, 0, 0, 0]]
    np.testing.assert_allclose(found.boxes[0, 0], proposals.boxes[0, 1])
    assert found.valid.numpy().tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("cropper", [roi_stage.RoiCropper, PortableCropper])
@pytest.mark.parametrize("unstretched", [False, True])
def test_crops_of_a_padded_pyramid(unstretched, cropper):
    """An image of 40 x 64, padded to 64 x 64: maps that hold the rows of their cells."""
    rows = {level: tf.range(64 >> level, dtype=tf.float32) * 2.0**level for level in (2, 3)}
    features = {
        level: tf.tile(row[tf.newaxis, :, tf.newaxis, tf.newaxis], [1, 1, 64 >> level, 1])
        for level, row in rows.items()
    }
    settings = roi_stage.CropSettings(3, 1, 1, False, True, unstretched=unstretched)
    boxes = tf.constant([[10.0, 0.0, 30.0, 32.0]])

    crops = cropper(settings).crop_rows(features, boxes, tf.constant([0]), (40, 64), 3)

    # A crop's rows are y / height * (64 / 4 - 1) cells of 4 pixels.
    height = 64 if unstretched else 40
    wanted = np.array([10.0, 20.0, 30.0]) / height * 15 * 4
    np.testing.assert_allclose(crops[0, :, 0, 0], wanted, rtol=1e-6)
