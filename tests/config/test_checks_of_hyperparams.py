"""Hyperparams that contradict the layers they are for."""

import pytest
from findings_of import PREDICTOR, config_with, only_warning, sentences

from object_detection.config import model_checks
from object_detection.config.findings import Section

RPN = "model.faster_rcnn.first_stage_box_predictor_conv_hyperparams"


def check(*changes):
    config = config_with(*changes)
    return model_checks.check_hyperparams(Section(config.model.faster_rcnn, "model.faster_rcnn"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"{RPN}.op=FC", "conv_hyperparams.op is FC but has no effect: these layers are CONV"),
        (
            f"{PREDICTOR}.fc_hyperparams.op=CONV",
            "op is CONV but has no effect: these layers are FC",
        ),
        (f"{RPN}.activation=SWISH", "is SWISH but has no effect: that of the RPN is ReLU6"),
        (
            f"{PREDICTOR}.fc_hyperparams.activation=NONE",
            "is NONE but has no effect: the heads for class and box have none",
        ),
    ],
)
def test_what_a_place_does_not_let_a_layer_be_is_reported(change, said):
    assert said in only_warning(check(change))


@pytest.mark.parametrize(
    "change",
    [
        f"{RPN}.op=CONV",
        f"{RPN}.activation=RELU_6",
        f"{PREDICTOR}.fc_hyperparams.op=FC",
        f"{PREDICTOR}.conv_hyperparams.activation=SWISH",
    ],
)
def test_what_fits_passes(change):
    assert sentences(check(change)) == ([], [])
