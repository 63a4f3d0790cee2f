"""Gradient checkpointing changes memory and nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tiny_models

from object_detection.errors import TrainingError
from object_detection.modeling import recomputation
from object_detection.modeling.backbones import inception_parts, inception_resnet_v2
from object_detection.modeling.backbones.resnet_v1 import (
    BasicBlock,
    BlockStyle,
    Bottleneck,
    Stage,
)
from object_detection.modeling.conv_block import Hyperparams, Norm
from object_detection.modeling.mask_head import MaskHead, MaskSettings
from object_detection.modeling.precision import compute_in
from object_detection.training import jobs, trained_weights

LIVE, FROZEN = BlockStyle(norm=Norm(live=True, momentum=0.9)), BlockStyle(norm=Norm())


def bottlenecks():
    return Stage(LIVE, Bottleneck, 4, 5, strides=2)


def frozen_blocks():
    return Stage(FROZEN, BasicBlock, 8, 2, strides=1)


def chain_in_a_chain():
    block17 = {"branches": ((("conv2d_1x1", 4),), (("conv2d_1x7", 4),)), "gain": 0.2}
    parts = (
        inception_parts.conv_of(LIVE, "conv2d_3x3", 8),
        inception_parts.Pool(inception_parts.MAX, 2),
        inception_resnet_v2.repeat(LIVE, "repeat", "block17", 5, **block17),
    )
    return inception_parts.Chain(parts)


class MasksOfClasses(MaskHead):
    """Of classes 1, 2 and 3."""

    def call(self, features, training=False):
        return super().call(features, tf.constant([1, 3]), training=training)


def mask_head():
    settings = MaskSettings(14, 14, 8, 3, False, False, False, 7, False)
    return MasksOfClasses(3, settings, Hyperparams(norm=Norm(live=True)))


def built(make, precision):
    tf.keras.utils.set_random_seed(3)
    layer = make()
    layer.build((None, 7, 7, 8))
    compute_in(layer, precision)
    return layer


def step_of(layer):
    """A training step: its loss and the gradients of input and weights."""

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(layer(2.0 * x, training=True), tf.float32)
            loss = tf.reduce_mean(tf.square(y - 0.3)) + tf.reduce_max(y)
        weights = [variable.value for variable in layer.trainable_variables]
        return loss, [tf.convert_to_tensor(g) for g in tape.gradient(loss, [x, *weights])]

    return step


def kinds(step, x):
    nodes = step.get_concrete_function(x).graph.as_graph_def().node
    return [node.op for node in nodes if node.op in ("Conv2D", "FusedBatchNormV3")]


@pytest.mark.parametrize(
    ("make", "precision"),
    [
        (bottlenecks, "float32"),
        (frozen_blocks, "bfloat16"),
        (chain_in_a_chain, "float32"),
        (mask_head, "float32"),
    ],
)
def test_losses_gradients_and_statistics_are_the_same(make, precision):
    plain, recomputed = built(make, precision), built(make, precision)
    recomputation.turn_on(recomputed)
    x = tf.random.stateless_normal([2, 7, 7, 8], [1, 2])
    steps = [step_of(layer) for layer in (plain, recomputed)]
    (loss, gradients), (loss_too, gradients_too) = [step(x) for step in steps]

    np.testing.assert_allclose(loss, loss_too, rtol=1e-6)
    for one, other in zip(gradients, gradients_too, strict=True):
        scale = np.abs(one).max()
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * scale)
    statistics = [(a, b) for a, b in zip(plain.variables, recomputed.variables, strict=True)]
    for a, b in statistics:  # moved once, where they move
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=a.path)
    # It did run again: more convolutions than without.
    assert len(kinds(steps[1], x)) > len(kinds(steps[0], x))


def test_nothing_is_computed_again_without_training():
    layer = built(frozen_blocks, "float32")
    recomputation.turn_on(layer)
    ran = []
    layer.recomputed = lambda *_: ran.append(1)
    layer(tf.zeros([1, 7, 7, 8]), training=False)
    assert not ran


def test_the_option_reaches_every_stage(monkeypatch, tmp_path):
    networks = []

    def select(network, **_):
        networks.append(network)
        raise TrainingError("seen")

    monkeypatch.setattr(jobs, "_network", lambda *_, **__: tiny_models.network_of())
    monkeypatch.setattr(trained_weights, "select", select)
    from object_detection.protos import pipeline_pb2

    for wanted in (True, False):
        options = jobs.TrainOptions(str(tmp_path), gradient_checkpointing=wanted)
        with pytest.raises(TrainingError, match="seen"):
            jobs.train(pipeline_pb2.TrainEvalPipelineConfig(), options)
    marked = [
        {layer.name for layer in network._flatten_layers() if getattr(layer, "is_recomputed", 0)}
        for network in networks
    ]
    assert marked == [{"conv2", "conv3", "conv4", "conv5", "head"}, set()]


MEASURE = """
import sys
import tensorflow as tf
from object_detection.modeling import recomputation
from object_detection.modeling.backbones.resnet_v1 import BasicBlock, BlockStyle, Stage
def peak():  # of this process; what getrusage tells begins with that of the one that started it
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
stage = Stage(BlockStyle(), BasicBlock, 16, 24, strides=1)
stage.build((None, None, None, 16))
if sys.argv[1] == "recomputed":
    recomputation.turn_on(stage)
@tf.function
def step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(stage(x, training=True))
    return [tf.reduce_sum(g) for g in tape.gradient(loss, stage.trainable_variables)]
before = peak()
step(tf.ones([1, 384, 384, 16]))
print("MB", (peak() - before) / 1024)
"""


@pytest.mark.slow
def test_it_takes_less_memory():
    used = {}
    for how in ("plain", "recomputed"):  # peaks are those of a process
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, how], capture_output=True, text=True, timeout=500
        )
        used[how] = float(done.stdout.split("MB")[1])
    # 48 maps of 9.4 MB against 6 of them and the 8 of a segment.
    assert used["recomputed"] < 0.7 * used["plain"], used


MIRRORED = """
import numpy as np
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
from object_detection.modeling import recomputation
from object_detection.modeling.backbones.resnet_v1 import BasicBlock, BlockStyle, Stage
from object_detection.modeling.conv_block import Norm
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
found = []
for recomputed in (False, True):
    tf.keras.utils.set_random_seed(1)
    with strategy.scope():
        stage = Stage(BlockStyle(norm=Norm(kind="sync", live=True)), BasicBlock, 4, 5, strides=1)
        stage.build((None, None, None, 4))
    if recomputed:
        recomputation.turn_on(stage)
    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        x = tf.random.stateless_normal([2, 6, 6, 4], [replica, 1])
        weights = [variable.value for variable in stage.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights[6:])
            loss = tf.reduce_max(stage(x, training=True))
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tape.gradient(loss, weights[6:]))
    gradients = tf.function(lambda: strategy.run(step))()
    first = [strategy.experimental_local_results(g)[0].numpy() for g in gradients]
    found.append(first + [variable.numpy() for variable in stage.variables])
for one, other in zip(*found, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(one).max())
print("the same")
"""


@pytest.mark.slow
def test_replicas_that_share_statistics_agree():
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert "the same" in done.stdout, done.stderr[-3000:]
