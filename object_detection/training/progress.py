"""What a run tells the person who waits for it: one line every so many steps, and a bar."""

import contextlib
import sys
import time
from typing import NamedTuple

from absl import logging
from tqdm import tqdm

from object_detection.training import memory

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
    """Counts steps and time; shows a line every `every` steps, and a bar where someone looks on.

    Time spent between `pause()` and `resume()` (saving, evaluating) is no training time.

    Args:
        step: the step the run starts or resumes at.
        num_steps: the step it ends at; 0 where it has no end.
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
        """Notes one step done; gives the window when a line was due and has been shown."""
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
            self._say(f"first step done in {self._elapsed:.1f} s, with compiling it")
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
        self._say(self._line(step, window))
        self._sums, self._count, self._elapsed, self._timed = {}, 0, 0.0, 0
        return window

    def pause(self):
        """Stops the clock."""
        if self._running_since is not None:
            self._elapsed += time.monotonic() - self._running_since
            self._running_since = None

    def resume(self):
        """Starts the clock again."""
        self._running_since = time.monotonic()

    @contextlib.contextmanager
    def paused(self):
        """Around what is no training."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def close(self):
        """Takes the bar away."""
        self._bar.close()

    def _say(self, text):
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
        parts.append(f"memory {memory.of_process():.0f} MB")
        return " | ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as 1:02:03, with days where there are any."""
    minutes, second = divmod(int(round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days}d " if days else "") + f"{hour}:{minute:02}:{second:02}"
