"""Shows the progress of a run: a line at an interval of steps, a bar, and the memory in use."""

import contextlib
import sys
import time
from typing import NamedTuple

import psutil
import tensorflow as tf
from absl import logging
from tqdm import tqdm

_MB = 2**20

# How TFOD's long loss names read in a line.
_SHORT = {
    "Loss/total_loss": "loss",
    "Loss/RPNLoss/localization_loss": "rpn_box",
    "Loss/RPNLoss/objectness_loss": "rpn_obj",
    "Loss/BoxClassifierLoss/localization_loss": "box",
    "Loss/BoxClassifierLoss/classification_loss": "class",
    "Loss/BoxClassifierLoss/mask_loss": "mask",
    "Loss/regularization_loss": "reg",
}


class Window(NamedTuple):
    """The steps since the last line."""

    losses: dict  # TFOD's name -> mean over the window
    learning_rate: float  # of the last step
    steps_per_second: float


class Progress:
    """Counts steps and time; logs a line every `every` steps, and shows a bar in a terminal.

    Time spent between `pause()` and `resume()` (saving, evaluating) is not counted.

    Args:
        step: the step the run starts or resumes at.
        num_steps: the step it ends at; 0: no limit.
        batch_size: images a step.
        every: steps between two lines.
        show_bar: whether to draw a bar; None: if standard error is a terminal.
    """

    def __init__(self, *, step, num_steps, batch_size, every, show_bar=None):
        self._num_steps, self._batch_size, self._every = num_steps, batch_size, max(every, 1)
        self._sums: dict = {}
        self._count = 0
        self._elapsed, self._timed = 0.0, 0  # seconds, and the steps they were spent on
        self._running_since = time.monotonic()
        self._is_first = True
        self._pace = None  # seconds a step, smoothed over the lines; for the time left
        self._bar = tqdm(
            total=num_steps or None,
            initial=step,
            unit="step",
            dynamic_ncols=True,
            disable=not (sys.stderr.isatty() if show_bar is None else show_bar),
        )

    def add(self, step, losses, learning_rate) -> Window | None:
        """Count one step; return the window if a line was due and has been logged."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._count += 1
        self._timed += 1
        self._bar.update(1)
        self.pause()
        self.resume()
        is_due = step % self._every == 0 or step == self._num_steps
        if self._is_first and not is_due:
            # The first step compiles the graph: its time says nothing of the others'.
            self._log(f"first step done in {self._elapsed:.1f} s, including compilation")
            self._elapsed, self._timed = 0.0, 0
        self._is_first = False
        if not is_due or not self._timed:
            return None
        seconds = max(self._elapsed, 1e-9) / self._timed
        window = Window(
            {name: total / self._count for name, total in self._sums.items()},
            float(learning_rate),
            1.0 / seconds,
        )
        self._pace = seconds if self._pace is None else 0.5 * self._pace + 0.5 * seconds
        self._log(self._line(step, window))
        self._sums, self._count, self._elapsed, self._timed = {}, 0, 0.0, 0
        return window

    def pause(self):
        """Stop the clock."""
        if self._running_since is not None:
            self._elapsed += time.monotonic() - self._running_since
            self._running_since = None

    def resume(self):
        """Start the clock again."""
        self._running_since = time.monotonic()

    @contextlib.contextmanager
    def paused(self):
        """Stop the clock while the block runs."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def close(self):
        """Remove the bar."""
        self._bar.close()

    def _log(self, text):
        with self._bar.external_write_mode():
            logging.info("%s", text)

    def _line(self, step, window) -> str:
        parts = [f"step {step}/{self._num_steps}" if self._num_steps else f"step {step}"]
        total_first = sorted(window.losses, key=lambda name: name != "Loss/total_loss")
        parts.append(
            " ".join(f"{_SHORT.get(name, name)} {window.losses[name]:.4f}" for name in total_first)
        )
        parts.append(f"lr {window.learning_rate:.3g}")
        parts.append(
            f"{window.steps_per_second * self._batch_size:.2f} images/s "
            f"({1 / window.steps_per_second:.3f} s/step)"
        )
        if self._num_steps:
            parts.append(f"ETA {clock(self._pace * max(self._num_steps - step, 0))}")
        parts.append(f"memory {process_memory():.0f} MB")
        return " | ".join(parts)


def clock(seconds: float) -> str:
    """Return seconds as 1:02:03, with days if there are any."""
    minutes, second = divmod(int(round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days}d " if days else "") + f"{hour}:{minute:02}:{second:02}"


def process_memory() -> float:
    """Return the MB of the machine's memory that this process holds."""
    return psutil.Process().memory_info().rss / _MB


def memory_in_use() -> dict[str, float]:
    """Return {summary tag: MB} of the process, and of each GPU now and at its peak."""
    memory = {"memory/process_MB": process_memory()}
    for number in range(len(tf.config.list_logical_devices("GPU"))):
        try:
            usage = tf.config.experimental.get_memory_info(f"GPU:{number}")
        except (ValueError, tf.errors.OpError):  # an allocator that keeps no count
            continue
        memory[f"memory/gpu{number}_MB"] = usage["current"] / _MB
        memory[f"memory/gpu{number}_peak_MB"] = usage["peak"] / _MB
    return memory
