"""Evaluation: one pass over a data set, its numbers and pictures, and waiting for checkpoints."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from object_detection.compat import outputs as tfod_outputs
from object_detection.errors import NoExamplesError
from object_detection.metrics.coco_evaluation import PREFIX, CocoEvaluation
from object_detection.metrics.score_tally import ScoreTallies
from object_detection.structures.drawing import Style
from object_detection.training.eval_pictures import EvalPictures
from object_detection.training.inputs import InputPipeline, Inputs
from object_detection.training.stored_frame import images_of
from object_detection.training.summaries import Summaries

_SAY_EVERY_SECONDS = 30  # between two lines of a long pass


class EvalSettings(NamedTuple):
    """What a pass looks at and leaves behind; the names are those of eval_config."""

    directory: Path  # of its event file, metrics-STEP.json and pictures
    name: str = ""  # of the data set, for the log
    max_examples: int = 0  # 0: all
    num_visualizations: int = 10
    style: Style = Style()  # of the pictures
    visualization_export_dir: str = ""  # a second place for pictures, of the detections alone
    keep_image_id_for_visualization_export: bool = False  # in the names of those
    curves_per_category: bool = False  # precision-recall curves of each class besides that of all
    config_text: str = ""  # shown in TensorBoard
    seed: int = 0


class Evaluator:
    """Evaluates a network on one data set, as often as it is called.

    Args:
        network: the model; its `evaluate_batch` is compiled once.
        build_input: () -> a fresh input pipeline: its dataset gives one epoch of `Batch`.
        build_metrics: () -> an empty `CocoEvaluation`.
        regularization: whether the regularization loss is one of the losses.
    """

    def __init__(
        self,
        network,
        build_input: Callable[[], InputPipeline],
        build_metrics: Callable[[], CocoEvaluation],
        settings: EvalSettings,
        *,
        regularization: bool = True,
    ):
        self._network = network
        self._build_input = build_input
        self._build_metrics = build_metrics
        self._settings = settings
        self._regularization = regularization
        self._step = tf.function(self._evaluate_next, autograph=False)
        self._has_told = False  # of the config

    @property
    def name(self) -> str:
        """Of the data set; '' where it has none."""
        return self._settings.name

    def metric_names(self) -> list[str]:
        """Return the names of the metrics and losses that `evaluate` gives."""
        losses = [*tfod_outputs.LOSS_NAMES.values(), tfod_outputs.TOTAL_LOSS]
        losses += [tfod_outputs.REGULARIZATION_LOSS] if self._regularization else []
        return [*self._build_metrics().evaluate(), *losses]

    def evaluate(self, step: int, should_stop: Callable[[], bool] = lambda: False) -> dict | None:
        """One pass; its numbers go to the log, to TensorBoard and to `metrics-STEP.json`.

        Args:
            step: the training step that the weights are of.
            should_stop: asked after every batch; True abandons the pass.

        Returns:
            Metric or loss name -> number, or None where it was abandoned.

        Raises:
            NoExamplesError: the data set is empty.
        """
        settings, began = self._settings, time.monotonic()
        metrics, losses = self._build_metrics(), _Mean()
        pictures = EvalPictures(settings, metrics.categories)
        tallies = ScoreTallies(metrics.categories, metrics.kinds)
        inputs = Inputs()
        with inputs.plain_errors():
            for images, named in self._batches(inputs.add(self._build_input()), should_stop):
                losses.add(named, len(images))
                for image in images:
                    pictures.add(image)
                    _score(image, (metrics, tallies), encode="masks" in metrics.kinds)
            if should_stop():
                logging.info("The evaluation of step %d was abandoned.", step)
                return None
            if not losses.count:
                raise NoExamplesError(
                    f"The evaluation data{_named(settings.name)} contains no examples."
                )
        numbers = {**metrics.evaluate(), **losses.values()}
        seconds = time.monotonic() - began
        self._publish(step, numbers, pictures, self._curves(tallies, metrics))
        logging.info(
            "Evaluation%s of step %d: %d images in %.1f s (%.2f images/s)\n%s\n%s",
            _named(settings.name),
            step,
            losses.count,
            seconds,
            losses.count / seconds,
            metrics.table(),
            "\n".join(f"  {name} = {value:.5f}" for name, value in losses.values().items()),
        )
        return numbers

    def _batches(self, pipeline, should_stop):
        """([EvaluatedImage], {loss name: value}) batch by batch."""
        iterator, done, said = iter(pipeline.dataset), 0, time.monotonic()
        limit = self._settings.max_examples
        while not should_stop() and not (limit and done >= limit):
            try:
                batch, detections, losses = self._step(iterator)
            except tf.errors.OutOfRangeError:
                return
            images = images_of(batch, detections)[: limit - done if limit else None]
            yield images, {name: float(value) for name, value in losses.items()}
            done += len(images)
            if time.monotonic() - said > _SAY_EVERY_SECONDS:
                said = time.monotonic()
                logging.info("Evaluated %d images%s.", done, _named(self._settings.name))

    def _evaluate_next(self, iterator):
        batch = next(iterator)
        # One seed for all passes: the sampled losses of two checkpoints can then be compared.
        seed = tf.constant([self._settings.seed, 0], tf.int64)
        detections, losses = self._network.evaluate_batch(batch.images, batch.truth, seed=seed)
        regularization = self._network.regularization_loss() if self._regularization else None
        return batch, detections, tfod_outputs.named_losses(losses, regularization)

    def _curves(self, tallies, metrics):
        """(tag, title, `Tally`) of each precision-recall curve."""
        classes = metrics.categories if self._settings.curves_per_category else {}
        for kind in metrics.kinds:
            measure = f"{PREFIX[kind].rstrip('_')}@.50IOU"
            yield f"precision_recall/{measure}", f"{measure}, all classes", tallies.of_all(kind)
            for number, name in classes.items():
                tally = tallies.of_class(kind, number)
                yield f"precision_recall/{measure}/{name}", f"{measure}, {name}", tally

    def _publish(self, step, numbers, pictures, curves):
        settings = self._settings
        folder = settings.directory / f"images-{step}"
        folder.mkdir(parents=True, exist_ok=True)
        summaries = Summaries(settings.directory)
        summaries.scalars(numbers, step)
        for tag, title, tally in curves:
            if tally.objects:
                summaries.curve(tag, tally.counts(), title, step)
        if settings.config_text and not self._has_told:
            self._has_told = True
            summaries.code("pipeline.config", settings.config_text, step)
        pictures.write(summaries, folder, step)
        summaries.close()
        write_metrics(settings.directory / f"metrics-{step}.json", step, numbers)
        logging.info(
            "Wrote %s and %d pictures in %s.", f"metrics-{step}.json", len(pictures), folder
        )


def _score(image, takers, encode):
    """Add an image to the metrics and the tallies, its masks encoded once for both."""
    truth, detections = image.truth, image.detections
    if encode:
        truth, detections = truth.encoded(), detections.encoded()
    for taker in takers:
        taker.add(image.image_id, truth, detections)


def write_metrics(path: Path, step: int, numbers: dict) -> None:
    """Writes {"step": .., "metrics": {..}} atomically; what is not finite becomes null."""
    finite = {
        name: float(value) if math.isfinite(value) else None for name, value in numbers.items()
    }
    draft = path.with_name(f".{path.name}.writing")
    draft.write_text(json.dumps({"step": step, "metrics": finite}, indent=1) + "\n")
    os.replace(draft, path)


class Waiting(NamedTuple):
    """How the separate evaluation process waits; intervals in seconds."""

    run_once: bool = False
    timeout: float = 3600.0  # without a new checkpoint for so long, it ends
    interval: float = 300.0  # at least so long between the beginnings of two evaluations
    max_evals: int = 0  # 0: no limit
    last_step: int = 0  # 0: unknown; an evaluation of this step is the last
    poll: float = 5.0


def evaluate_checkpoints(
    directory: str,
    newest: Callable[[], Path | None],
    evaluate: Callable[[Path], int],
    waiting: Waiting,
) -> int:
    """Evaluates the newest checkpoint of a directory, then waits for newer ones.

    Args:
        directory: for the messages.
        newest: gives the newest checkpoint there, or None.
        evaluate: evaluates one checkpoint; gives its step.

    Returns:
        The exit code: 1 where there was nothing to evaluate, else 0.
    """
    done, seen, began = 0, None, -math.inf
    waits_since, said = time.monotonic(), False
    while True:
        found = newest()
        now = time.monotonic()
        if found is not None and found != seen and now - began >= waiting.interval:
            began, seen = now, found
            step = evaluate(found)
            done += 1
            if waiting.run_once:
                return 0
            if waiting.last_step and step >= waiting.last_step:
                logging.info("Step %d is the last of the run: nothing more to wait for.", step)
                return 0
            if waiting.max_evals and done >= waiting.max_evals:
                logging.info("eval_config.max_evals (%d) is reached.", waiting.max_evals)
                return 0
            waits_since, said = time.monotonic(), False
            continue
        if waiting.run_once:
            logging.error("There is no checkpoint in %s to evaluate.", directory)
            return 1
        if now - waits_since > waiting.timeout:
            logging.info(
                "No new checkpoint in %s for %.0f s (--eval_timeout): the evaluation ends after "
                "%d checkpoints.",
                directory,
                waiting.timeout,
                done,
            )
            return 0 if done else 1
        if not said:
            said = True
            logging.info(
                "Waiting for a %scheckpoint in %s (at most %.0f s: --eval_timeout) ...",
                "new " if done else "",
                directory,
                waiting.timeout,
            )
        time.sleep(min(waiting.poll, max(waiting.timeout / 10, 0.01)))


class _Mean:
    """The means of named numbers over examples."""

    def __init__(self):
        self.count = 0
        self._sums: dict = {}

    def add(self, numbers, examples):
        self.count += examples
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * examples

    def values(self):
        return {name: total / self.count for name, total in self._sums.items()}


def _named(name):
    return f" '{name}'" if name else ""
