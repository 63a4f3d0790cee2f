"""What a run is made of, and one checkpoint file of it.

What the file holds, by key (each followed by TensorFlow's `/.ATTRIBUTES/VARIABLE_VALUE`):

    model/<path>             a variable of the network
    optimizer/<slot>/<path>  a slot of the optimizer
    average/<path>           a moving average, where the optimizer keeps them
    step                     the updates made; with the config it fixes rate, seed and data order
    bad_records              where records lie that were left out, which the data order counts on

The slashes of a path are dots in the map, and each such dot is two in the file (TensorFlow's way
to escape them): `rpn/conv/kernel` is found under `model/rpn..conv..kernel`.

TFOD's own training checkpoints are read too; `compat.stored_run` knows their names.

The map is explicit because `tf.train.Checkpoint(model=keras_model)` leaves out, without a word,
layers that Keras 3 keeps in lists and dicts; the paths are `compat.checkpoint_map`'s.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from object_detection.builders.optimizer_builder import Momentum
from object_detection.compat import (
    checkpoint_map,
    checkpoint_reader,
    stored_run,
    variable_names,
)
from object_detection.compat.checkpoint_names import SUFFIX
from object_detection.errors import BlankCheckpointError, CheckpointError
from object_detection.training.optimizer import Optimizer

# What TensorFlow's reader raises on damaged files, depending on where the damage is.
UNREADABLE = (tf.errors.OpError, IndexError, RuntimeError, ValueError, TypeError, MemoryError)


class RunState(NamedTuple):
    """All that a run must find again to go on as if it had never stopped; see `fresh_state`."""

    weights: Mapping[str, tf.Variable]  # path -> every variable of the network, trained or not
    optimizer: Optimizer
    names: variable_names.VariableNames  # what TFOD calls them
    step: tf.Variable  # int64 scalar
    bad_records: tf.Variable  # string scalar: their places, one a line


def fresh_state(network, optimizer: Optimizer) -> RunState:
    """The state of a run that has made no step, around the variables of its network."""
    weights = {
        path: variable.value for path, variable in checkpoint_map.variables_by_path(network).items()
    }
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    bad_records = tf.Variable("", dtype=tf.string, trainable=False)
    return RunState(weights, optimizer, variable_names.names_of(network), step, bad_records)


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
    """Fills `state` from the checkpoint at `prefix`, which may be one of TFOD's training loops.

    Optimizer slots and averages that the file lacks begin anew with a warning, for the config
    may have changed its optimizer; the network's variables must all be there and fit.

    Raises:
        CheckpointError: it is a checkpoint of another model; nothing was changed.
        BlankCheckpointError: TFOD wrote it before its model had any variables.
    """
    reader = tf.train.load_checkpoint(str(prefix))
    stored = reader.get_variable_to_shape_map()
    run = stored_run.find(stored, state.names)
    if run.is_blank:
        raise BlankCheckpointError(
            f"{prefix} holds no weights: TFOD saved it at step 0, before its model was built"
        )
    _check_fits(prefix, state.weights, run, stored)
    entries, names = entries_of(state), _names_of_entries(run, state)
    present = {
        key: variable
        for key, variable in entries.items()
        if stored.get(names.get(key)) == list(variable.shape)
    }
    if "step" not in present:
        raise CheckpointError(
            f"{prefix} holds weights but no step: it is no training checkpoint. To start from its "
            "weights, name it in train_config.fine_tune_checkpoint and give a new --model_dir."
        )
    anew = sorted(set(entries) - set(present) - {"bad_records"})
    if anew:
        logging.warning(
            "%s lacks %d entries, which begin anew (has the optimizer of the config changed?): %s",
            prefix,
            len(anew),
            _some(anew),
        )
    # All is read before anything changes: a file that is damaged in the middle changes nothing.
    values = {key: reader.get_tensor(names[key]) for key in present}
    if run.writer != stored_run.OURS:
        _take_over(prefix, run.writer, values, state)
    for key, value in values.items():
        present[key].assign(value)


def read_weights(prefix: str | os.PathLike, network, *, averages: bool = False) -> int:
    """Gives a network the weights of a checkpoint, ours or TFOD's, without training further.

    Args:
        averages: take the moving averages where the checkpoint keeps them.

    Returns:
        The step that the weights are of; 0 where the checkpoint does not say.

    Raises:
        CheckpointError, ValueError: the checkpoint is damaged or does not fit the network.
    """
    variables = checkpoint_map.variables_by_path(network)
    names = variable_names.names_of(network)
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        stored = reader.get_variable_to_shape_map()
        run = stored_run.find(stored, names)
        step = int(reader.get_tensor(run.step)) if run.step in stored else 0
    except UNREADABLE as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(
            f"{prefix} is damaged and cannot be evaluated: {reason}. Copy it again, or remove its "
            "files to evaluate the others"
        ) from error
    if run.writer == stored_run.OURS:
        _check_fits(prefix, variables, run, stored)
    checkpoint_reader.restore(network, str(prefix), moving_averages=averages)
    return step


def _names_of_entries(run, state) -> dict[str, str]:
    """The name in the file of each entry of a state that it can have."""
    names = {"step": run.step, "bad_records": stored_run.name_of("bad_records")}
    names |= {f"model/{_flat(path)}": name for path, name in run.weights.items()}
    names |= {f"average/{_flat(path)}": name for path, name in run.averages.items()}
    # Another rule's slot of the same name holds something else: all of a rule's, or none.
    wanted = list(dict.fromkeys(slot for slot, _ in state.optimizer.slots))
    found = {slot for slot, _ in run.slots}
    if found <= set(wanted) and wanted[0] in found:
        names |= {f"optimizer/{slot}/{_flat(path)}": n for (slot, path), n in run.slots.items()}
    return names


def _take_over(prefix, writer, values, state):
    """Says what is taken over from TFOD, and turns what it keeps otherwise into our form.

    TFOD 2.x runs the same kernels on the same slots. TFOD 1.x's momentum is a sum of gradients,
    which the rate multiplies at each update; ours, as Keras's, is the sum of the updates
    themselves. With the rate of the next update between them that update is the same.
    """
    step = int(values["step"])
    counts = [sum(key.startswith(part) for key in values) for part in ("model", "opt", "average")]
    logging.info(
        "%s is a training checkpoint of %s at step %d: %d variables, %d slots of the optimizer "
        "and %d moving averages are taken over.",
        prefix,
        writer,
        step,
        *counts,
    )
    momenta = [key for key in values if key.startswith("optimizer/momentum/")]
    if writer == stored_run.TFOD_1 and isinstance(state.optimizer.plan.rule, Momentum) and momenta:
        rate = float(state.optimizer.plan.learning_rate(tf.constant(step, tf.int64)))
        for key in momenta:
            values[key] = values[key] * -rate
        logging.info("Its momentum is multiplied by the learning rate of this step, %g.", rate)


def is_ours(prefix: str | os.PathLike) -> bool:
    """Whether a checkpoint was written by `write`, and is not TFOD's or unreadable."""
    try:
        stored = tf.train.load_checkpoint(str(prefix)).get_variable_to_shape_map()
    except UNREADABLE:
        return False
    return stored_run.writer_of(stored) == stored_run.OURS


