"""`--train_layers` moves exactly the layers it says: a step of a real network, weight by weight."""

import re

import detector_step
import numpy as np
import pytest
import tensorflow as tf

from object_detection.builders.optimizer_builder import Momentum, OptimizerPlan
from object_detection.checkpoints.variables import variables_by_path
from object_detection.training import train_step, trained_weights
from object_detection.training.optimizer import Optimizer

# Of a ResNet-18, where conv2 to conv5 are the stages 2 to 5. From many to few: norms stay held.
STAGES = {"all": "12345", "4+": "45", "heads": ""}


@pytest.fixture
def eagerly():
    tf.config.run_functions_eagerly(True)  # a step of five graphs, each used once
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly")
def test_a_step_moves_the_layers_of_its_group_alone(eagerly, monkeypatch):
    strategy = tf.distribute.get_strategy()
    norms = "faster_rcnn { feature_extractor { batch_norm_trainable: true } }"
    monkeypatch.setattr(detector_step, "OVERRIDES", detector_step.OVERRIDES + norms)
    network, _, batch = detector_step._parts(strategy, False)
    variables = variables_by_path(network)
    begin = {path: v.numpy() for path, v in variables.items()}
    moved = {}
    for group in STAGES:
        trained_weights.freeze_batch_norm(group, network)
        for path, variable in variables.items():
            variable.assign(begin[path])
        chosen = trained_weights.select(network, stages=group)
        weights = {path: variables[path].value for path in chosen}
        plan = OptimizerPlan(Momentum(0.0), lambda step: tf.constant(0.1), None)
        settings = train_step.StepSettings()
        optimizer = Optimizer(plan, weights)
        step = train_step.build_train_step(network, optimizer, settings, strategy)
        step(iter(tf.data.Dataset.from_tensors(0).map(lambda _: batch)), tf.constant(0, tf.int64))
        moved[group] = {
            path for path, v in variables.items() if not np.array_equal(v.numpy(), begin[path])
        }
    for group, stages in STAGES.items():
        found = {re.match(r"backbone/resnet/conv(\d)/|", path)[1] for path in moved[group]}
        assert found == {*stages, None}  # None: the heads and the pyramid
