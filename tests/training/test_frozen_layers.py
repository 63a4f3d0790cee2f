"""Layers that are not trained cost no backward pass, and nothing of them is kept for one."""

import re

import tensorflow as tf
import tiny_models

from object_detection.builders.optimizer_builder import Momentum, OptimizerPlan
from object_detection.structures.batch import Batch
from object_detection.training import train_step, trained_weights
from object_detection.training.optimizer import Optimizer


def operations_that_run(group):
    """The operations of a training step that its results or effects need."""
    network = tiny_models.network_of()
    weights = trained_weights.select(network, stages=group)
    plan = OptimizerPlan(Momentum(0.0), lambda step: tf.constant(0.1), None)
    images = tiny_models.images_of_shapes([(64, 64)])
    truth = tiny_models.truth_of([[[4, 4, 36, 36], [20, 24, 60, 60]]])
    batch = Batch(images, truth, tf.constant([b"a"]), images.true_shape)
    step = train_step.build_train_step(
        network,
        Optimizer(plan, weights),
        train_step.StepSettings(add_regularization_loss=False),
        tf.distribute.get_strategy(),
    )
    graph = step.get_concrete_function(Repeated(batch), tf.constant(0, tf.int64)).graph
    found, left = set(), [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    left += [op for op in graph.get_operations() if op.type.startswith("Assign")]
    while left:
        op = left.pop()
        if op not in found:
            found.add(op)
            left += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return found


class Repeated:
    """One batch again and again."""

    def __init__(self, batch):
        self.batch = batch

    def __next__(self):
        return self.batch


def stages_of(operations):
    """The stages of the backbone that operations stand in, by their names."""
    found = [re.search(r"/resnet\w*/(conv\d)", operation.name) for operation in operations]
    return {match[1] for match in found if match}


def test_a_frozen_stage_has_no_backward_pass_and_keeps_nothing_for_one():
    operations = operations_that_run("4+")
    backward = {op for op in operations if op.name.startswith("gradient_tape/")}
    assert stages_of(operations) == {"conv1", "conv2", "conv3", "conv4", "conv5"}
    assert stages_of(backward) == {"conv4", "conv5"}
    read = {tensor.op for op in backward for tensor in op.inputs} - backward
    inner = {op.name for op in read if stages_of([op]) & {"conv1", "conv2", "conv3"}}
    # The outputs of stages, which the pyramid's own convolutions take.
    assert {re.sub(r"_\d+", "", name).split("resnet/")[1] for name in inner} == {
        "conv2/block2/conv2/Relu",
        "conv3/block2/conv2/Relu",
    }
