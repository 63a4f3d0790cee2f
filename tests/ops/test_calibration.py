"""Calibration curves, by hand."""

import numpy as np
import tensorflow as tf

from object_detection.ops import calibration


def test_scores_go_along_straight_lines_and_stay_level_beyond_the_ends():
    x, y = [0.2, 0.4, 0.8], [0.0, 0.5, 0.6]
    scores = tf.constant([[0.0, 0.2, 0.3], [0.4, 0.6, 1.0]])
    # Before the first point; on it; half way of 0 to .5; on a point; half way of .5 to .6; beyond.
    np.testing.assert_allclose(
        calibration.along_curve(scores, x, y), [[0, 0, 0.25], [0.5, 0.55, 0.6]], rtol=1e-6
    )


def test_a_curve_of_one_point_is_level():
    found = calibration.along_curve(tf.constant([0.1, 0.5, 0.9]), [0.5], [0.3])
    np.testing.assert_allclose(found, [0.3, 0.3, 0.3])


def test_classes_have_curves_of_their_own_or_none():
    scores = tf.constant([[0.5, 0.5, 0.5]])
    curves = {0: ([0.0, 1.0], [1.0, 1.0]), 2: ([0.0, 1.0], [0.0, 0.2])}
    found = calibration.along_curve_of_class(scores, curves)
    np.testing.assert_allclose(found, [[1.0, 0.5, 0.1]])
