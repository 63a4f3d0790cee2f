"""Batch norm over all replicas sees the whole batch (in a process of its own: two CPU devices)."""

import subprocess
import sys

SCRIPT = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from object_detection.modeling.conv_block import ConvBlock, Norm

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    norm = Norm(kind="sync", live=True, momentum=0.0, epsilon=0.0)
    block = ConvBlock(1, 1, norm=norm, activation=None)
    block.build((None, None, None, 1))
    block.kernel.assign([[[[1.0]]]])
values = iter([[1.0], [5.0]])
inputs = strategy.experimental_distribute_values_from_function(
    lambda context: tf.reshape(tf.constant(next(values)), [1, 1, 1, 1])
)


@tf.function
def run(x):
    return strategy.run(lambda x: block(x, training=True), [x])


outputs = strategy.experimental_local_results(run(inputs))
print([float(x[0, 0, 0, 0]) for x in outputs], float(block.moving_mean[0]))
"""


def test_statistics_are_those_of_both_replicas():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    # The values are 1 and 5: mean 3, deviation 2; alone each would be normalized to 0.
    assert run.stdout.strip().splitlines()[-1] == "[-1.0, 1.0] 3.0"
