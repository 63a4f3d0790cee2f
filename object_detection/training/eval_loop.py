"""Evaluation: passes over the data sets of a config, and waiting for checkpoints."""

import functools
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from object_detection.builders import dataset_builder, evaluator_builder
from object_detection.compat import outputs as tfod_outputs
from object_detection.config import pipeline_file
from object_detection.errors import NoExamplesError, TrainingError
from object_detection.metrics.coco_evaluation import PREFIX, CocoEvaluation
from object_detection.metrics.score_tally import ScoreTallies
from object_detection.structures.drawing import Style
from object_detection.training.inputs import InputPipeline, Inputs
from object_detection.training.pictures import EvalPictures
from object_detection.training.stored_frame import images_of
from object_detection.training.summaries import Summaries
from object_detection.utils import label_map_util

_LOG_EVERY_SECONDS = 30  # between two lines of a long pass


class EvalSettings(NamedTuple):
    """What a pass reads and writes; the names are those of eval_config."""

    directory: Path  # of its event file, metrics-STEP.json and pictures
    name: str = ""  # of the data set, for the log
    max_examples: int = 0  # 0: all
    num_visualizations: int = 10
    style: Style = Style()  # of the pictures
    visualization_export_dir: str = ""  # a second folder for pictures, of detections only
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
        self._wrote_config = False  # to TensorBoard

    @property
    def name(self) -> str:
        """Return the name of the data set; '' without one."""
        return self._settings.name

    def metric_names(self) -> list[str]:
        """Return the names of the metrics and losses that `evaluate` returns."""
        losses = [*tfod_outputs.LOSS_NAMES.values(), tfod_outputs.TOTAL_LOSS]
        losses += [tfod_outputs.REGULARIZATION_LOSS] if self._regularization else []
        return [*self._build_metrics().evaluate(), *losses]

    def evaluate(self, step: int, should_stop: Callable[[], bool] = lambda: False) -> dict | None:
        """Run one pass; write its numbers to the log, TensorBoard and `metrics-STEP.json`.

        Args:
            step: the training step that the weights are of.
            should_stop: called after every batch; True abandons the pass.

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
        with inputs.explain_errors():
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
        iterator, done, logged = iter(pipeline.dataset), 0, time.monotonic()
        limit = self._settings.max_examples
        while not should_stop() and not (limit and done >= limit):
            try:
                batch, detections, losses = self._step(iterator)
            except tf.errors.OutOfRangeError:
                return
            images = images_of(batch, detections)[: limit - done if limit else None]
            yield images, {name: float(value) for name, value in losses.items()}
            done += len(images)
            if time.monotonic() - logged > _LOG_EVERY_SECONDS:
                logged = time.monotonic()
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
        if settings.config_text and not self._wrote_config:
            self._wrote_config = True
            summaries.code("pipeline.config", settings.config_text, step)
        pictures.write(summaries, folder, step)
        summaries.close()
        write_metrics(settings.directory / f"metrics-{step}.json", step, numbers)
        logging.info(
            "Wrote %s and %d pictures in %s.", f"metrics-{step}.json", len(pictures), folder
        )


def _score(image, scorers, encode):
    """Add an image to the metrics and the tallies, its masks encoded once for both."""
    truth, detections = image.truth, image.detections
    if encode:
        truth, detections = truth.encoded(), detections.encoded()
    for scorer in scorers:
        scorer.add(image.image_id, truth, detections)


def write_metrics(path: Path, step: int, numbers: dict) -> None:
    """Write {"step": .., "metrics": {..}} atomically; numbers that are not finite become null."""
    finite = {
        name: float(value) if math.isfinite(value) else None for name, value in numbers.items()
    }
    draft = path.with_name(f".{path.name}.writing")
    draft.write_text(json.dumps({"step": step, "metrics": finite}, indent=1) + "\n")
    os.replace(draft, path)


def build_evaluators(config, network, model_dir, options, *, on_train_data=False):
    """Return an Evaluator for each eval_input_reader, or one for the training examples.

    Each has a folder of its own: model_dir/eval/<name of the reader>, or model_dir/eval/<number>
    where several readers have no name; a single nameless one has model_dir/eval itself, as in TFOD.
    """
    readers = [config.train_input_reader] if on_train_data else list(config.eval_input_reader)
    if not readers:
        raise TrainingError(
            "The config has no eval_input_reader, so there is nothing to evaluate on."
        )
    evaluators = []
    for number, reader in enumerate(readers):
        folder = reader.name or (str(number) if len(readers) > 1 else "")
        evaluators.append(
            _build_evaluator(config, network, reader, folder, Path(model_dir) / "eval", options)
        )
    return evaluators


def _build_evaluator(config, network, reader, folder, directory, options):
    eval_config = config.eval_config

    def build_input():
        return dataset_builder.build(
            reader,
            model_config=config.model,
            eval_config=eval_config,
            training=False,
            batch_size=eval_config.batch_size,
            seed=options.seed,
            strict=options.strict,
            keep_source_pixels=_draws_pictures(eval_config),
        )

    categories = categories_of(reader, network.num_classes)
    frequencies = label_map_util.get_frequencies(reader.label_map_path)
    build_metrics = functools.partial(evaluator_builder.build, eval_config, categories, frequencies)
    build_metrics()  # raises for names it cannot score: now, not later
    limit = eval_config.num_examples if eval_config.HasField("num_examples") else 0
    return Evaluator(
        network,
        build_input,
        build_metrics,
        EvalSettings(
            directory=directory / folder,
            name=reader.name,
            max_examples=limit,
            num_visualizations=eval_config.num_visualizations,
            style=_style(eval_config),
            visualization_export_dir=_export_dir(eval_config, folder),
            keep_image_id_for_visualization_export=(
                eval_config.keep_image_id_for_visualization_export
            ),
            curves_per_category=(
                eval_config.include_metrics_per_category or eval_config.all_metrics_per_category
            ),
            config_text=pipeline_file.as_text(config),
            seed=options.seed,
        ),
        regularization=config.train_config.add_regularization_loss,
    )


def _draws_pictures(eval_config):
    """Whether pictures are made, for which the stored images are needed."""
    return eval_config.num_visualizations > 0 and eval_config.retain_original_images


def _export_dir(eval_config, folder):
    """Where pictures are exported to; '' for nowhere."""
    export_dir = eval_config.visualization_export_dir
    return os.path.join(export_dir, folder) if export_dir else ""


def _style(eval_config):
    return Style(
        min_score_threshold=eval_config.min_score_threshold,
        max_num_boxes_to_visualize=eval_config.max_num_boxes_to_visualize,
        skip_scores=eval_config.skip_scores,
        skip_labels=eval_config.skip_labels,
        visualize_groundtruth_boxes=eval_config.visualize_groundtruth_boxes,
        groundtruth_box_visualization_color=eval_config.groundtruth_box_visualization_color,
    )


def categories_of(reader, num_classes) -> dict[int, str]:
    """Return {id: name} of a reader's label map; without one, numbers as names."""
    if not reader.label_map_path:
        return {number: str(number) for number in range(1, num_classes + 1)}
    index = label_map_util.create_category_index_from_labelmap(reader.label_map_path)
    return {number: category["name"] for number, category in index.items()}


