"""Every field of `PostProcessing` reaches the settings of the second stage."""

import pytest
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
