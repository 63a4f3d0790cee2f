"""Learning-rate curves: each function here returns `step -> rate`, a scalar float32 tensor.

`step` counts the updates already made: the first update of a run uses the rate of step 0. The
curves are functions of only the step, so a resumed run has the same rates.
The numbers are those of TFOD 2.8; surprises in them are noted where they occur.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from object_detection.errors import ConfigError

Schedule = Callable[[tf.Tensor], tf.Tensor]


def constant(rate: float) -> Schedule:
    """The same rate at every step."""
    return lambda step: tf.constant(rate, tf.float32)


def manual_steps(
    boundaries: Sequence[int], rates: Sequence[float], *, warmup: bool = False
) -> Schedule:
    """A staircase: `rates[i]` from step `boundaries[i - 1]` on, until `boundaries[i]`.

    Args:
        boundaries: steps at which the rate changes, ascending.
        rates: one more than there are boundaries.
        warmup: go in a straight line from `rates[0]` at step 0 to `rates[1]` at `boundaries[0]`
            instead of staying at `rates[0]`.
    """
    if len(rates) != len(boundaries) + 1:
        raise ConfigError(
            f"{len(boundaries)} boundaries need {len(boundaries) + 1} rates, got {len(rates)}"
        )
    if any(low >= high for low, high in zip(boundaries, boundaries[1:], strict=False)) or any(
        boundary < 0 for boundary in boundaries
    ):
        raise ConfigError(f"boundaries must ascend from 0 on, got {list(boundaries)}")
    if not boundaries:
        return constant(rates[0])

    def rate_at(step):
        step = tf.cast(step, tf.int64)
        passed = tf.reduce_sum(tf.cast(step >= tf.constant(boundaries, tf.int64), tf.int32))
        rate = tf.gather(tf.constant(rates, tf.float32), passed)
        if warmup and boundaries[0] > 0:
            slope = (rates[1] - rates[0]) / boundaries[0]
            rate = tf.where(
                step < boundaries[0], rates[0] + slope * tf.cast(step, tf.float32), rate
            )
        return rate

    return rate_at


def exponential_with_burnin(
    base_rate: float,
    *,
    decay_steps: int,
    decay_factor: float,
    staircase: bool,
    burnin_rate: float = 0.0,
    burnin_steps: int = 0,
    min_rate: float = 0.0,
) -> Schedule:
    """Decays by `decay_factor` every `decay_steps`, after a burn-in at a rate of its own.

    The decay's clock starts after the burn-in. A burn-in rate of 0 means `base_rate` (TFOD).
    """
    decayed = _exponential(base_rate, decay_steps, decay_factor, staircase)

    def rate_at(step):
        after = decayed(tf.cast(step, tf.float32) - burnin_steps)
        rate = tf.where(tf.cast(step, tf.int64) < burnin_steps, burnin_rate or base_rate, after)
        return tf.maximum(rate, min_rate)

    return rate_at


def cosine_with_warmup(
    base_rate: float,
    *,
    total_steps: int,
    warmup_rate: float = 0.0,
    warmup_steps: int = 0,
    hold_steps: int = 0,
) -> Schedule:
    """Climbs to `base_rate`, holds it, and falls to 0 along half a cosine (SGDR, eq. 5).

    From step `total_steps` on the rate is 0 (TFOD: a run that goes on longer learns nothing).

    Raises:
        ConfigError: the warm-up starts above `base_rate` or, with the hold, outlasts
            `total_steps`.
    """
    if total_steps < warmup_steps:
        raise ConfigError(
            f"total_steps ({total_steps}) must not be smaller than warmup_steps ({warmup_steps})"
        )
    if warmup_steps and base_rate < warmup_rate:
        raise ConfigError(
            f"warmup_learning_rate ({warmup_rate:g}) must not exceed "
            f"learning_rate_base ({base_rate:g})"
        )
    falls_from = warmup_steps + hold_steps
    falling_steps = max(total_steps - falls_from, 1)
    warm = _line(warmup_rate, base_rate, warmup_steps)

    def rate_at(step):
        clock = tf.cast(step, tf.float32)
        fall = 0.5 * base_rate * (1 + tf.cos(math.pi * (clock - falls_from) / falling_steps))
        rate = tf.where(clock > falls_from, fall, base_rate) if hold_steps else fall
        rate = tf.where(clock < warmup_steps, warm(step), rate)
        return tf.where(clock > total_steps, 0.0, rate)

    return rate_at


def _line(start, end, steps) -> Schedule:
    slope = (end - start) / max(steps, 1)
    return lambda step: start + slope * tf.cast(step, tf.float32)


def _exponential(base_rate, decay_steps, decay_factor, staircase) -> Schedule:
    def rate_at(step):
        exponent = step / decay_steps
        return base_rate * tf.pow(decay_factor, tf.floor(exponent) if staircase else exponent)

    return rate_at
