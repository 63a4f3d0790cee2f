"""Mask R-CNN on Inception v2, images padded to a square, as TFOD 2.8 computes it in TF1 mode.

Detections come out in the frame of the image without its padding, and the masks are cropped at them
as if it were that of the padded image: from a stretched region (see `modeling/mask_stage`).
"""

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
    return ParityCase("d_tf1_mask_inception_v2", tmp_path_factory.mktemp("d"))


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
