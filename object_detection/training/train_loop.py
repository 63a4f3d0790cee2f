"""The training loop: step, check the losses, log, save and evaluate, until done or stopped."""

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from object_detection.checkpoints.manager import CheckpointDirectory, CheckpointManager, RunState
from object_detection.errors import (
    NoExamplesError,
    NonFiniteLossError,
    OutOfMemoryError,
    WorkerLostError,
)
from object_detection.structures.batch import Batch
from object_detection.training import train_step
from object_detection.training.progress import Progress, memory_in_use
from object_detection.training.summaries import Summaries

_SKIPPED_STEPS = 10  # as many in a row end a run that skips steps with a non-finite gradient
_ZERO_LOSS_STEPS = 200  # as many in a row with a loss of exactly 0 give a warning

OUT_OF_MEMORY_ADVICE = """\
The device ran out of memory. What takes memory, most first:
  train_config.batch_size (per GPU: batch_size / number of GPUs)
  model.faster_rcnn.image_resizer: the size of the images
  model.faster_rcnn.second_stage_batch_size and first_stage_max_proposals
  mask_rcnn_box_predictor: mask_height, mask_width, mask_prediction_num_conv_layers
  model.faster_rcnn.initial_crop_size
Change one with --config_override, for example --config_override=train_config.batch_size=1
Or keep them all, and compute activations twice instead of storing them: --gradient_checkpointing"""


_ZERO_LOSS_ADVICE = (
    "Do anchors and proposals reach the sizes of your objects (first_stage_anchor_generator, "
    "image_resizer)? Do the records hold boxes, and masks where the loss is that of masks (python "
    "-m object_detection.browse_data shows them)? Is a weight of the loss, "
    "second_stage_balance_fraction or second_stage_batch_size 0?"
)


class StopRequest:
    """Records the first SIGINT or SIGTERM during the block, instead of ending the process.

    A second one ends it at once. Outside the main thread, where Python allows no handlers, it only
    holds the flag.

    Attributes:
        signal_number: the signal received, or None.
    """

    def __init__(self):
        self.signal_number = None
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __bool__(self):
        return self.signal_number is not None

    @property
    def exit_code(self) -> int:
        """Return the shell's code for a process ended by this signal; 0 without one."""
        return 0 if self.signal_number is None else 128 + self.signal_number

    @property
    def name(self) -> str:
        """Return the signal in words."""
        return {signal.SIGINT: "Ctrl-C (SIGINT)"}.get(
            self.signal_number, signal.Signals(self.signal_number).name
        )

    def _note(self, number, frame):
        del frame
        self.signal_number = number
        for name, handler in self._previous.items():
            signal.signal(name, handler)
        logging.warning("%s received: finishing this step; once more ends it at once.", self.name)


class LoopSettings(NamedTuple):
    """How long a run lasts and how often it logs, saves and evaluates."""

    num_steps: int  # 0: no limit
    batch_size: int  # images a step, over all replicas
    checkpoint_every_n: int = 1000
    log_every_n_steps: int = 20
    evaluate_every_n: int = 0  # 0: no evaluation in this process
    skip_non_finite: bool = False  # the step function keeps the weights at such a step
    several_workers: bool = False


class Hooks(NamedTuple):
    """What the loop calls besides the steps.

    Attributes:
        before_save: called before every save, to bring the state up to date.
        save_batch: called with a step whose loss or gradient is not finite; saves the batch of that
            step for inspection, and returns where.
        evaluate: called with the step, the stop request and the checkpoint's prefix where an
            evaluation is due, always just after a save. A message that it returns ends the run.
        should_stop: called before every step with whether this process received a signal; returns
            whether any worker did. All workers get the same answer, and stop together.
        draw_inputs: called with the images that a step returns; pictures [n, H, W, 3] of them.
        weight_names: of the gradients that a step returns.
    """

    before_save: Callable[[], object] = lambda: None
    save_batch: Callable[[int], Path | None] = lambda step: None
    evaluate: Callable[[int, StopRequest, Path | None], str | None] | None = None
    should_stop: Callable[[bool], bool] = bool
    draw_inputs: Callable[[Batch], np.ndarray] | None = None
    weight_names: Sequence[str] = ()


