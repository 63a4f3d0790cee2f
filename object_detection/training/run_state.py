"""What a run is made of, and one checkpoint file of it.

What the file holds, by key (each followed by TensorFlow's `/.ATTRIBUTES/VARIABLE_VALUE`):

    model/<path>             a variable of the network
    optimizer/<slot>/<path>  a slot of the optimizer
    average/<path>           a moving average, where the optimizer keeps them
    step                     the updates made; with the config it fixes rate, seed and data order
    bad_records              where records lie that were left out, which the data order counts on

The slashes of a path are dots in the map, and each such dot is two in the file (TensorFlow's way
to escape them): `rpn/conv/kernel` is found under `model/rpn..conv..kernel`.

The map is explicit because `tf.train.Checkpoint(model=keras_model)` leaves out, without a word,
layers that Keras 3 keeps in lists and dicts; the paths are `compat.checkpoint_map`'s.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from object_detection.compat import checkpoint_map, checkpoint_reader
from object_detection.training.failures import CheckpointError
from object_detection.training.optimizer import Optimizer

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


class RunState(NamedTuple):
    """All that a run must find again to go on as if it had never stopped; see `fresh_state`."""

    weights: Mapping[str, tf.Variable]  # path -> every variable of the network, trained or not
    optimizer: Optimizer
    step: tf.Variable  # int64 scalar
    bad_records: tf.Variable  # string scalar: their places, one a line


def fresh_state(network, optimizer: Optimizer) -> RunState:
    """The state of a run that has made no step, around the variables of its network."""
    weights = {
        path: variable.value for path, variable in checkpoint_map.variables_by_path(network).items()
    }
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    return RunState(weights, optimizer, step, tf.Variable("", dtype=tf.string, trainable=False))


def entries_of(state: RunState) -> dict[str, tf.Variable]:
    """Key -> variable; see the top of this file for the keys."""
    entries = {"step": state.step, "bad_records": state.bad_records}
    for path, weight in state.weights.items():
        entries[f"model/{_flat(path)}"] = weight
    for (slot, path), variable in state.optimizer.slots.items():
        entries[f"optimizer/{slot}/{_flat(path)}"] = variable
    for path, variable in state.optimizer.averages.items():
        entries[f"average/{_flat(path)}"] = variable
    return entries


def write(prefix: str | os.PathLike, state: RunState) -> None:
    """Writes one checkpoint's files at `prefix`, not atomically: see `CheckpointDirectory`."""
    _trackable(entries_of(state)).write(str(prefix))


def read(prefix: str | os.PathLike, state: RunState) -> None:
    """Fills `state` from the checkpoint at `prefix`.

    Optimizer slots and averages that the file lacks begin anew with a warning, for the config
    may have changed its optimizer; the network's variables must all be there and fit.

    Raises:
        CheckpointError: it is a checkpoint of another model; nothing was changed.
    """
    entries = entries_of(state)
    reader = tf.train.load_checkpoint(str(prefix))
    stored = reader.get_variable_to_shape_map()
    _check_fits(prefix, entries, stored)
    present = {
        key: variable
        for key, variable in entries.items()
        if stored.get(_key_in_file(key)) == list(variable.shape)
    }
    anew = sorted(set(entries) - set(present))
    if anew:
        logging.warning(
            "%s lacks %d entries, which begin anew (has the optimizer of the config changed?): %s",
            prefix,
            len(anew),
            _some(anew),
        )
    # All is read before anything changes: a file that is damaged in the middle changes nothing.
    values = {key: reader.get_tensor(_key_in_file(key)) for key in present}
    for key, value in values.items():
        present[key].assign(value)


def read_weights(prefix: str | os.PathLike, network, *, averages: bool = False) -> int:
    """Gives a network the weights of a checkpoint, ours or TFOD's, without training further.

    Args:
        averages: take the moving averages where the checkpoint keeps them.

    Returns:
        The step that the weights are of; 0 where the checkpoint does not say.

    Raises:
        CheckpointError, ValueError: the checkpoint does not fit the network.
    """
    reader = tf.train.load_checkpoint(str(prefix))
    stored = reader.get_variable_to_shape_map()
    variables = checkpoint_map.variables_by_path(network)
    if not any(_key_in_file(f"model/{_flat(path)}") in stored for path in variables):
        checkpoint_reader.restore(network, str(prefix))  # TFOD's
    else:
        _check_fits(prefix, {f"model/{_flat(path)}": v for path, v in variables.items()}, stored)
    averaged = {path for path in variables if _key_in_file(f"average/{_flat(path)}") in stored}
    if averages and not averaged:
        raise ValueError(
            f"eval_config.use_moving_averages is true, but {prefix} holds none: it was trained "
            "with train_config.optimizer.use_moving_average: false."
        )
    for path, variable in variables.items():
        # Weights that are not trained have no average.
        part = "average" if averages and path in averaged else "model"
        key = _key_in_file(f"{part}/{_flat(path)}")
        if key in stored:
            variable.assign(reader.get_tensor(key))
    return int(reader.get_tensor(_key_in_file("step"))) if _key_in_file("step") in stored else 0


def _flat(path: str) -> str:
    return path.replace("/", ".")


def _key_in_file(key: str) -> str:
    """TensorFlow doubles the dots of attribute names."""
    return key.replace(".", "..") + _SUFFIX


def _trackable(entries: Mapping[str, tf.Variable]) -> tf.train.Checkpoint:
    """A tf.train.Checkpoint whose keys are those of `entries`, one node for each `/`."""
    tree: dict = {}
    for key, variable in entries.items():
        *folders, leaf = key.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = variable

    def node_of(branch):
        return tf.train.Checkpoint(
            **{k: node_of(v) if isinstance(v, dict) else v for k, v in branch.items()}
        )

    return node_of(tree)


def _check_fits(prefix, entries, stored):
    """Raises where a variable of the network is not in the file, or one there not in the network.

    Args:
        entries: key -> variable; those of the optimizer may be lacking.
        stored: key in the file -> shape.
    """
    ours = {_key_in_file(k): list(v.shape) for k, v in entries.items() if _must_match(k)}
    theirs = {key: shape for key, shape in stored.items() if _must_match(key)}
    missing = sorted(set(ours) - set(theirs))
    foreign = sorted(key for key in set(theirs) - set(ours) if key.startswith("model/"))
    misfits = [
        f"{_name(key)} is {theirs[key]} there and {ours[key]} here"
        for key in sorted(set(ours) & set(theirs))
        if theirs[key] != ours[key]
    ]
    faults = []
    if missing:
        names = _some([_name(key) for key in missing])
        faults.append(f"{len(missing)} variables of this model are not there: {names}")
    if foreign:
        names = _some([_name(key) for key in foreign])
        faults.append(f"{len(foreign)} variables there are not in this model: {names}")
    if misfits:
        faults.append(f"{len(misfits)} variables have another shape: {_some(misfits)}")
    if faults:
        raise CheckpointError(
            f"{prefix} is a checkpoint of another model than this config's:\n"
            + "\n".join(f"  {fault}" for fault in faults)
            + "\nNothing was overwritten. Train in a new --model_dir; to start from that "
            "checkpoint's weights name it in train_config.fine_tune_checkpoint."
        )


def _name(key_in_file: str) -> str:
    """A key of a file as people know it: rpn/conv/kernel."""
    return key_in_file.removesuffix(_SUFFIX).removeprefix("model/").replace("..", "/")


def _must_match(key: str) -> bool:
    return key.startswith(("model/", "step"))


def _some(names, limit=5) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
