"""An experiment from its JSON to an exported model: records, config, training, evaluation."""

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

from absl import logging

from object_detection import atomic
from object_detection.config import overrides, pipeline_file
from object_detection.errors import AnnotationError, SettingsError
from object_detection.integrations.azoda import evaluation, pipelines, settings, tables


class Options(NamedTuple):
    """What the command line says beside the JSON."""

    exp_config: str
    data_dir: str = ""  # "": DATA_MOUNT
    output_dir: str = "."
    batch_size: int = 1  # azoda's
    fine_tune_checkpoint: str = ""  # "": that of the base model
    config_override: tuple = ()
    checkpoint_every_n: int = 1000
    seed: int = 0
    strict: bool = False


class Places(NamedTuple):
    """Where things go, as azoda has it, below the output folder."""

    records: Path  # label_files/
    outputs: Path  # outputs/

    @property
    def model_dir(self):
        """Checkpoints and event files."""
        return self.outputs / "model"

    @property
    def export(self):
        """saved_model/ with tf_label_map.pbtxt beside it."""
        return self.outputs / "final_model" / "model"

    @property
    def evaluation(self):
        """Tables and report.html."""
        return self.outputs / "evaluation"


def run(options):
    """Trains, exports and evaluates; the exit code. TensorFlow starts when all else is checked.

    Raises:
        ValueError, OSError, TrainingError: what is the user's to mend.
    """
    from object_detection.training import commands

    experiment = settings.read_experiment(options.exp_config)
    for note in experiment.notes:
        logging.info("%s", note)
    config, records, origin = prepare(experiment, options)
    places = places_in(options.output_dir)
    path = pipeline_file.save(config, places.outputs)
    logging.info("The config of this experiment: %s. Without this door: %s", path, _plain(path))
    config = commands.checked(
        config,
        door="train",
        reads=("train_input_reader", "eval_input_reader"),
        source=str(path),
        start=commands.start_tensorflow,
    )
    from object_detection.training import jobs

    code = jobs.train(
        config,
        jobs.TrainOptions(
            model_dir=str(places.model_dir),
            checkpoint_every_n=options.checkpoint_every_n,
            seed=options.seed,
        ),
    )
    if code:
        return code
    found = _finish(config, records, places, experiment.values["EVAL_CONF"])
    _write_run(experiment, origin, records, found, places)
    print(f"\nIn {places.outputs}: final_model/model (serve it with score), evaluation/, model/")
    return 0


def _finish(config, records, places, threshold):
    """Exports and evaluates; the `evaluation.Tables`."""
    import tensorflow as tf

    from object_detection.errors import TrainingError

    try:
        export(config, records, places)
        return evaluate(records, places, threshold)
    except tf.errors.OpError as fault:
        raise TrainingError(str(fault)) from fault


def prepare(experiment, options):
    """What training needs, out of the JSON and the CSVs.

    Returns:
        TrainEvalPipelineConfig, `tables.Records`, and what the config comes from.

    Raises:
        SettingsError, AnnotationError, ConfigError: what is the user's to mend.
    """
    data_dir = data_dir_of(experiment, options.data_dir)
    base = pipelines.find_base_model(experiment, data_dir)
    masks = pipelines.has_masks(base.config)
    chosen = tables.choose(experiment, data_dir)
    read = tables.read(experiment, chosen, data_dir / experiment.values["IMAGE_TYPE"] / "images")
    if masks and not read.have_masks:
        raise AnnotationError(
            f"{chosen['train']}: no column segmentation, but the base model "
            f"{experiment.values['MODEL_PARAMS.BASE_MODEL']} learns masks (number_of_stages: 3). "
            "Add the polygons, or take a Faster R-CNN"
        )
    if read.have_masks and not masks:
        logging.warning("The polygons of %s are not used: a Faster R-CNN.", chosen["train"])
    for remark in tables.remarks(read):
        logging.warning("%s", remark)
    if options.fine_tune_checkpoint:
        base = base._replace(weights=os.path.abspath(options.fine_tune_checkpoint))
    if not base.weights:
        logging.warning(
            "%s comes without weights: training starts at random (--fine_tune_checkpoint).",
            base.origin,
        )
    places = places_in(options.output_dir)
    records = tables.write(read, places.records, masks=masks)
    for report in records.reports.values():
        print(report.text())
    if options.strict and any(report.faults() for report in records.reports.values()):
        raise AnnotationError("--strict, and the reports above have findings to correct")
    notes = pipelines.prepare(base, experiment, records, batch_size=options.batch_size, masks=masks)
    logging.info("The config begins as %s, with weights %s.", base.origin, base.weights or "none")
    for note in notes:
        logging.info("%s", note)
    for change in options.config_override:
        overrides.apply(base.config, change)
    return base.config, records, base.origin


