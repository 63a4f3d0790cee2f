"""Anchors must fit the levels of the features."""

import pytest
from findings_of import FPN, config_with, only_fault, only_warning

from object_detection.config import model_checks
from object_detection.config.findings import Section

GRID = "model.faster_rcnn.first_stage_anchor_generator.grid_anchor_generator"
SCALES = "model.faster_rcnn.first_stage_anchor_generator.multiscale_anchor_generator"
PYRAMID = "model.faster_rcnn.feature_extractor.fpn"


def check(*changes):
    model = config_with(*changes).model
    return model_checks.check_anchors(Section(model.faster_rcnn, "model.faster_rcnn"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((f"{GRID}.scales=[]",), "scales is empty: there would be no anchors. Usual: scales:"),
        ((f"{GRID}.aspect_ratios=[1.0, -1.0]",), "aspect_ratios is [1, -1]; all must be above 0"),
        ((f"{GRID}.height=0",), "height is 0; at least 1"),
        (FPN[:2], 'has anchors on one level, but "faster_rcnn_resnet50_fpn_keras" has several'),
        (FPN[2:3], 'has anchors on several levels, but "faster_rcnn_resnet50_keras" has one'),
        ((*FPN, f"{SCALES}.aspect_ratios=[]"), "aspect_ratios is empty"),
        ((*FPN, f"{SCALES}.anchor_scale=0"), "anchor_scale is 0; above 0"),
        ((*FPN, f"{SCALES}.scales_per_octave=0"), "scales_per_octave is 0; at least 1"),
        (
            (*FPN, f"{SCALES}.max_level=5"),
            "has levels 2 to 5, feature_extractor.fpn has 2 to 6: every level needs its own",
        ),
        (
            (*FPN, f"{PYRAMID}.min_level=1", f"{SCALES}.min_level=1"),
            "fpn.min_level is 1; allowed: 2 to 5",
        ),
        ((f"{GRID[: GRID.rindex('.')]}={{}}",), "first_stage_anchor_generator is not set"),
    ],
)
def test_a_fault_is_reported(changes, said):
    assert said in only_fault(check(*changes))


def test_levels_in_the_wrong_order_are_reported():
    found = check(*FPN, f"{SCALES}.min_level=7", f"{PYRAMID}.min_level=5")

    assert "min_level is 7, above max_level, which is 6" in str(found.faults[0])


def test_a_pyramid_without_levels_has_its_defaults_held_against_the_anchors():
    said = only_fault(check(*FPN, f"-{PYRAMID}"))

    assert "has levels 2 to 6, feature_extractor.fpn has 3 to 7" in said
    assert "the defaults are 3 and 7" in said


def test_anchors_that_lie_beside_the_features_are_a_warning():
    said = only_warning(check(f"{GRID}.width_stride=8"))

    assert "width_stride is 8, but feature_extractor.first_stage_features_stride is 16" in said


def test_normalized_anchors_are_reported_to_be_in_pixels():
    assert not check(*FPN).warnings  # unset, although the default says normalized
    assert not check(*FPN, f"{SCALES}.normalize_coordinates=false").warnings
    said = only_warning(check(*FPN, f"{SCALES}.normalize_coordinates=true"))
    assert "anchors are in pixels" in said
