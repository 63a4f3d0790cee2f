"""The variables of a network by path, and every name that TFOD has for them.

`tf.train.Checkpoint(model=keras_model)` silently leaves out Keras 3 layers that are kept in lists
and dicts, and its asserts do not notice; so every variable is saved under its own path.
"""

from typing import NamedTuple

import tensorflow as tf

from object_detection.checkpoints.names import tfod_tf1, tfod_tf2


class VariableNames(NamedTuple):
    """The names of a network's variables by path; TFOD has no name for some paths.

    A model of TFOD 2.x has `keys` and `variables`, one of TFOD 1.x has `scopes`:

        keys       in an object-based checkpoint:  model/.../layer_with_weights-0/kernel/.ATTRI...
        variables  `tf.Variable.name` in TFOD 2.x: conv1_conv/kernel
        scopes     in TFOD 1.x, checkpoint and graph alike: FirstStageFeatureExtractor/.../weights
    """

    paths: tuple[str, ...]  # all of them
    keys: dict[str, str]
    variables: dict[str, str]
    scopes: dict[str, str]


def path_of(variable) -> str:
    """Return a variable's path inside its model, such as `backbone/resnet/conv1/kernel`."""
    return variable.path.split("/", 1)[1]


def variables_by_path(network) -> dict:
    """Return {path: variable} of all variables of a network.

    Raises:
        ValueError: two variables share a path.
    """
    variables = {path_of(v): v for v in network.variables}
    if len(variables) != len(network.variables):
        raise ValueError("two variables share a path; give their layers names of their own")
    return variables


def names_of(network) -> VariableNames:
    """Return every name that TFOD has for the variables of a network."""
    paths = list(variables_by_path(network))
    return VariableNames(
        tuple(paths),
        tfod_tf2.keys_of(network, paths),
        tfod_tf2.variable_names_of(network, paths),
        tfod_tf1.tf1_names(paths),
    )


def checkpoint_of(network, **extra) -> tf.train.Checkpoint:
    """Return a `tf.train.Checkpoint` with every variable of `network` under `model/<path>`.

    Args:
        network: a Keras model.
        **extra: further trackables by name (step, optimizer, ...).
    """
    named = {path.replace("/", "."): v for path, v in variables_by_path(network).items()}
    return tf.train.Checkpoint(model=tf.train.Checkpoint(**named), **extra)