def train(
    step_function: Callable,
    iterator,
    state: RunState,
    settings: LoopSettings,
    *,
    checkpoints: CheckpointDirectory | None,
    summaries: Summaries,
    hooks: Hooks = Hooks(),  # noqa: B008 (it holds nothing that changes)
) -> int:
    """Run steps until `settings.num_steps`, or until Ctrl-C or SIGTERM; save at the end.

    If one of several workers receives a signal, all save and stop at the same step.

    Args:
        step_function: from `train_step.build_train_step`.
        iterator: over the batches that follow those already used.
        state: already restored or fresh; its step is advanced.
        checkpoints: where to save; None keeps nothing.

    Returns:
        The exit code: 0, or 128 + the signal that ended the run (SIGTERM where another worker
        got it).

    Raises:
        NonFiniteLossError, NoExamplesError, OutOfMemoryError, WorkerLostError, CheckpointError:
            the message says how to continue; the last good checkpoint is untouched.
    """
    saver = CheckpointManager(checkpoints, state, hooks.before_save)
    monitor = LossMonitor(settings.skip_non_finite, hooks.save_batch)
    step = int(state.step.numpy())
    if step == 0:
        # A disk that is full or read-only shows now, and not after the first thousand steps.
        saver.save(must_succeed=True)
    progress = Progress(
        step=step,
        num_steps=settings.num_steps,
        batch_size=settings.batch_size,
        every=settings.log_every_n_steps,
    )
    stopping = False
    with StopRequest() as stop:
        try:
            while settings.num_steps == 0 or step < settings.num_steps:
                with _lost_workers(step, saver, settings):
                    stopping = hooks.should_stop(bool(stop))
                if stopping:
                    break
                result = _run_step(step_function, iterator, step, saver, settings)
                if result is None:
                    saver.save(must_succeed=True)
                    break
                losses = monitor.check(result, step, saver.newest)
                step += 1
                state.step.assign(step)
                if losses is not None:
                    window = progress.add(step, losses, float(result.learning_rate))
                    with progress.paused():
                        _write_scalars(step, window, result, summaries, settings.batch_size)
                        _write_images_and_gradients(step, result, summaries, hooks)
                last = step == settings.num_steps
                due = last or (settings.evaluate_every_n and step % settings.evaluate_every_n == 0)
                if due or step % settings.checkpoint_every_n == 0:
                    with progress.paused():
                        saver.save(must_succeed=last)
                        over = _evaluate(step, stop, saver, settings, hooks) if due else None
                    if over:
                        logging.info("%s", over)
                        break
            if stopping:
                _save_and_stop(step, stop, saver, hooks)
        finally:
            progress.close()
            summaries.flush()
    return stop.exit_code or (128 + signal.SIGTERM if stopping else 0)


def _evaluate(step, stop, saver, settings, hooks):
    """Return why the run is over after an evaluation; None where it continues."""
    # All workers have to come here, also the one that received the signal.
    if hooks.evaluate is None or (stop and not settings.several_workers):
        return None
    return hooks.evaluate(step, stop, saver.newest)


def _save_and_stop(step, stop, saver, hooks):
    """Save what is not saved yet, and wait for the worker that does."""
    if saver.saved_step != step:
        saver.save(must_succeed=True)
    hooks.should_stop(True)
    logging.info(
        "Stopped by %s at step %d; saved as %s. Run the same command again to resume.",
        stop.name if stop else "another worker, which received a signal",
        step,
        saver.newest or "a checkpoint of the chief worker",
    )


def _run_step(step_function, iterator, step, saver, settings):
    """Return the step's result, or None at the end of the examples."""
    try:
        with _lost_workers(step, saver, settings):
            return step_function(iterator, tf.constant(step, tf.int64))
    except tf.errors.OutOfRangeError as error:
        if step == 0:
            raise NoExamplesError(
                "train_input_reader has no example, or fewer than one batch."
            ) from error
        logging.info("The examples ended at step %d (train_input_reader.num_epochs).", step)
        return None
    except tf.errors.ResourceExhaustedError as error:
        first = (error.message or "").strip().splitlines()[:1]
        raise OutOfMemoryError(f"{OUT_OF_MEMORY_ADVICE}\n({''.join(first)[:300]})") from error