def metric_names(evaluators) -> list[str]:
    """Return the names of what `evaluate_all` returns, known before any evaluation."""
    names = []
    for evaluator in evaluators:
        own = evaluator.metric_names()
        names += own
        if evaluator.name:
            names += [f"{evaluator.name}:{metric}" for metric in own]
    return list(dict.fromkeys(names))


def evaluate_all(evaluators, step, should_stop=lambda: False):
    """Return the numbers of all data sets, or None where a pass was abandoned.

    Those of the first set have their plain names too, those of named sets `NAME:metric`.
    """
    together = {}
    for evaluator in evaluators:
        numbers = evaluator.evaluate(step, should_stop)
        if numbers is None:
            return None
        together = {**numbers, **together}
        if evaluator.name:
            together |= {f"{evaluator.name}:{metric}": n for metric, n in numbers.items()}
    return together


class Waiting(NamedTuple):
    """How the separate evaluation process waits; intervals in seconds."""

    run_once: bool = False
    timeout: float = 3600.0  # it ends after this time without a new checkpoint
    interval: float = 300.0  # least time between the beginnings of two evaluations
    max_evals: int = 0  # 0: no limit
    last_step: int = 0  # 0: unknown; an evaluation of this step is the last
    poll: float = 5.0


def evaluate_checkpoints(
    directory: str,
    newest: Callable[[], Path | None],
    evaluate: Callable[[Path], int],
    waiting: Waiting,
) -> int:
    """Evaluate the newest checkpoint of a directory, then wait for newer ones.

    Args:
        directory: for the messages.
        newest: returns the newest checkpoint there, or None.
        evaluate: evaluates one checkpoint; returns its step.

    Returns:
        The exit code: 1 where there was nothing to evaluate, else 0.
    """
    done, seen, began = 0, None, -math.inf
    waits_since, logged = time.monotonic(), False
    while True:
        prefix = newest()
        now = time.monotonic()
        if prefix is not None and prefix != seen and now - began >= waiting.interval:
            began, seen = now, prefix
            step = evaluate(prefix)
            done += 1
            if waiting.run_once:
                return 0
            if waiting.last_step and step >= waiting.last_step:
                logging.info("Step %d is the last of the run: nothing more to wait for.", step)
                return 0
            if waiting.max_evals and done >= waiting.max_evals:
                logging.info("eval_config.max_evals (%d) is reached.", waiting.max_evals)
                return 0
            waits_since, logged = time.monotonic(), False
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
        if not logged:
            logged = True
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
