"""Saves the checkpoints of a run, forgets old ones, and resumes from the newest readable one.

What a checkpoint of ours holds, by key (each followed by TensorFlow's
`/.ATTRIBUTES/VARIABLE_VALUE`):

    model/<path>             a variable of the network
    optimizer/<slot>/<path>  a slot of the optimizer
    average/<path>           a moving average, where the optimizer keeps them
    step                     the updates made; with the config it fixes rate, seed and data order
    bad_records              where records are that were left out, which the data order depends on

The slashes of a path are dots in the map, and each such dot is two in the file (TensorFlow's way
to escape them): `rpn/conv/kernel` is found under `model/rpn..conv..kernel`.

The files are TFOD's: `checkpoint` (the list of those kept), `ckpt-N.index` and
`ckpt-N.data-00000-of-00001`, where N counts the saves. They are written under a temporary name,
moved into place data first and index last, and only then listed: a crash or a full disk at any
moment leaves the listed ones complete.

A folder of TFOD's training loops can be resumed too: its checkpoints, `ckpt-N` of 2.x and
`model.ckpt-STEP` of 1.x, are read, ours are written next to them, and no file of TFOD's is ever
deleted.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import tensorflow as tf
from absl import logging

from object_detection import addresses
from object_detection.checkpoints.names import SUFFIX, VariableSource, training_state
from object_detection.checkpoints.open import StoredCheckpoint, first_line, open_checkpoint
from object_detection.checkpoints.restore import assign, plan_restore, restore_opened, values_of
from object_detection.checkpoints.variables import VariableNames, names_of, variables_by_path
from object_detection.errors import BlankCheckpointError, CheckpointError, DamagedCheckpointError

_LIST_DRAFT = ".writing-checkpoint"
_FAILED_SAVES = 3  # as many in a row end the run


class SavedOptimizer(Protocol):
    """What a checkpoint holds of an optimizer; see `training.optimizer.Optimizer`."""

    slots: Mapping[tuple[str, str], tf.Variable]  # (slot name, path) -> variable
    averages: Mapping[str, tf.Variable]  # path -> variable

    def tfod1_momentum_scale(self, step: int) -> float | None:
        """Return the factor from TFOD 1.x's momentum to ours; None for other rules."""


class RunState(NamedTuple):
    """Everything that a run needs to resume exactly; see `fresh_state`."""

    weights: Mapping[str, tf.Variable]  # path -> every variable of the network, trained or not
    optimizer: SavedOptimizer
    names: VariableNames  # what TFOD calls them
    step: tf.Variable  # int64 scalar
    bad_records: tf.Variable  # string scalar: their positions, one a line


def fresh_state(network, optimizer: SavedOptimizer) -> RunState:
    """Return the state of a run at step 0, with the variables of its network."""
    weights = {path: variable.value for path, variable in variables_by_path(network).items()}
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    bad_records = tf.Variable("", dtype=tf.string, trainable=False)
    return RunState(weights, optimizer, names_of(network), step, bad_records)


def entries_of(state: RunState) -> dict[str, tf.Variable]:
    """Return {key: variable}; see the top of this file for the keys."""
    entries = {"step": state.step, "bad_records": state.bad_records}
    for path, weight in state.weights.items():
        entries[f"model/{_flat(path)}"] = weight
    for (slot, path), variable in state.optimizer.slots.items():
        entries[f"optimizer/{slot}/{_flat(path)}"] = variable
    for path, variable in state.optimizer.averages.items():
        entries[f"average/{_flat(path)}"] = variable
    return entries


def write(prefix: str | os.PathLike, state: RunState) -> None:
    """Write one checkpoint's files at `prefix`, not atomically: see `CheckpointDirectory`."""
    _trackable(entries_of(state)).write(str(prefix))


def read(prefix: str | os.PathLike, state: RunState) -> None:
    """Restore `state` from the checkpoint at `prefix`, which may be of TFOD's training loops.

    Optimizer slots and averages that the file lacks begin anew with a warning, because the config
    may have changed its optimizer; the network's variables must all be there and fit.

    Raises:
        DamagedCheckpointError: a file is missing, cut off or unreadable; nothing was changed.
        CheckpointError: it is a checkpoint of another model; nothing was changed.
        BlankCheckpointError: TFOD wrote it before its model had any variables.
    """
    with open_checkpoint(prefix) as checkpoint:
        stored = training_state.find(checkpoint.shapes, state.names)
        if stored.is_blank:
            raise BlankCheckpointError(
                f"{prefix} holds no weights: TFOD saved it at step 0, before its model was built"
            )
        _check_fits(checkpoint, state.weights, stored)
        entries = entries_of(state)
        plan = plan_restore(entries, _sources_of_entries(stored, state), checkpoint.shapes)
        if "step" not in plan.sources:
            raise CheckpointError(
                f"{prefix} holds weights but no step: it is no training checkpoint. To start from "
                "its weights, name it in train_config.fine_tune_checkpoint and give a new "
                "--model_dir."
            )
        anew = sorted(set(entries) - set(plan.sources) - {"bad_records"})
        if anew:
            logging.warning(
                "%s lacks %d entries, which begin anew (has the optimizer of the config "
                "changed?): %s",
                prefix,
                len(anew),
                _some(anew),
            )
        # All is read before anything changes: a file damaged in the middle changes nothing.
        values = dict(values_of(checkpoint, plan.sources))
    if stored.writer != training_state.OURS:
        _convert_tfod_values(prefix, stored.writer, values, state)
    assign(entries, values)


