"""TFOD 2.8's numbers, case by case and stage by stage: forward, losses and gradients.

Case a runs by default, the others are slow. What is peculiar to each:

    a, b    TF2, C4 on ResNet-50 and on Inception-ResNet v2; with losses
    c, f    TF1, slim's ResNet-50 and -101 at stride 8; c with losses
    d       TF1, Inception v2, images padded to a square: masks are cropped from a stretched region
            there (see `modeling/mask_stage`)
    e       TF1, Inception-ResNet v2 at stride 8
    g, g2   TF2, pyramids: boxes of a padded image, and masks from a 1 x 1 feature
    h       TF2, ResNet-101, one box for all classes
    i       proposals alone: test_case_i.py
"""

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

from object_detection.checkpoints.names.tfod_tf1 import tf1_names
from object_detection.checkpoints.names.tfod_tf2 import tfod_keys
from object_detection.checkpoints.variables import variables_by_path

# The script that writes the reference's weights leaves its files for the collector to close.
pytestmark = [needs_reference, pytest.mark.filterwarnings("ignore::ResourceWarning")]

CASES = (
    "a_tf2_mask_resnet50",
    "b_tf2_mask_inception_resnet_v2",
    "c_tf1_mask_resnet50_atrous",
    "d_tf1_mask_inception_v2",
    "e_tf1_mask_inception_resnet_v2_atrous",
    "f_tf1_mask_resnet101_atrous",
    "g_tf2_resnet50_fpn",
    "g2_tf2_mask_resnet50_fpn",
    "h_tf2_resnet101",
)
WITH_LOSSES = CASES[:3]


def _marked(names):
    return [pytest.param(n, marks=() if n == CASES[0] else (pytest.mark.slow,)) for n in names]


def _names_of(name):
    return tf1_names if "_tf1_" in name else tfod_keys


@pytest.fixture(scope="module", params=_marked(CASES))
def case(request, tmp_path_factory):
    return ParityCase(request.param, tmp_path_factory)


def test_every_variable_is_in_the_checkpoint(case):
    names = _names_of(case.case.name)(list(variables_by_path(case.network)))

    assert not case.report.missing and not case.report.mismatched
    stored = {key for key in case.keys() if not key.startswith("save_counter")}
    # TF1's ResNets store a block 4 in their first stage, too, which nothing reads.
    unread = {k for k in stored if k.startswith("FirstStageFeatureExtractor/") and "/block4/" in k}
    assert set(names.values()) == stored - unread


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


@pytest.mark.parametrize("name", _marked(WITH_LOSSES))
def test_losses_and_gradients(name, tmp_path_factory, monkeypatch):
    case = ParityCase(name, tmp_path_factory, is_training=True)
    check_losses_and_gradients(case, _names_of(name), monkeypatch)
