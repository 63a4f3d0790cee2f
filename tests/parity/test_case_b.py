"""Mask R-CNN on Inception-ResNet v2 as TFOD 2.8 computes it in TF2: forward, losses, gradients."""

import pytest
from parity_case import (
    ParityCase,
    check_detections,
    check_first_stage,
    check_losses_and_gradients,
    check_proposals,
    check_second_stage,
)
from reference import needs_reference

from object_detection.compat.checkpoint_map import variables_by_path
from object_detection.compat.checkpoint_names import tfod_keys

# The script that writes the reference's weights leaves its files for the collector to close.
pytestmark = [
    needs_reference,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
CASE = "b_tf2_mask_inception_resnet_v2"


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return ParityCase(CASE, tmp_path_factory.mktemp("b"))


@pytest.fixture(scope="module")
def training_case(tmp_path_factory):
    return ParityCase(CASE, tmp_path_factory.mktemp("b_training"), is_training=True)


def test_every_variable_is_in_the_checkpoint(case):
    keys = tfod_keys(list(variables_by_path(case.network)))

    assert not case.report.missing and not case.report.mismatched
    assert set(keys.values()) == {key for key in case.keys() if key.startswith("model/")}


@pytest.mark.parametrize("number", [0, 1])
def test_first_stage(case, number):
    check_first_stage(case, number)


@pytest.mark.parametrize("number", [0, 1])
def test_proposals(case, number):
    check_proposals(case, number)


@pytest.mark.parametrize("number", [0, 1])
def test_second_stage(case, number):
    check_second_stage(case, number)


@pytest.mark.parametrize("number", [0, 1])
def test_detections(case, number):
    check_detections(case, number)


def test_losses_and_gradients(training_case, monkeypatch):
    check_losses_and_gradients(training_case, tfod_keys, monkeypatch)