def read_weights(prefix: str | os.PathLike, network, *, averages: bool = False) -> int:
    """Restore only the weights of a training checkpoint, ours or TFOD's.

    Args:
        prefix: of the checkpoint.
        network: `FasterRCNN`.
        averages: take the moving averages where the checkpoint has them.

    Returns:
        The step that the weights are of; 0 where the checkpoint does not say.

    Raises:
        CheckpointError: the checkpoint is damaged or does not fit the network.
    """
    try:
        with open_checkpoint(prefix) as checkpoint:
            stored = training_state.find(checkpoint.shapes, names_of(network))
            has_step = stored.step in checkpoint.shapes
            step = int(checkpoint.read(stored.step)) if has_step else 0
            if stored.writer == training_state.OURS:
                _check_fits(checkpoint, variables_by_path(network), stored)
            restore_opened(network, checkpoint, moving_averages=averages)
    except DamagedCheckpointError as error:
        raise DamagedCheckpointError(
            f"{prefix} is damaged and cannot be evaluated: {first_line(error)}. Copy it again, or "
            "remove its files to evaluate the others"
        ) from error
    return step


def _sources_of_entries(stored, state) -> dict[str, VariableSource]:
    """Where the file may have each entry of a state."""
    names = {"step": stored.step, "bad_records": training_state.name_of("bad_records")}
    names |= {f"model/{_flat(path)}": name for path, name in stored.weights.items()}
    names |= {f"average/{_flat(path)}": name for path, name in stored.averages.items()}
    # Another rule's slot of the same name holds something else: all of a rule's, or none.
    own = list(dict.fromkeys(slot for slot, _ in state.optimizer.slots))
    slots = {slot for slot, _ in stored.slots}
    if slots <= set(own) and own[0] in slots:
        names |= {f"optimizer/{slot}/{_flat(path)}": n for (slot, path), n in stored.slots.items()}
    return {key: VariableSource(name) for key, name in names.items()}


def _convert_tfod_values(prefix, writer, values, state):
    """Log what is taken from TFOD, and convert the momentum of TFOD 1.x in place."""
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
    scale = state.optimizer.tfod1_momentum_scale(step)
    if writer == training_state.TFOD_1 and scale is not None and momenta:
        for key in momenta:
            values[key] = values[key] * scale
        logging.info("Its momentum is multiplied by the learning rate of this step, %g.", -scale)


def is_ours(prefix: str | os.PathLike) -> bool:
    """Return whether a checkpoint was written by `write`, and is not TFOD's or unreadable."""
    try:
        with open_checkpoint(prefix) as checkpoint:
            return training_state.writer_of(checkpoint.shapes) == training_state.OURS
    except CheckpointError:
        return False


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


def _check_fits(checkpoint: StoredCheckpoint, weights, stored):
    """Raise where a variable of the network is not in the file, or one there not in the network.

    Args:
        checkpoint: an open one.
        weights: path -> variable.
        stored: `TrainingState` of the file.
    """
    sources = {path: VariableSource(name) for path, name in stored.weights.items()}
    plan = plan_restore(weights, sources, checkpoint.shapes)
    problems = []
    if plan.missing:
        missing = _some(sorted(plan.missing))
        problems.append(f"{len(plan.missing)} variables of this model are not there: {missing}")
    if stored.unknown:
        names = _some([_name(name) for name in stored.unknown])
        problems.append(f"{len(stored.unknown)} variables there are not in this model: {names}")
    if plan.mismatched:
        shapes = [
            f"{path} is {shape} there and {list(weights[path].shape)} here"
            for path, shape in sorted(plan.mismatched.items())
        ]
        problems.append(f"{len(shapes)} variables have another shape: {_some(shapes)}")
    if problems:
        raise CheckpointError(
            f"{checkpoint.path} is a checkpoint of another model than this config's:\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + "\nNothing was overwritten. Train in a new --model_dir; to start from that "
            "checkpoint's weights name it in train_config.fine_tune_checkpoint."
        )


