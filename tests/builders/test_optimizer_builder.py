"""The optimizer message, read into a plan."""

import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import optimizer_builder
from object_detection.protos import optimizer_pb2


def plan_of(text):
    return optimizer_builder.build(text_format.Parse(text, optimizer_pb2.Optimizer()))


def rate_at(plan, step):
    return float(plan.learning_rate(tf.constant(step, tf.int64)))


def test_momentum_with_cosine():
    plan = plan_of("""
        momentum_optimizer {
          learning_rate { cosine_decay_learning_rate {
            learning_rate_base: 0.5 total_steps: 100
            warmup_learning_rate: 0.25 warmup_steps: 10 } }
          momentum_optimizer_value: 0.75 }
        use_moving_average: false""")
    assert plan.rule == optimizer_builder.Momentum(0.75)
    assert plan.average_decay is None
    assert [rate_at(plan, step) for step in (0, 10, 101)] == [0.25, 0.5, 0.0]


def test_schema_defaults_are_kept():
    plan = plan_of("rms_prop_optimizer { learning_rate { constant_learning_rate {} } }")
    assert plan.rule == pytest.approx((0.9, 1.0, 0.9))  # momentum, epsilon, mean square
    assert plan.average_decay == pytest.approx(0.9999)  # use_moving_average is true by default
    # TFOD's `decay` (0.9) shrinks the rate: 0.002 / (1 + 0.9 * 10)
    assert [rate_at(plan, step) for step in (0, 10)] == pytest.approx([0.002, 0.0002])


def test_adam_with_exponential_decay_and_burnin():
    plan = plan_of("""
        adam_optimizer { learning_rate { exponential_decay_learning_rate {
          initial_learning_rate: 0.5 decay_steps: 10 decay_factor: 0.5
          burnin_learning_rate: 0.375 burnin_steps: 4 min_learning_rate: 0.2 } } }""")
    assert plan.rule.epsilon == pytest.approx(1e-8)
    # burn-in; its end; ten steps on, half; twenty steps on a quarter, raised to the floor
    assert [rate_at(plan, step) for step in (3, 4, 14, 24)] == pytest.approx(
        [0.375, 0.5, 0.25, 0.2]
    )


def test_manual_steps_start_with_the_initial_rate():
    plan = plan_of("""
        momentum_optimizer { learning_rate { manual_step_learning_rate {
          initial_learning_rate: 1.0
          schedule { step: 4 learning_rate: 0.5 } schedule { step: 8 learning_rate: 0.25 } } } }""")
    assert [rate_at(plan, step) for step in (0, 4, 8)] == [1.0, 0.5, 0.25]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("use_moving_average: false", "momentum_optimizer"),
        ("momentum_optimizer { learning_rate {} }", "cosine_decay_learning_rate"),
    ],
)
def test_unset_choices_name_what_is_possible(text, named):
    with pytest.raises(ValueError, match=named):
        plan_of(text)
