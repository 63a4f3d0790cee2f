"""Proposals of slim's ResNet-50 alone, stride 16, as TFOD 2.8 computes them in TF1 mode."""

import numpy as np
import pytest
from parity_case import ParityCase, check_first_stage
from reference import needs_reference

from object_detection.checkpoints.names.tfod_tf1 import tf1_names
from object_detection.checkpoints.variables import variables_by_path
from object_detection.compat.outputs import serving_outputs

# The script that writes the reference's weights leaves its files for the collector to close.
pytestmark = [
    needs_reference,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return ParityCase("i_tf1_resnet50_rpn_only_stage1", tmp_path_factory)


def test_every_variable_is_in_the_checkpoint(case):
    names = tf1_names(list(variables_by_path(case.network)))

    assert not case.report.missing and not case.report.mismatched
    # The reference stores a block 4 in its first stage, too, which nothing reads.
    assert set(names.values()) == {name for name in case.keys() if "/block4/" not in name}


@pytest.mark.parametrize("number", [0, 1])
def test_first_stage(case, number):
    check_first_stage(case, number)


@pytest.mark.parametrize("number", [0, 1])
def test_boxes(case, number):
    """As sets: objectness saturates, and scores that differ by rounding alone change places."""
    images, expected = case.images(number), case.expected(number)
    outputs = serving_outputs(case.inference(number), images)

    assert outputs["num_detections"].numpy() == expected["post/num_detections"]
    got, want = outputs["detection_boxes"].numpy()[0], expected["post/detection_boxes"][0]
    distance = np.abs(got[:, np.newaxis] - want).max(-1)
    assert sorted(distance.argmin(0)) == list(range(len(want))), "each box has one of its own"
    assert distance.min(0).max() <= 1e-4
    for name in ("detection_scores", "detection_multiclass_scores"):
        got, want = outputs[name][0].numpy(), expected[f"post/{name}"][0]
        np.testing.assert_allclose(got[distance.argmin(0)], want, atol=1e-4)
    for name in ("raw_detection_boxes", "raw_detection_scores"):
        np.testing.assert_allclose(outputs[name], expected[f"post/{name}"], atol=1e-4)
