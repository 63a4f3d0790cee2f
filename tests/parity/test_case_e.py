"""Mask R-CNN on Inception-ResNet v2, stride 8, as TFOD 2.8 computes it in TF1 mode."""

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
from object_detection.compat.tf1_names import tf1_names

# The script that writes the reference's weights leaves its files for the collector to close.
pytestmark = [
    needs_reference,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return ParityCase("e_tf1_mask_inception_resnet_v2_atrous", tmp_path_factory.mktemp("e"))


def test_every_variable_is_in_the_checkpoint(case):
    names = tf1_names(list(variables_by_path(case.network)))

    assert not case.report.missing and not case.report.mismatched
    assert set(names.values()) == case.keys()


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
