"""An azoda experiment: records, config, training, export and evaluation."""

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
    """Options of the command line."""

    exp_config: str
    data_dir: str = ""  # "": DATA_MOUNT
    output_dir: str = "."
    batch_size: int = 1  # azoda's
    fine_tune_checkpoint: str = ""  # "": the base model's
    config_override: tuple = ()
    checkpoint_every_n: int = 1000
    seed: int = 0
    strict: bool = False


class OutputFolders(NamedTuple):
    """Folders of an experiment, as in azoda, in the output folder."""

    records: Path  # label_files/
    outputs: Path  # outputs/

    @property
    def model_dir(self):
        """Folder of checkpoints and event files."""
        return self.outputs / "model"

    @property
    def export(self):
        """Folder of saved_model/ and tf_label_map.pbtxt."""
        return self.outputs / "final_model" / "model"

    @property
    def evaluation(self):
        """Folder of tables and report.html."""
        return self.outputs / "evaluation"


def run(options):
    """Train, export and evaluate; return the exit code. TensorFlow starts after all checks.

    Raises:
        ValueError, OSError, TrainingError: what is the user's to mend.
    """
    from object_detection.training import commands

    experiment = settings.read_experiment(options.exp_config)
    for note in experiment.notes:
        logging.info("%s", note)
    config, records, origin = prepare(experiment, options)
    folders = output_folders(options.output_dir)
    path = pipeline_file.save(config, folders.outputs)
    logging.info(
        "Config of this experiment: %s. Equivalent command: %s", path, _equivalent_command(path)
    )
    config = commands.checked(
        config,
        purpose="train",
        reads=("train_input_reader", "eval_input_reader"),
        source=str(path),
        start=commands.start_tensorflow,
    )
    from object_detection.training import jobs

    code = jobs.train(
        config,
        jobs.TrainOptions(
            model_dir=str(folders.model_dir),
            checkpoint_every_n=options.checkpoint_every_n,
            seed=options.seed,
        ),
    )
    if code:
        return code
    results = _finish(config, records, folders, experiment.values["EVAL_CONF"])
    _write_run(experiment, origin, records, results, folders)
    print(f"\nIn {folders.outputs}: final_model/model (to serve with score), evaluation/, model/")
    return 0


def _finish(config, records, folders, threshold):
    """Export and evaluate; return the `evaluation.Tables`."""
    import tensorflow as tf

    from object_detection.errors import TrainingError

    try:
        export(config, records, folders)
        return evaluate(records, folders, threshold)
    except tf.errors.OpError as error:
        raise TrainingError(str(error)) from error


def prepare(experiment, options):
    """Prepare the training from the JSON and the CSVs.

    Returns:
        TrainEvalPipelineConfig, `tables.Records`, and the source of the config.

    Raises:
        SettingsError, AnnotationError, ConfigError: what is the user's to mend.
    """
    data_dir = find_data_dir(experiment, options.data_dir)
    base = pipelines.find_base_model(experiment, data_dir)
    masks = pipelines.has_masks(base.config)
    paths = tables.select(experiment, data_dir)
    read = tables.read(experiment, paths, data_dir / experiment.values["IMAGE_TYPE"] / "images")
    if masks and not read.have_masks:
        raise AnnotationError(
            f"{paths['train']}: no column segmentation, but the base model "
            f"{experiment.values['MODEL_PARAMS.BASE_MODEL']} learns masks (number_of_stages: 3). "
            "Add the polygons, or use a Faster R-CNN"
        )
    if read.have_masks and not masks:
        logging.warning(
            "The polygons of %s are not used: the model is a Faster R-CNN.", paths["train"]
        )
    for remark in tables.remarks(read):
        logging.warning("%s", remark)
    if options.fine_tune_checkpoint:
        base = base._replace(weights=os.path.abspath(options.fine_tune_checkpoint))
    if not base.weights:
        logging.warning(
            "%s has no weights: training starts from random weights (see --fine_tune_checkpoint).",
            base.origin,
        )
    folders = output_folders(options.output_dir)
    records = tables.write(read, folders.records, masks=masks)
    for report in records.reports.values():
        print(report.text())
    if options.strict and any(report.faults() for report in records.reports.values()):
        raise AnnotationError("--strict: the reports above contain findings to correct")
    notes = pipelines.prepare(base, experiment, records, batch_size=options.batch_size, masks=masks)
    logging.info("Base config: %s; weights: %s.", base.origin, base.weights or "none")
    for note in notes:
        logging.info("%s", note)
    for change in options.config_override:
        overrides.apply(base.config, change)
    return base.config, records, base.origin


def find_data_dir(experiment, data_dir):
    """Return the folder with IMAGE_TYPE/ and models/; raise `SettingsError` if it is missing."""
    mount = experiment.values["DATA_MOUNT"]
    if data_dir:
        if not Path(data_dir).is_dir():
            raise SettingsError(f"--data_dir: there is no folder {data_dir}")
        return Path(data_dir)
    if mount and Path(mount).is_dir():
        return Path(mount)
    problem = f"is {mount!r}, which is not a folder" if mount else "is empty"
    raise experiment.error(
        "DATA_MOUNT", f"{problem}: set --data_dir to the folder with IMAGE_TYPE/images and models/"
    )


def output_folders(output_dir):
    """Return the `OutputFolders` in an output folder."""
    output = Path(output_dir)
    return OutputFolders(output / "label_files", output / "outputs")


def export(config, records, folders):
    """Export the trained model, with azoda's label map next to saved_model/."""
    from object_detection.export import exporter

    folder, _ = exporter.export(config, str(folders.model_dir), folders.export)
    shutil.copy(records.label_map, folder / records.label_map.name)


def evaluate(records, folders, threshold):
    """Evaluate the export on the test records and write the report; return `evaluation.Tables`."""
    from object_detection.metrics.coco_results import write as write_results
    from object_detection.prediction import detection_source
    from object_detection.reports import (
        evaluation_figures,
        evaluation_page,
        ground_truth,
        model_evaluation,
    )

    truth = ground_truth.from_records([str(records.paths["test"])], str(records.label_map))
    source = detection_source.ModelSource(str(folders.export), truth.categories)
    images, notes = model_evaluation.collect(truth, source)
    rules = model_evaluation.Rules(min_score=threshold)
    scored = model_evaluation.score(truth.categories, images, rules)
    scored.notes.extend([*truth.notes, *notes])
    results = evaluation.evaluate_images(truth.categories, images, threshold, scored.kinds)
    folder = folders.evaluation
    folder.mkdir(parents=True, exist_ok=True)
    figures = evaluation_figures.to_dict(scored)
    origin = [*truth.origin, f"detections: {folders.export}"]
    evaluation_page.write(
        folder / "report.html", scored, figures, origin, worst_images=40, side=640
    )
    evaluation_figures.write_json(folder / "metrics.json", {"origin": origin, **figures})
    write_results(
        folder / "detections.json",
        ((image.image_id, image.detections) for image in images),
    )
    evaluation.write(results, folder)
    print(scored.coco.table())
    print()
    print(evaluation.to_text(results, threshold))
    return results


def _equivalent_command(path):
    model_dir = path.parent / "model"
    return (
        f"python -m object_detection.model_main --pipeline_config_path={shlex.quote(str(path))} "
        f"--model_dir={shlex.quote(str(model_dir))}"
    )


def _write_run(experiment, origin, records, results, folders):
    """Write run.json: azoda's tags and metrics of a run."""
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
        **evaluation.to_dict(results),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    atomic.write_text(folders.outputs / "run.json", text + "\n")
