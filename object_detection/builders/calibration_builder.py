"""`CalibrationConfig` messages -> functions from scores, or logits, to calibrated ones.

TFOD has no builder for its two sigmoid messages, so their meaning is not settled: refused by name.
"""

import functools

from object_detection.builders.pick import check_message, pick
from object_detection.errors import ConfigError
from object_detection.ops import calibration


def _curve(pairs, where):
    """(x, y) lists of an `XYPairs` message."""
    x, y = [pair.x for pair in pairs.x_y_pair], [pair.y for pair in pairs.x_y_pair]
    if not x or any(a >= b for a, b in zip(x, x[1:], strict=False)):
        raise ConfigError(f"{where} needs points (x_y_pair) of ascending x, got {x}")
    return x, y


def _function(config):
    x, y = _curve(config.x_y_pairs, "function_approximation.x_y_pairs")
    return functools.partial(calibration.along_curve, x=x, y=y)


def _function_of_class(config):
    where = "class_id_function_approximations.class_id_xy_pairs_map[{}]"
    pairs_of = config.class_id_xy_pairs_map
    curves = {label: _curve(pairs_of[label], where.format(label)) for label in sorted(pairs_of)}
    return functools.partial(calibration.along_curve_of_class, curves=curves)


def _temperature(config):
    scaler = config.scaler
    if scaler <= 0:
        raise ConfigError(f"temperature_scaling_calibration.scaler is {scaler}; it must be above 0")
    return lambda logits: logits / scaler


CALIBRATORS = {
    "function_approximation": _function,
    "class_id_function_approximations": _function_of_class,
    "temperature_scaling_calibration": _temperature,
}
# Calibrators of logits, which come before the score converter; the others come after it (TFOD).
OF_LOGITS = ("temperature_scaling_calibration",)


def build(config):
    """[..., C + 1] scores -> calibrated scores; background is calibrated too (TFOD).

    Args:
        config: a `CalibrationConfig` message. Those in `OF_LOGITS` make a function of logits.

    Raises:
        ConfigError: a calibrator that is not supported, or has no sense.
    """
    check_message(config, "CalibrationConfig", "calibration_config")
    return pick(config, "calibrator", CALIBRATORS)
