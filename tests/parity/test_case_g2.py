"""Mask R-CNN on the ResNet-50 pyramid as TFOD 2.8 computes it, its 1 x 1 mask feature included."""

import pytest
from parity_case import (
    ParityCase,
    check_detections,
    check_first_stage,
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
CASE = "g2_tf2_mask_resnet50_fpn"


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return ParityCase(CASE, tmp_path_factory.mktemp("g2"))


def test_every_variable_is_in_the_checkpoint(case):
    keys = tfod_keys(list(variables_by_path(case.network)))

    assert not case.report.missing and not case.report.mismatched
    assert set(keys.values()) == {k for k in case.keys() if k.startswith("model/")}


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
