"""Classification losses by name, with TFOD's numbers."""

import numpy as np
import pytest
from google.protobuf import text_format
from reference import blocks, needs_reference

from object_detection.builders.losses_builder import (
    build_faster_rcnn_classification_loss,
    build_hard_example_miner,
)
from object_detection.protos import losses_pb2


def _loss(text):
    return build_faster_rcnn_classification_loss(
        text_format.Parse(text, losses_pb2.ClassificationLoss())
    )


@needs_reference
@pytest.mark.parametrize(
    "text, golden",
    [
        ("", "softmax_scale1"),
        ("weighted_softmax {}", "softmax_scale1"),
        ("weighted_softmax { logit_scale: 2.0 }", "softmax_scale2"),
        ("weighted_sigmoid {}", "sigmoid"),
        ("weighted_sigmoid_focal { gamma: 2.0 alpha: 0.25 }", "focal_g2_a0.25"),
        ("weighted_sigmoid_focal { gamma: 1.5 }", "focal_g1.5_aNone"),
    ],
)
def test_numbers_of_tfod(text, golden):
    arrays = blocks("weighted_losses")
    weights, want = arrays["weights"], arrays[golden]

    got = _loss(text)(arrays["logits"], arrays["onehot"]) * weights

    if want.ndim == 3:  # the reference leaves the classes apart
        want = want.sum(-1)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_a_loss_of_other_models_is_refused_by_name():
    with pytest.raises(ValueError, match="bootstrapped_sigmoid.*weighted_sigmoid_focal"):
        _loss("bootstrapped_sigmoid { alpha: 0.5 }")


@needs_reference
def test_softmax_against_logits_of_tfod():
    arrays = blocks("weighted_losses")
    loss = _loss("weighted_logits_softmax {}")(arrays["logits"], arrays["logits"][::-1])
    np.testing.assert_allclose(
        loss * arrays["weights"], arrays["softmax_against_logits"], rtol=1e-5, atol=1e-6
    )


@needs_reference
def test_the_miner_of_tfod():
    arrays = blocks("weighted_losses")
    config = losses_pb2.HardExampleMiner(num_hard_examples=5, iou_threshold=0.7)
    miner = build_hard_example_miner(config, localization_weight=2.0, classification_weight=0.3)
    boxes = arrays["hem_boxes"][np.newaxis]

    chosen = miner.choose(arrays["hem_loc"], arrays["hem_cls"], boxes, np.ones((1, 30), bool))

    found = [np.sum(arrays[name][chosen]) for name in ("hem_loc", "hem_cls")]
    np.testing.assert_allclose(found, arrays["hem_out"], rtol=1e-5)


@pytest.mark.parametrize("kind", ["BOTH", "CLASSIFICATION", "LOCALIZATION"])
def test_the_miner_ranks_by_what_the_config_says(kind):
    config = losses_pb2.HardExampleMiner(loss_type=kind)
    miner = build_hard_example_miner(config, localization_weight=1.0, classification_weight=1.0)
    assert (miner.loss_type, miner.num_hard_examples) == (kind, 64)
    assert miner.iou_threshold == pytest.approx(0.7)
