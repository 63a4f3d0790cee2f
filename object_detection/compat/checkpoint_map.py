"""The explicit map from variable paths to variables that our checkpoints are written by.

`tf.train.Checkpoint(model=keras_model)` silently leaves out Keras 3 layers that are kept in lists
and dicts, and its asserts do not notice; so every variable is named here by its own path.
"""

import tensorflow as tf


def path_of(variable):
    """A variable's path inside its model: `backbone/resnet/conv1/kernel`."""
    return variable.path.split("/", 1)[1]


def variables_by_path(network):
    """{path: variable} of all variables of a network.

    Raises:
        ValueError: two variables share a path.
    """
    variables = {path_of(v): v for v in network.variables}
    if len(variables) != len(network.variables):
        raise ValueError("two variables share a path; give their layers names of their own")
    return variables


def checkpoint_of(network, **extra):
    """A `tf.train.Checkpoint` with every variable of `network` under `model/<path>`.

    Args:
        extra: further trackables by name (step, optimizer, ...).
    """
    named = {path.replace("/", "."): v for path, v in variables_by_path(network).items()}
    return tf.train.Checkpoint(model=tf.train.Checkpoint(**named), **extra)
