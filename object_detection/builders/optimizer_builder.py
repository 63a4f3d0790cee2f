"""Builds the update rule, its rate curve and its average from an `optimizer` message.

The plan made here holds no variables; `training/optimizer.py` carries it out.
"""

from typing import NamedTuple

import tensorflow as tf

from object_detection.builders.pick import check_message, pick
from object_detection.ops import schedules


class Momentum(NamedTuple):
    """Gradient descent with a heavy ball: `v = momentum * v - rate * g; w += v`."""

    momentum: float


class RMSProp(NamedTuple):
    """Momentum over gradients divided by their root mean square; `epsilon` is inside the root."""

    momentum: float
    epsilon: float
    mean_square_decay: float = 0.9  # not the config's `decay`: see `_rms_prop`


class Adam(NamedTuple):
    """Adam (Kingma and Ba, 2015, section 2) with `epsilon` outside the root."""

    epsilon: float
    beta_1: float = 0.9  # the schema has no field for these two; TFOD leaves Keras's values
    beta_2: float = 0.999


class AdamW(NamedTuple):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2).

    Only kernels shrink, by `rate * weight_decay` of themselves at each update, as people use it
    for detectors: biases and the scales and offsets of norms do not.
    """

    epsilon: float
    weight_decay: float
    beta_1: float
    beta_2: float


class OptimizerPlan(NamedTuple):
    """How weights are updated."""

    rule: Momentum | RMSProp | Adam | AdamW
    learning_rate: schedules.Schedule  # step -> scalar float32 rate
    average_decay: float | None  # of the moving average of the weights; None: no average


def build(optimizer_config) -> OptimizerPlan:
    """Reads a `protos.Optimizer`.

    Raises:
        ValueError: the optimizer or its learning rate is unset or contradicts itself.
    """
    check_message(optimizer_config, "Optimizer", "optimizer_config")
    rule, learning_rate = pick(optimizer_config, "optimizer", OPTIMIZERS)
    return OptimizerPlan(
        rule=rule,
        learning_rate=learning_rate,
        average_decay=(
            optimizer_config.moving_average_decay if optimizer_config.use_moving_average else None
        ),
    )


def build_learning_rate(learning_rate_config) -> schedules.Schedule:
    """Reads a `protos.LearningRate`."""
    check_message(learning_rate_config, "LearningRate", "learning_rate_config")
    return pick(learning_rate_config, "learning_rate", LEARNING_RATES)


OPTIMIZERS = {
    "rms_prop_optimizer": lambda c: _rms_prop(c),
    "momentum_optimizer": lambda c: (
        Momentum(c.momentum_optimizer_value),
        build_learning_rate(c.learning_rate),
    ),
    "adam_optimizer": lambda c: (Adam(c.epsilon), build_learning_rate(c.learning_rate)),
    "adam_w_optimizer": lambda c: (
        AdamW(c.epsilon, c.weight_decay, c.beta_1, c.beta_2),
        build_learning_rate(c.learning_rate),
    ),
}

LEARNING_RATES = {
    "constant_learning_rate": lambda c: schedules.constant(c.learning_rate),
    "exponential_decay_learning_rate": lambda c: schedules.exponential_with_burnin(
        c.initial_learning_rate,
        decay_steps=c.decay_steps,
        decay_factor=c.decay_factor,
        staircase=c.staircase,
        burnin_rate=c.burnin_learning_rate,
        burnin_steps=c.burnin_steps,
        min_rate=c.min_learning_rate,
    ),
    "manual_step_learning_rate": lambda c: _manual_steps(c),
    "cosine_decay_learning_rate": lambda c: schedules.cosine_with_warmup(
        c.learning_rate_base,
        total_steps=c.total_steps,
        warmup_rate=c.warmup_learning_rate,
        warmup_steps=c.warmup_steps,
        hold_steps=c.hold_base_rate_steps,
    ),
}


def _rms_prop(config) -> tuple[RMSProp, schedules.Schedule]:
    """RMSProp as TFOD 2.8 builds it under TensorFlow 2.

    It hands the config's `decay` to an argument of Keras that shrinks the learning rate by
    `1 / (1 + decay * step)` and leaves the decay of the mean square at 0.9. Kept, since the same
    config must give the same weights; the shrunken rate is the one that the log shows.
    """
    curve, decay = build_learning_rate(config.learning_rate), config.decay
    return (
        RMSProp(config.momentum_optimizer_value, config.epsilon),
        lambda step: curve(step) / (1 + decay * tf.cast(step, tf.float32)),
    )


def _manual_steps(config) -> schedules.Schedule:
    """TFOD's public configs often begin with `schedule { step: 0 }`; that row just takes over."""
    boundaries = [row.step for row in config.schedule]
    rates = [config.initial_learning_rate, *(row.learning_rate for row in config.schedule)]
    return schedules.manual_steps(boundaries, rates, warmup=config.warmup)