def _flat(path: str) -> str:
    return path.replace("/", ".")


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


def _check_fits(prefix, weights, run, stored):
    """Raises where a variable of the network is not in the file, or one there not in the network.

    Args:
        weights: path -> variable.
        run: `StoredRun` of the file.
        stored: name in the file -> shape.
    """
    missing = sorted(path for path in weights if run.weights.get(path) not in stored)
    misfits = [
        f"{path} is {stored[run.weights[path]]} there and {list(variable.shape)} here"
        for path, variable in sorted(weights.items())
        if path not in missing and stored[run.weights[path]] != list(variable.shape)
    ]
    faults = []
    if missing:
        faults.append(f"{len(missing)} variables of this model are not there: {_some(missing)}")
    if run.strays:
        names = _some([_name(name) for name in run.strays])
        faults.append(f"{len(run.strays)} variables there are not in this model: {names}")
    if misfits:
        faults.append(f"{len(misfits)} variables have another shape: {_some(misfits)}")
    if faults:
        raise CheckpointError(
            f"{prefix} is a checkpoint of another model than this config's:\n"
            + "\n".join(f"  {fault}" for fault in faults)
            + "\nNothing was overwritten. Train in a new --model_dir; to start from that "
            "checkpoint's weights name it in train_config.fine_tune_checkpoint."
        )


def _name(name: str) -> str:
    """A name in a file as people know it: rpn/conv/kernel."""
    return name.removesuffix(SUFFIX).removeprefix("model/").replace("..", "/")


def _some(names, limit=5) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