def _name(name: str) -> str:
    """A name in a file as people know it: rpn/conv/kernel."""
    return name.removesuffix(SUFFIX).removeprefix("model/").replace("..", "/")


def _some(names, limit=5) -> str:
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


class CheckpointDirectory:
    """The checkpoints of a model_dir: saving, forgetting old ones, finding the newest.

    Args:
        directory: the model_dir; created if missing.
        max_to_keep: number of the newest that are kept; 0 keeps all.
        keep_every_n_hours: besides those, one is kept for good at this interval.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        *,
        max_to_keep: int = 7,
        keep_every_n_hours: float = 10000.0,
    ):
        addresses.refuse(directory, "model_dir")
        self.directory = Path(directory)
        self._max_to_keep = max_to_keep
        self._keep_seconds = keep_every_n_hours * 3600

    def save(self, state: RunState) -> Path:
        """Write the next checkpoint and return its prefix.

        Raises:
            CheckpointError: it could not be written; the earlier ones are unchanged.
        """
        listed = self._listed()
        number = max([0, *self._numbers()]) + 1
        prefix = self.directory / f"ckpt-{number}"
        work = self.directory / f".writing-ckpt-{number}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            write(work / prefix.name, state)
            self._move_into_place(work, prefix)
            listed.entries.append((prefix.name, time.time()))
            dropped = self._drop_old(listed)
            self._write_list(listed)
        except (OSError, tf.errors.OpError) as error:
            for path in (*self._files_of(prefix.name), self.directory / _LIST_DRAFT):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise CheckpointError(self._why_not_saved(state, error)) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        for name in filter(lambda name: is_ours(self.directory / name), dropped):
            # The index goes first: without it the rest is no checkpoint for anybody.
            for path in sorted(self._files_of(name), key=lambda path: path.suffix != ".index"):
                path.unlink(missing_ok=True)
        return prefix

    def restore_newest(self, state: RunState) -> Path | None:
        """Restore `state` from the newest readable checkpoint; return its prefix, or None.

        A checkpoint whose files are damaged, or that holds no weights, is skipped, with a
        warning, for the one before.

        Raises:
            CheckpointError: the newest is of another model, or all there are damaged.
        """
        damaged = []
        for prefix in self.newest_first():
            try:
                read(prefix, state)
            except BlankCheckpointError as error:
                logging.warning("%s; it is passed over.", error)
                continue
            except DamagedCheckpointError as error:
                logging.warning("%s is damaged and passed over: %s", prefix, first_line(error))
                damaged.append(prefix.name)
                continue
            return prefix
        if damaged:
            raise CheckpointError(
                f"No checkpoint in {self.directory} can be read ({', '.join(damaged)}). Remove "
                "them to train anew, or give another --model_dir."
            )
        return None

    def newest_first(self) -> list[Path]:
        """Return the prefixes of the checkpoints there.

        The one that the list names the latest comes first (people edit it to go back), then the
        other listed ones, then what is not listed.
        """
        listed = self._listed()
        names = [listed.latest, *(name for name, _ in reversed(listed.entries))]
        names += [f"ckpt-{number}" for number in reversed(self._numbers())]
        names += [f"model.ckpt-{step}" for step in reversed(self._numbers("model.ckpt"))]
        names = [name for name in dict.fromkeys(names) if name]
        return [
            self.directory / name for name in names if (self.directory / f"{name}.index").exists()
        ]

    def _numbers(self, stem="ckpt") -> list[int]:
        pattern = re.escape(stem) + r"-(\d+)\..*"
        names = (re.fullmatch(pattern, path.name) for path in self._entries())
        return sorted({int(match[1]) for match in names if match})

    def _entries(self):
        return list(self.directory.iterdir()) if self.directory.is_dir() else []

    def _files_of(self, name):
        return [
            path
            for path in self._entries()
            if path.name == f"{name}.index" or path.name.startswith(f"{name}.data-")
        ]

    def _move_into_place(self, work, prefix):
        files = sorted(work.iterdir(), key=lambda path: path.suffix == ".index")
        if [path.suffix for path in files].count(".index") != 1:
            raise OSError(f"TensorFlow wrote {[path.name for path in files]}, without one index")
        for path in files:
            _flush_to_disk(path)
            os.replace(path, prefix.parent / path.name)
        _flush_to_disk(prefix.parent)

    def _listed(self) -> "_List":
        try:
            proto = tf.train.get_checkpoint_state(str(self.directory))
        except (UnicodeDecodeError, tf.errors.OpError) as error:
            logging.warning(
                "%s cannot be read (%s): the checkpoints are found by their names.",
                self.directory / "checkpoint",
                first_line(error),
            )
            proto = None
        if proto is None:
            return _List([], time.time())
        names = [os.path.basename(path) for path in proto.all_model_checkpoint_paths]
        times = list(proto.all_model_checkpoint_timestamps)
        if len(times) != len(names):  # written by hand, or by an older TensorFlow
            times = [0.0] * len(names)
        return _List(
            list(zip(names, times, strict=True)),
            proto.last_preserved_timestamp or time.time(),
            os.path.basename(proto.model_checkpoint_path),
        )

    def _drop_old(self, listed: "_List") -> list[str]:
        """Remove old entries from the list; return those whose files the caller deletes."""
        dropped = []
        while self._max_to_keep and len(listed.entries) > self._max_to_keep:
            name, saved_at = listed.entries.pop(0)
            if saved_at - listed.preserved_at >= self._keep_seconds:
                listed.preserved_at = saved_at  # kept for good, and no longer listed
            else:
                dropped.append(name)
        return dropped

    def _write_list(self, listed: "_List"):
        names = [name for name, _ in listed.entries]
        lines = [f'model_checkpoint_path: "{names[-1]}"']
        lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
        lines += [f"all_model_checkpoint_timestamps: {saved!r}" for _, saved in listed.entries]
        lines += [f"last_preserved_timestamp: {listed.preserved_at!r}"]
        draft = self.directory / _LIST_DRAFT
        draft.write_text("\n".join(lines) + "\n")
        _flush_to_disk(draft)
        os.replace(draft, self.directory / "checkpoint")

    def _why_not_saved(self, state, error) -> str:
        kept = self.newest_first()
        size = sum(variable.shape.num_elements() * 4 for variable in entries_of(state).values())
        try:
            free = f"{shutil.disk_usage(self.directory).free / 1e6:.0f} MB"
        except OSError:
            free = "unknown"
        step = int(state.step.numpy())
        return (
            f"The checkpoint of step {step} could not be saved in {self.directory}: "
            f"{first_line(error)} (free space: {free}; a checkpoint takes about "
            f"{size / 1e6:.0f} MB). "
            + (f"The last good one is {kept[0].name}. " if kept else "There is no earlier one. ")
            + self._remedy(error)
        )

    @staticmethod
    def _remedy(error) -> str:
        """What helps, by the error."""
        if isinstance(error, (FileNotFoundError, tf.errors.NotFoundError)):
            return (
                "Files vanished while they were written: another program uses this folder. End "
                "it, or give another --model_dir; the same command then resumes."
            )
        return "Free some space or lower --checkpoint_max_to_keep; the same command then resumes."


class CheckpointManager:
    """Saves a run's state during training, and tolerates a failing disk for a while.

    Attributes:
        newest: prefix of the newest checkpoint, or None.
        saved_step: the step of the last save; that of the beginning needs no saving.
    """

    def __init__(
        self,
        checkpoints: CheckpointDirectory | None,
        state: RunState,
        before_save: Callable[[], object] = lambda: None,
    ):
        """Keep what to save and where.

        Args:
            checkpoints: where to save; None keeps nothing.
            state: of the run.
            before_save: called before every save, to bring the state up to date.
        """
        self._checkpoints, self._state, self._before_save = checkpoints, state, before_save
        self._failures = 0
        self.saved_step = int(state.step.numpy())
        self.newest = None
        if checkpoints is not None:
            self.newest = next(iter(checkpoints.newest_first()), None)

    def save(self, *, must_succeed: bool) -> None:
        """Save the state.

        Raises:
            CheckpointError: it could not be saved, and `must_succeed`, or several saves in a row
                have failed. Else the failure is logged.
        """
        if self._checkpoints is None:
            return
        self._before_save()
        try:
            self.newest = self._checkpoints.save(self._state)
        except CheckpointError as error:
            self._failures += 1
            if must_succeed or self._failures >= _FAILED_SAVES:
                raise
            logging.error("%s Training continues; the next save tries again.", error)
            return
        self._failures = 0
        self.saved_step = int(self._state.step.numpy())
        logging.info("Saved %s at step %d.", self.newest, self.saved_step)


class _List:
    """What the file `checkpoint` says.

    Attributes:
        entries: (name, time saved) of what is kept, oldest first.
        preserved_at: when one was last kept for good.
        latest: the name to resume from; '' without a list.
    """

    def __init__(self, entries: list[tuple[str, float]], preserved_at: float, latest: str = ""):
        self.entries = entries
        self.preserved_at = preserved_at
        self.latest = latest


def _flush_to_disk(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
