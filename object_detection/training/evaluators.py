"""The evaluations that a config asks for: one for each of its data sets, and their numbers."""

import functools
import os
from pathlib import Path

from object_detection.builders import dataset_builder, evaluator_builder
from object_detection.config import pipeline_file
from object_detection.errors import TrainingError
from object_detection.structures.drawing import Style
from object_detection.training import eval_loop
from object_detection.training.failures import built
from object_detection.utils import label_map_util


def evaluators_of(config, network, model_dir, options, *, on_train_data=False):
    """One Evaluator for each eval_input_reader, or one for the training data.

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
            _evaluator(config, network, reader, folder, Path(model_dir) / "eval", options)
        )
    return evaluators


def _evaluator(config, network, reader, folder, directory, options):
    eval_config = config.eval_config

    def build_input():
        return built(
            dataset_builder.build,
            reader,
            model_config=config.model,
            eval_config=eval_config,
            training=False,
            batch_size=eval_config.batch_size,
            seed=options.seed,
            strict=options.strict,
            keep_source_pixels=_draws(eval_config),
        )

    categories = categories_of(reader, network.num_classes)
    frequencies = label_map_util.get_frequencies(reader.label_map_path)
    build_metrics = functools.partial(evaluator_builder.build, eval_config, categories, frequencies)
    built(build_metrics)  # names it can't score: now, not later
    limit = eval_config.num_examples if eval_config.HasField("num_examples") else 0
    return eval_loop.Evaluator(
        network,
        build_input,
        build_metrics,
        eval_loop.EvalSettings(
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


def _draws(eval_config):
    """Whether pictures are made, for which the stored images are needed."""
    return eval_config.num_visualizations > 0 and eval_config.retain_original_images


def _export_dir(eval_config, folder):
    """Where pictures are exported to; '' for nowhere."""
    wanted = eval_config.visualization_export_dir
    return os.path.join(wanted, folder) if wanted else ""


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
    """{id: name} of a reader's label map; bare numbers where it has none."""
    if not reader.label_map_path:
        return {number: str(number) for number in range(1, num_classes + 1)}
    index = label_map_util.create_category_index_from_labelmap(reader.label_map_path)
    return {number: category["name"] for number, category in index.items()}


def names_of(evaluators) -> list[str]:
    """Return the names that `numbers_of` gives numbers to, known before any evaluation."""
    names = []
    for evaluator in evaluators:
        own = evaluator.metric_names()
        names += own
        if evaluator.name:
            names += [f"{evaluator.name}:{metric}" for metric in own]
    return list(dict.fromkeys(names))


def numbers_of(evaluators, step, should_stop=lambda: False):
    """The numbers of all data sets, or None where a pass was abandoned.

    The first set's stand under their plain names too, every named set's as `NAME:metric`.
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
