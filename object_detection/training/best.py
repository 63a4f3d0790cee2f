"""The best checkpoint of a run by one of its metrics, and early stopping."""

import contextlib
import difflib
import json
import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from absl import logging

from object_detection.checkpoints import location
from object_detection.errors import TrainingError

_STATE = "best.json"
_NAMES_SHOWN = 5


class BestCheckpoint:
    """Keeps a copy of the checkpoint with the best value so far in a folder of its own.

    `--checkpoint_dir`, the exporter and `fine_tune_checkpoint` accept the folder. Its `best.json`
    holds the best value, so that a resumed run continues to compare.

    Args:
        directory: the folder, `model_dir/best`, created with the first checkpoint.
        metric: name of the metric or loss. For losses (`Loss/...`) lower is better.
        patience: number of evaluations in a row without a better one that end the run; 0: never.
    """

    def __init__(self, directory: str | os.PathLike, metric: str, patience: int = 0):
        self.directory, self.metric, self.patience = Path(directory), metric, patience
        self._lower_is_better = metric.rpartition(":")[2].startswith("Loss/")
        self._state = {"metric": metric, "best": None, "evaluations_since": 0, "last_step": -1}
        with contextlib.suppress(FileNotFoundError):
            self._resume_from(json.loads((self.directory / _STATE).read_text()))

    @property
    def best(self) -> dict | None:
        """{"step", "value", "checkpoint"} of the best so far, or None."""
        return self._state["best"]

    @property
    def is_over(self) -> bool:
        """Return whether the patience has run out."""
        return bool(self.patience) and self._state["evaluations_since"] >= self.patience

    def check(self, names: Iterable[str]) -> None:
        """Raise `TrainingError` if the metric is none of these names; the nearest are given."""
        names = list(names)
        if self.metric in names:
            return
        plain = {name.casefold(): name for name in names}
        metric = self.metric.casefold()
        near = [name for key, name in plain.items() if metric == key.rpartition("/")[2]]
        matches = difflib.get_close_matches(metric, plain, n=_NAMES_SHOWN, cutoff=0.4)
        near = list(dict.fromkeys([*near, *(plain[key] for key in matches)]))[:_NAMES_SHOWN]
        hint = f" Did you mean {near[0]}?" if near else ""
        raise TrainingError(
            f"--best_metric={self.metric}: the evaluation has no such number.{hint} "
            f"It has {', '.join(near or names[:_NAMES_SHOWN])} ({len(names)} in all)."
        )

    def take(self, step: int, numbers: dict, prefix: Path | None) -> None:
        """Compare an evaluation, and keep its checkpoint if it is the best.

        Args:
            step: of the weights; one that was compared before is ignored.
            numbers: name -> value, all of the evaluation.
            prefix: of the checkpoint that was evaluated.

        Raises:
            TrainingError: there is no such metric.
        """
        value = self._value(numbers)
        if step <= self._state["last_step"]:
            return
        self._state["last_step"] = step
        if value is None:
            logging.warning(
                "--best_metric: %s has no value at step %d (-1 or NaN: the evaluation data holds "
                "nothing that it could be computed from).",
                self.metric,
                step,
            )
        if value is not None and self._is_better(value) and prefix is not None:
            old = self.best
            self._keep(prefix)
            self._state["best"] = {"step": step, "value": value, "checkpoint": prefix.name}
            self._state["evaluations_since"] = 0
            was = f"; it was {old['value']:.5f} at step {old['step']}" if old else ""
            logging.info(
                "The best so far: %s = %.5f at step %d%s. Kept in %s.",
                self.metric,
                value,
                step,
                was,
                self.directory,
            )
        else:
            self._state["evaluations_since"] += 1
        self._write("best.json", json.dumps(self._state, indent=1) + "\n")

    def why_over(self) -> str:
        """Return why the run is over."""
        if self.best is None:
            best = "it never had a value"
        else:
            best = f"the best is {self.best['value']:.5f} at step {self.best['step']}"
        return (
            f"Early stopping: {self.metric} has not become better in "
            f"{self._state['evaluations_since']} evaluations; {best}, kept in {self.directory}. "
            "To continue, raise --early_stopping_patience."
        )

    def _resume_from(self, stored):
        if stored["metric"] == self.metric:
            self._state = stored
            return
        logging.warning(
            "%s holds the best checkpoint by %s; the comparison by %s begins anew.",
            self.directory,
            stored["metric"],
            self.metric,
        )

    def _value(self, numbers):
        self.check(numbers)
        value = float(numbers[self.metric])
        is_absent = not math.isfinite(value) or (value == -1 and not self._lower_is_better)
        return None if is_absent else value

    def _is_better(self, value):
        if self.best is None:
            return True
        return (value < self.best["value"]) if self._lower_is_better else value > self.best["value"]

    def _keep(self, prefix):
        """The files of the checkpoint under their own names, data first and index last."""
        self.directory.mkdir(parents=True, exist_ok=True)
        old = [path for path in self.directory.iterdir() if _is_part(path)]
        files = [path for path in prefix.parent.iterdir() if _is_part(path, prefix.name)]
        for path in sorted(files, key=lambda path: path.suffix == ".index"):
            draft = self.directory / f".writing-{path.name}"
            draft.unlink(missing_ok=True)
            try:
                os.link(path, draft)  # one copy while both folders keep it
            except OSError:
                shutil.copyfile(path, draft)
            os.replace(draft, self.directory / path.name)
        lines = [f'{field}: "{prefix.name}"' for field in _LIST_FIELDS]
        self._write("checkpoint", "\n".join(lines) + "\n")
        config = location.config_in_folder(prefix.parent)
        if config is not None:
            self._write(location.CONFIG, config.read_text())
        for path in old:
            if not _is_part(path, prefix.name):
                path.unlink(missing_ok=True)

    def _write(self, name, text):
        self.directory.mkdir(parents=True, exist_ok=True)
        draft = self.directory / f".writing-{name}"
        draft.write_text(text)
        os.replace(draft, self.directory / name)


_LIST_FIELDS = ("model_checkpoint_path", "all_model_checkpoint_paths")


def _is_part(path, name=None) -> bool:
    """Whether a file belongs to a checkpoint (of this name)."""
    stem = path.name.removesuffix(".index") if path.suffix == ".index" else ""
    stem = stem or (path.name.rpartition(".data-")[0] if ".data-" in path.name else "")
    return bool(stem) and not stem.startswith(".") and name in (None, stem)
