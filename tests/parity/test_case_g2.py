"""Mask R-CNN on the ResNet-50 pyramid as TFOD 2.8 computes it, its 1 x 1 mask feature included."""

import numpy as np
import pytest
from parity_case import ParityCase, assert_close, seen_alike
from reference import needs_reference

from object_detection.compat.checkpoint_map import variables_by_path
from object_detection.compat.checkpoint_names import tfod_keys
from object_detection.compat.outputs import serving_outputs

# The script that writes the reference's weights leaves its files for the collector to close.
pytestmark = [needs_reference, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return ParityCase("g2_tf2_mask_resnet50_fpn", tmp_path_factory.mktemp("g2"))


def test_every_variable_is_in_the_checkpoint(case):
    lines = (case.case / "variables.tsv").read_text().splitlines()[1:]
    file_keys = {line.split("\t")[0] for line in lines}
    keys = tfod_keys(list(variables_by_path(case.network)))

    assert not case.report.missing and not case.report.mismatched
    assert set(keys.values()) == {k for k in file_keys if k.startswith("model/")}


def test_forward(case):
    images, expected = case.images(0), case.expected(0)
    inference = case.network(images)
    outputs = serving_outputs(inference, images, raw=True)

    levels = inference.features.levels
    for index, level in enumerate(sorted(levels)):
        assert_close(levels[level], expected, f"predict/rpn_features_to_crop_{index}", 1e-4)
    assert_close(outputs["anchors"], expected, "predict/anchors", 1e-4)
    for name in ("rpn_box_encodings", "rpn_objectness_predictions_with_background"):
        assert_close(outputs[name], expected, f"predict/{name}", 1e-4)

    shape = images.pixels.shape[1:3]
    alike = np.ones(64, bool)
    name = "proposal_boxes_normalized"
    for level in levels:
        map_shape = [-(-side // 2**level) for side in shape]
        ours, theirs = outputs[name][0], expected[f"predict/{name}"][0]
        alike &= seen_alike(ours, theirs, map_shape)
    assert (~alike).sum() <= 2
    for name in ("refined_box_encodings", "class_predictions_with_background"):
        want = expected[f"predict/{name}"]
        np.testing.assert_allclose(
            outputs[name].numpy()[alike], want[alike], atol=1e-3 * want.std()
        )


def test_detections(case):
    images, expected = case.images(0), case.expected(0)
    outputs = serving_outputs(case.network(images), images)

    np.testing.assert_allclose(
        outputs["detection_boxes"], expected["post/detection_boxes"], atol=1e-4
    )
    np.testing.assert_allclose(
        outputs["detection_scores"], expected["post/detection_scores"], atol=1e-4
    )
    np.testing.assert_array_equal(
        outputs["detection_classes"] - 1, expected["post/detection_classes"]
    )
    np.testing.assert_allclose(
        outputs["detection_masks"], expected["post/detection_masks"], atol=1e-3
    )
