"""Update rules against TFOD's numbers, slots and averages."""

import numpy as np
import pytest
import reference
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import optimizer_builder
from object_detection.builders.optimizer_builder import (
    Adam,
    AdamW,
    Momentum,
    OptimizerPlan,
    RMSProp,
)
from object_detection.ops import schedules
from object_detection.protos import optimizer_pb2
from object_detection.training.optimizer import Optimizer


def optimizer_of(rule, weights, rate=0.5, average_decay=None):
    return Optimizer(OptimizerPlan(rule, schedules.constant(rate), average_decay), weights)


def run(optimizer, gradients):
    """Applies one gradient after another to the only weight; gives the weight after each."""
    weight = next(iter(optimizer.weights.values()))
    apply = tf.function(optimizer.apply)
    history = []
    for step, gradient in enumerate(gradients):
        apply([tf.constant(gradient, tf.float32)], tf.constant(step, tf.int64))
        history.append(weight.numpy())
    return np.array(history)


def test_momentum_by_hand():
    optimizer = optimizer_of(Momentum(0.5), {"w": tf.Variable([1.0])})
    # v = -0.5 * 2 = -1 -> w = 0; v = 0.5 * -1 - 0.5 * 0 = -0.5 -> w = -0.5
    assert run(optimizer, [[2.0], [0.0]]).ravel().tolist() == [0.0, -0.5]


def test_rms_prop_by_hand():
    optimizer = optimizer_of(RMSProp(0.0, 0.0, mean_square_decay=0.75), {"w": tf.Variable([1.0])})
    # mean square = 0.25 * 4 = 1 -> w = 1 - 0.5 * 2 / 1 = 0
    assert run(optimizer, [[2.0]]).ravel().tolist() == [0.0]


def test_first_step_of_adam_is_one_rate_long():
    optimizer = optimizer_of(Adam(0.0), {"w": tf.Variable([1.0, 1.0])})
    np.testing.assert_allclose(run(optimizer, [[3.0, -7.0]])[0], [0.5, 1.5], rtol=1e-5)


def test_adam_w_is_keras_with_the_decay_on_kernels_alone():
    kernel, bias = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32), np.array([1.0, 2.0], np.float32)
    weights = {"kernel": tf.Variable(kernel), "bias": tf.Variable(bias)}
    ours = optimizer_of(AdamW(1e-8, 0.1, 0.8, 0.95), weights, rate=0.25)
    theirs = [tf.keras.Variable(kernel), tf.keras.Variable(bias)]
    keras_rule = tf.keras.optimizers.AdamW(
        0.25, weight_decay=0.1, beta_1=0.8, beta_2=0.95, epsilon=1e-8
    )
    keras_rule.exclude_from_weight_decay([theirs[1]])
    rng = np.random.default_rng(0)
    for step in range(5):
        gradients = [tf.constant(rng.normal(size=w.shape), tf.float32) for w in (kernel, bias)]
        ours.apply(gradients, tf.constant(step, tf.int64))
        keras_rule.apply(gradients, theirs)
    for weight, other in zip(weights.values(), theirs, strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-4, atol=1e-6)


def test_a_weight_without_gradient_is_left_alone():
    weights = {"a": tf.Variable([1.0]), "b": tf.Variable([1.0])}
    optimizer = optimizer_of(Momentum(0.5), weights)
    optimizer.apply([None, tf.constant([2.0])], tf.constant(0, tf.int64))
    assert weights["a"].numpy().tolist() == [1.0]
    assert weights["b"].numpy().tolist() == [0.0]


def test_every_slot_has_the_path_of_its_weight():
    weights = {"a/b_c": tf.Variable([1.0]), "a_b/c": tf.Variable([1.0])}  # alike once joined by _
    optimizer = optimizer_of(Adam(0.0), weights)
    assert set(optimizer.slots) == {
        (slot, path) for slot in ("first_moment", "second_moment") for path in weights
    }


def test_averages_stand_in_for_the_weights_and_leave_again():
    weight = tf.Variable([1.0])
    optimizer = optimizer_of(Momentum(0.0), {"w": weight}, average_decay=0.5)
    run(optimizer, [[-2.0]])  # w = 1 + 0.5 * 2 = 2
    # decay = min(0.5, 2 / 11); average = 2 * (1 - 2 / 11)
    with optimizer.averaged():
        np.testing.assert_allclose(weight.numpy(), [18 / 11], rtol=1e-6)
    assert weight.numpy().tolist() == [2.0]


def test_weights_return_even_when_the_block_fails():
    weight = tf.Variable([1.0])
    optimizer = optimizer_of(Momentum(0.0), {"w": weight}, average_decay=0.5)
    with pytest.raises(KeyError), optimizer.averaged():
        raise KeyError("evaluation broke")
    assert weight.numpy().tolist() == [1.0]


@reference.needs_reference
@pytest.mark.parametrize(
    "name", ["momentum", "rms_prop", "adam", "momentum_cosine", "momentum_ema"]
)
def test_six_steps_of_the_reference(name):
    golden = reference.blocks("optimizers")
    config = text_format.Parse(str(golden[f"{name}/config"]), optimizer_pb2.Optimizer())
    weight = tf.Variable(golden["initial"])
    optimizer = Optimizer(optimizer_builder.build(config), {"w": weight})
    close = {"rtol": 1e-5, "atol": 1e-6}
    for step, gradient in enumerate(golden["gradients"]):
        optimizer.apply([tf.constant(gradient)], tf.constant(step, tf.int64))
        np.testing.assert_allclose(weight.numpy(), golden[f"{name}/weights"][step], **close)
        if f"{name}/average" in golden:
            average = optimizer.averages["w"].numpy()
            np.testing.assert_allclose(average, golden[f"{name}/average"][step], **close)
