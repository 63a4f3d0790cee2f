"""Learning-rate curves against hand-worked numbers and against TFOD's."""

import numpy as np
import pytest
import reference
import tensorflow as tf

from object_detection.ops import schedules


def rates(schedule, steps):
    return np.array([float(schedule(tf.constant(step, tf.int64))) for step in steps])


def test_constant_is_a_float32_tensor():
    rate = schedules.constant(0.25)(tf.constant(7, tf.int64))
    assert rate.dtype == tf.float32
    assert float(rate) == 0.25


def test_manual_steps_change_at_their_boundary():
    schedule = schedules.manual_steps([10, 20], [1.0, 0.5, 0.25])
    assert rates(schedule, [0, 9, 10, 19, 20, 99]).tolist() == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_manual_warmup_climbs_from_the_first_rate_to_the_second():
    schedule = schedules.manual_steps([4, 20], [0.0, 1.0, 0.5], warmup=True)
    # slope (1 - 0) / 4 a step
    assert rates(schedule, [0, 1, 3, 4, 20]).tolist() == [0, 0.25, 0.75, 1, 0.5]


def test_manual_steps_without_boundaries_are_constant():
    assert rates(schedules.manual_steps([], [0.5]), [0, 1000]).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("boundaries", "values"), [([10], [1.0]), ([10, 10], [1.0, 0.5, 0.2])])
def test_manual_steps_refuse_what_makes_no_staircase(boundaries, values):
    with pytest.raises(ValueError, match="boundaries"):
        schedules.manual_steps(boundaries, values)


def test_cosine_is_at_half_in_the_middle_and_zero_at_the_end():
    schedule = schedules.cosine_with_warmup(1.0, total_steps=110, warmup_rate=0.0, warmup_steps=10)
    # 5 of 10 warm-up steps: 0.5; 60 = 10 + 50 of 100 falling steps: (1 + cos(pi/2)) / 2 = 0.5
    np.testing.assert_allclose(
        rates(schedule, [0, 5, 10, 60, 110, 111]), [0, 0.5, 1, 0.5, 0, 0], atol=1e-6
    )


def test_cosine_whose_warmup_and_hold_fill_the_run_stays_finite():
    schedule = schedules.cosine_with_warmup(
        1.0, total_steps=10, warmup_rate=0.5, warmup_steps=5, hold_steps=5
    )
    assert np.isfinite(rates(schedule, range(12))).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(total_steps=5, warmup_steps=6), "total_steps"),
        (dict(total_steps=50, warmup_steps=6, warmup_rate=0.2), "warmup_learning_rate"),
    ],
)
def test_cosine_refuses_contradictions(fields, message):
    with pytest.raises(ValueError, match=message):
        schedules.cosine_with_warmup(0.1, **fields)


GOLDEN = {
    "cosine": lambda: schedules.cosine_with_warmup(
        0.04, total_steps=10000, warmup_rate=0.013333, warmup_steps=2000
    ),
    "cosine_hold": lambda: schedules.cosine_with_warmup(
        0.04, total_steps=10000, warmup_rate=0.01, warmup_steps=1000, hold_steps=2000
    ),
    "cosine_nowarm": lambda: schedules.cosine_with_warmup(0.1, total_steps=10000),
    "exp_burnin": lambda: schedules.exponential_with_burnin(
        0.1,
        decay_steps=1000,
        decay_factor=0.95,
        staircase=True,
        burnin_rate=0.01,
        burnin_steps=100,
        min_rate=0.02,
    ),
    "exp_nostair": lambda: schedules.exponential_with_burnin(
        0.1, decay_steps=1000, decay_factor=0.5, staircase=False
    ),
    "manual": lambda: schedules.manual_steps([1000, 2000, 3000], [3e-4, 1e-4, 3e-5, 1e-5]),
    "manual_warmup": lambda: schedules.manual_steps(
        [1000, 2000, 3000], [1e-4, 3e-4, 3e-5, 1e-5], warmup=True
    ),
}


@reference.needs_reference
@pytest.mark.parametrize("name", GOLDEN)
def test_numbers_of_the_reference(name):
    golden = reference.blocks("lr_schedules")
    # The cosine's last steps are differences of numbers near 1: 1e-9 is what float32 leaves.
    np.testing.assert_allclose(
        rates(GOLDEN[name](), golden["steps"]), golden[name], rtol=2e-6, atol=5e-9
    )
