"""Every field of `PostProcessing` reaches the settings of the second stage."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import post_processing_builder
from object_detection.modeling.roi_stage import DetectionSettings
from object_detection.protos import post_processing_pb2


def built(text):
    return post_processing_builder.build(
        text_format.Parse(text, post_processing_pb2.PostProcessing())
    )


def test_fields():
    assert built(
        """
        batch_non_max_suppression {
          score_threshold: 0.25 iou_threshold: 0.5 max_detections_per_class: 7
          max_total_detections: 9 soft_nms_sigma: 0.125 use_class_agnostic_nms: true }
        score_converter: SIGMOID logit_scale: 2
        """
    ) == DetectionSettings(
        score_converter="SIGMOID",
        logit_scale=2.0,
        score_threshold=0.25,
        iou_threshold=0.5,
        max_per_class=7,
        max_total=9,
        soft_nms_sigma=0.125,
        class_agnostic=True,
        max_classes_per_detection=1,
    )


def test_hard_suppression_takes_the_softness_away():
    nms = "batch_non_max_suppression { soft_nms_sigma: 0.5 use_hard_nms: true }"
    assert built(nms).soft_nms_sigma == 0.0


def test_more_of_a_class_than_in_all_is_refused():
    with pytest.raises(ValueError, match="max_detections_per_class is 100, .* above .*50"):
        built("batch_non_max_suppression { max_total_detections: 50 }")


def test_a_calibration_goes_with_the_scores():
    settings = built("calibration_config { temperature_scaling_calibration { scaler: 4 } }")
    assert settings.calibrate is None
    assert settings.calibrate_logits(2.0) == 0.5
    points = "x_y_pairs { x_y_pair { x: 0 y: 0 } x_y_pair { x: 1 y: 0.5 } }"
    settings = built(f"calibration_config {{ function_approximation {{ {points} }} }}")
    assert settings.calibrate_logits is None
    assert settings.calibrate(0.5) == 0.25


# Of logits [0, 4, 1], worked out by hand with e^0.5 = 1.648721, e^1 = 2.718282, e^2 = 7.389056:
# halved they are [0, 2, 0.5] and softmax divides by 1 + 7.389056 + 1.648721 = 10.037777; divided by
# 4 they are [0, 1, 0.25], with e^0.25 = 1.284025 and a sum of 5.002307.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("score_converter: SOFTMAX", [0.099624, 0.736125, 0.164252]),
        ("score_converter: SOFTMAX logit_scale: 2", [0.199908, 0.543405, 0.256687]),
        ("score_converter: SIGMOID", [0.5, 0.880797, 0.622459]),
        ("score_converter: IDENTITY", [0.0, 2.0, 0.5]),
    ],
)
def test_a_temperature_divides_the_logits_before_they_are_converted(text, expected):
    settings = built(
        f"{text} calibration_config {{ temperature_scaling_calibration {{ scaler: 2 }} }}"
    )
    np.testing.assert_allclose(settings.scores_of(tf.constant([0.0, 4, 1])), expected, atol=1e-6)


def test_a_curve_goes_from_the_converted_scores():
    # softmax([0, ln 3]) is [1/4, 3/4]; the curve squares 1/4 and 3/4.
    pairs = "".join(f"x_y_pair {{ x: {x} y: {x * x} }}" for x in (0.25, 0.75))
    for kind in (
        f"function_approximation {{ x_y_pairs {{ {pairs} }} }}",
        "class_id_function_approximations { "
        + "".join(f"class_id_xy_pairs_map {{ key: {k} value {{ {pairs} }} }}" for k in (0, 1))
        + " }",
    ):
        settings = built(f"score_converter: SOFTMAX calibration_config {{ {kind} }}")
        found = settings.scores_of(tf.math.log([1.0, 3.0]))
        np.testing.assert_allclose(found, [0.0625, 0.5625], atol=1e-6)
