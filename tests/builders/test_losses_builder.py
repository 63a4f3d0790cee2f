"""Classification losses by name, with TFOD's numbers."""

import numpy as np
import pytest
from google.protobuf import text_format
from reference import blocks, needs_reference

from object_detection.builders.losses_builder import build_faster_rcnn_classification_loss
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