@contextlib.contextmanager
def _lost_workers(step, saver, settings):
    """Wrap what workers do together: if one of them is lost, save and raise.

    Raises:
        WorkerLostError: another worker does not respond.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if not settings.several_workers:
            raise
        saver.save(must_succeed=False)
        raise WorkerLostError(_describe_lost_worker(step, error)) from error


def _describe_lost_worker(step, error):
    first = (error.message or "").strip().splitlines()[:1]
    return f"Another worker is gone at step {step + 1}. ({''.join(first)[:300]})"


class LossMonitor:
    """Checks the losses and the gradient of every step."""

    def __init__(self, skips, save_batch):
        self._skips, self._save_batch = skips, save_batch
        self._skipped_in_a_row = 0
        self._zeros = {}  # loss -> steps in a row in which it was exactly 0

    def check(self, result, step, newest) -> dict | None:
        """Return the step's losses as floats; None where the step was skipped.

        Raises:
            NonFiniteLossError: one of them or the gradient is not finite, and that is not skipped.
        """
        losses = {name: float(value) for name, value in result.losses.items()}
        broken = [name for name, value in losses.items() if not math.isfinite(value)]
        if not broken and math.isfinite(float(result.gradient_norm)):
            self._skipped_in_a_row = 0
            self._warn_of_zero_loss(losses, step)
            return losses
        problem = _describe_non_finite(broken, losses, result, step)
        kept = self._save_batch(step)
        where = f"The batch of this step is saved in {kept}.\n" if kept else ""
        if self._skips and self._skipped_in_a_row < _SKIPPED_STEPS:
            self._skipped_in_a_row += 1
            logging.warning("%s\nThe step is skipped: no weight has changed. %s", problem, where)
            return None
        in_a_row = f" ({self._skipped_in_a_row} steps were skipped before)" if self._skips else ""
        raise NonFiniteLossError(
            f"{problem}{in_a_row}\n{where}"
            "The usual reasons are a learning rate that is too high (lower it, lengthen its "
            "warm-up, or set train_config.gradient_clipping_by_norm: 10) and a faulty annotation "
            "in one of these images.\n"
            + (
                f"The last good checkpoint is {newest}."
                if newest
                else "There is no checkpoint yet."
            )
        )

    def _warn_of_zero_loss(self, losses, step):
        """Warn once of a loss that has been 0 for long."""
        sampled = {name: value for name, value in losses.items() if name.count("/") > 1}
        for name, value in sampled.items():
            self._zeros[name] = self._zeros.get(name, 0) + 1 if value == 0 else 0
            if self._zeros[name] == _ZERO_LOSS_STEPS:
                logging.warning(
                    "%s has been exactly 0 for %d steps, up to step %d: the sampler selects no "
                    "example for it. %s",
                    name,
                    _ZERO_LOSS_STEPS,
                    step + 1,
                    _ZERO_LOSS_ADVICE,
                )


def _describe_non_finite(broken, losses, result, step):
    # The total is only worth naming where all its terms are finite.
    broken = [name for name in broken if name != "Loss/total_loss"] or broken
    ids = [image_id.decode(errors="replace") for image_id in result.image_ids.numpy().tolist()]
    what = ", ".join(f"{name} = {losses[name]}" for name in broken) or (
        f"all losses are finite, but the gradient's norm = {float(result.gradient_norm)}"
    )
    return (
        f"Step {step + 1}: {what}; learning rate {float(result.learning_rate):.3g}. "
        f"The images of this step: {', '.join(ids)}."
    )


def _write_scalars(step, window, result, summaries, batch_size):
    """Write the numbers of the steps since the last line, where a line was due."""
    if window is None:
        return
    summaries.scalars(
        {
            **window.losses,
            "learning_rate": window.learning_rate,
            "steps_per_sec": window.steps_per_second,
            "images_per_sec": window.steps_per_second * batch_size,
            "gradient_norm": float(result.gradient_norm),
            **memory_in_use(),
        },
        step,
    )


def _write_images_and_gradients(step, result, summaries, hooks):
    """Write what a step returns at intervals: its first images, its gradients."""
    if not summaries.is_open:
        return
    if result.shown is not None and hooks.draw_inputs and result.shown.image_id.shape[0]:
        summaries.image("train_input_images", hooks.draw_inputs(result.shown), step)
    if result.gradients is None or not result.gradients.norms.shape[0]:
        return
    norms, clipped_norm, histograms = (part.numpy() for part in result.gradients)
    summaries.scalars(
        {
            "global_norm/gradient_norm": float(result.gradient_norm),
            "global_norm/clipped_gradient_norm": float(clipped_norm),
            **{
                f"gradient_norm/{n}": norm
                for n, norm in zip(hooks.weight_names, norms, strict=True)
            },
        },
        step,
    )
    for name, (least, largest, *counts) in zip(hooks.weight_names, histograms, strict=True):
        edges = np.linspace(least, largest, train_step.HISTOGRAM_BUCKETS + 1)
        summaries.histogram(f"gradients/{name}", edges, counts, step)