def data_dir_of(experiment, given):
    """The folder with IMAGE_TYPE/ and models/; raises `SettingsError` where there is none."""
    mount = experiment.values["DATA_MOUNT"]
    if given:
        if not Path(given).is_dir():
            raise SettingsError(f"--data_dir: there is no folder {given}")
        return Path(given)
    if mount and Path(mount).is_dir():
        return Path(mount)
    name = f"is {mount!r}, which is no folder here" if mount else "is empty"
    raise experiment.fault(
        "DATA_MOUNT", f"{name}: say with --data_dir where IMAGE_TYPE/images and models/ lie"
    )


def places_in(output_dir):
    """The `Places` below an output folder."""
    output = Path(output_dir)
    return Places(output / "label_files", output / "outputs")


def export(config, records, places):
    """Exports the trained model, with azoda's label map beside saved_model/."""
    from object_detection.export import exporter

    folder, _ = exporter.export(config, str(places.model_dir), places.export)
    shutil.copy(records.label_map, folder / records.label_map.name)


def evaluate(records, places, threshold):
    """Scores the export on the test records, writes the report; the `evaluation.Tables`."""
    from object_detection.metrics.coco_results import write as write_results
    from object_detection.prediction import found_for_truth
    from object_detection.reports import (
        evaluation_figures,
        evaluation_page,
        model_evaluation,
        truth_sources,
    )

    truth = truth_sources.from_records([str(records.paths["test"])], str(records.label_map))
    finder = found_for_truth.FromModel(str(places.export), truth.categories)
    pairs, notes = model_evaluation.look_at(truth, finder)
    rules = model_evaluation.Rules(min_score=threshold)
    scored = model_evaluation.score(truth.categories, pairs, rules)
    scored.notes.extend([*truth.notes, *notes])
    found = evaluation.tables_of(truth.categories, pairs, threshold, scored.kinds)
    folder = places.evaluation
    folder.mkdir(parents=True, exist_ok=True)
    figures = evaluation_figures.as_dict(scored)
    origin = [*truth.origin, f"detections: {places.export}"]
    evaluation_page.write(
        folder / "report.html", scored, figures, origin, worst_images=40, side=640
    )
    evaluation_figures.write_json(folder / "metrics.json", {"origin": origin, **figures})
    write_results(
        folder / "detections.json",
        ((image.id, each, image.height, image.width) for image, each in pairs),
    )
    evaluation.write(found, folder)
    print(scored.coco.table())
    print()
    print(evaluation.as_text(found, threshold))
    return found


def _plain(path):
    model_dir = path.parent / "model"
    return (
        f"python -m object_detection.model_main --pipeline_config_path={shlex.quote(str(path))} "
        f"--model_dir={shlex.quote(str(model_dir))}"
    )


def _write_run(experiment, origin, records, found, places):
    """Writes run.json: what azoda tags and logs of a run."""
    values = experiment.values
    content = {
        "experiment": values["EXP_NAME"],
        "description": values["DESCRIPTION"],
        "train set": values["TRAIN_CSV"],
        "test set": values["TEST_CSV"],
        "base model": values["MODEL_PARAMS.BASE_MODEL"],
        "base config": origin,
        "steps": values["RUN_PARAMS.STEPS"],
        "Number of Training Images": records.reports["train"].written["images"],
        "Number of Test Images": records.reports["test"].written["images"],
        **evaluation.as_dict(found),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    atomic.write_text(places.outputs / "run.json", text + "\n")
