"""Calibrations by name."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import calibration_builder
from object_detection.protos import calibration_pb2

SCORES = tf.constant([[[0.2, 0.5, 0.3]]])
HALF = "x_y_pair { x: 0 y: 0 } x_y_pair { x: 1 y: 0.5 }"


def calibrated(text):
    config = text_format.Parse(text, calibration_pb2.CalibrationConfig())
    return calibration_builder.build(config)(SCORES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"function_approximation {{ x_y_pairs {{ {HALF} }} }}", [0.1, 0.25, 0.15]),
        (
            "class_id_function_approximations { class_id_xy_pairs_map "
            f"{{ key: 1 value {{ {HALF} }} }} }}",
            [0.2, 0.25, 0.3],
        ),
        ("temperature_scaling_calibration { scaler: 2 }", [0.1, 0.25, 0.15]),
    ],
)
def test_scores_are_calibrated_with_the_background(text, expected):
    np.testing.assert_allclose(calibrated(text), [[expected]], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sigmoid_calibration {}", "sigmoid_calibration, which is not supported"),
        ("class_id_sigmoid_calibrations {}", "class_id_sigmoid_calibrations, which is not"),
        ("", "calibrator is not set; supported: function_approximation"),
        ("temperature_scaling_calibration { scaler: 0 }", "scaler is 0.0; it must be above 0"),
        (
            "function_approximation { x_y_pairs { x_y_pair { x: 1 } x_y_pair { x: 1 } } }",
            r"function_approximation.x_y_pairs needs points .* got \[1.0, 1.0\]",
        ),
        ("function_approximation {}", r"got \[\]"),
    ],
)
def test_what_has_no_sense_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        calibrated(text)
