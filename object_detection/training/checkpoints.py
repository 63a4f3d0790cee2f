"""The checkpoints of a model_dir: written whole or not at all, kept, forgotten and found again.

The files are TFOD's: `checkpoint` (the list of those kept), `ckpt-N.index` and
`ckpt-N.data-00000-of-00001`, where N counts the saves. They are written under a temporary name,
moved into place data first and index last, and only then listed: a crash or a full disk at any
moment leaves the listed ones whole. What is in them is `run_state`'s.

A folder of TFOD's training loops is one too: its checkpoints, `ckpt-N` of 2.x and `model.ckpt-STEP`
of 1.x, are read, ours are written beside them, and no file of TFOD's is ever deleted.
"""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

import tensorflow as tf
from absl import logging

from object_detection import addresses
from object_detection.errors import BlankCheckpointError, CheckpointError
from object_detection.training import run_state
from object_detection.training.run_state import RunState

_LIST_DRAFT = ".writing-checkpoint"


class CheckpointDirectory:
    """The checkpoints of a model_dir: saving, forgetting old ones, finding the newest.

    Args:
        directory: the model_dir; made where it is missing.
        max_to_keep: how many of the newest are kept; 0 keeps all.
        keep_every_n_hours: besides those, one is kept for good every so many hours.
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
        """Writes the next checkpoint; returns its prefix.

        Raises:
            CheckpointError: it could not be written; the earlier ones are as they were.
        """
        listed = self._listed()
        number = max([0, *self._numbers()]) + 1
        prefix = self.directory / f"ckpt-{number}"
        work = self.directory / f".writing-ckpt-{number}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            run_state.write(work / prefix.name, state)
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
        for name in filter(lambda name: run_state.is_ours(self.directory / name), dropped):
            # The index goes first: without it the rest is no checkpoint for anybody.
            for path in sorted(self._files_of(name), key=lambda path: path.suffix != ".index"):
                path.unlink(missing_ok=True)
        return prefix

    def restore_newest(self, state: RunState) -> Path | None:
        """Fills `state` from the newest readable checkpoint; returns its prefix, or None.

        A checkpoint whose files are damaged, or that holds no weights, is passed over, with a
        warning, for the one before.

        Raises:
            CheckpointError: the newest is of another model, or all there are damaged.
        """
        damaged = []
        for prefix in self.newest_first():
            try:
                run_state.read(prefix, state)
            except BlankCheckpointError as error:
                logging.warning("%s; it is passed over.", error)
                continue
            except run_state.UNREADABLE as error:
                logging.warning("%s is damaged and passed over: %s", prefix, _first_line(error))
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
        """Prefixes of the checkpoints there.

        The one that the list calls the latest comes first (people edit it to go back), then the
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
                _first_line(error),
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
        """Takes what is to be forgotten off the list; the first is deleted by the caller."""
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
        size = sum(
            variable.shape.num_elements() * 4 for variable in run_state.entries_of(state).values()
        )
        try:
            free = f"{shutil.disk_usage(self.directory).free / 1e6:.0f} MB"
        except OSError:
            free = "unknown"
        step = int(state.step.numpy())
        return (
            f"The checkpoint of step {step} could not be saved in {self.directory}: "
            f"{_first_line(error)} (free space: {free}; a checkpoint takes about "
            f"{size / 1e6:.0f} MB). "
            + (f"The last good one is {kept[0].name}. " if kept else "There is no earlier one. ")
            + self._remedy(error)
        )

    @staticmethod
    def _remedy(error) -> str:
        """What helps, by the error."""
        if isinstance(error, (FileNotFoundError, tf.errors.NotFoundError)):
            return (
                "Files vanished while they were written: another program works in this folder. End "
                "it, or give another --model_dir; the same command then resumes."
            )
        return "Free some space or lower --checkpoint_max_to_keep; the same command then resumes."


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


def _first_line(error) -> str:
    text = getattr(error, "message", None) or str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0][:300]


def _flush_to_disk(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
