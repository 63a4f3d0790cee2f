"""Training from a Supervisely JSON and a project: class ids, config, run and export.

A result is a numbered folder with config.json, pipeline.config, exported/ and training/.
"""

import json
import shlex
from pathlib import Path
from typing import NamedTuple

from absl import logging

from object_detection import atomic
from object_detection.checkpoints import location
from object_detection.config import overrides, pipeline_file
from object_detection.errors import AnnotationError, CheckpointError, ConfigError, SettingsError
from object_detection.integrations.json_settings import JsonFile
from object_detection.integrations.supervisely import project
from object_detection.integrations.supervisely.settings import (
    CONTINUE,
    EXPORT,
    read_train_settings,
    select_devices,
)

RESULT_CONFIG = "config.json"


class ClassIds(NamedTuple):
    """Classes of a model, numbered by Supervisely's rule."""

    to_idx: dict[str, int]  # title -> id; background 0, the rest from 1 up
    background: str
    neutral: str | None

    @property
    def foreground(self):
        """Ids by title without the background, as in a label map."""
        return {title: idx for title, idx in self.to_idx.items() if idx}


def class_ids_from_titles(titles, background, neutral):
    """Number classes: background 0, the others alphabetically from 1, neutral none."""
    others = sorted(set(titles) - {background, neutral})
    to_idx = {background: 0} | {title: number for number, title in enumerate(others, 1)}
    return ClassIds(to_idx, background, neutral)


def stored_ids(folder):
    """Return title -> id of the config.json of a result.

    Raises:
        SettingsError: the file is missing, or contains no such map.
    """
    path = Path(folder) / RESULT_CONFIG
    if not path.is_file():
        raise SettingsError(
            f"{path} is missing: weights_init_type 'continue_training' requires a result of this "
            "command, which has one; use 'transfer_learning' for other weights"
        )
    to_idx = JsonFile(path).content.get("class_title_to_idx")
    if not isinstance(to_idx, dict) or not all(type(i) is int for i in to_idx.values()):
        raise SettingsError(f"{path}: class_title_to_idx is missing or does not map titles to ids")
    return to_idx


def with_stored_ids(folder, classes):
    """Return `ClassIds` with the ids of a result, which must have the same classes.

    Raises:
        SettingsError: the result has other classes.
    """
    to_idx = stored_ids(folder)
    of_result = {title for title, idx in to_idx.items() if idx}
    of_project = set(classes.foreground)
    if of_result != of_project:
        raise SettingsError(
            f"weights_init_type is 'continue_training', but the classes of model and dataset do "
            f"not match: {Path(folder) / RESULT_CONFIG} has {sorted(of_result)}, the project "
            f"{sorted(of_project)}; use 'transfer_learning' for other classes"
        )
    return classes._replace(to_idx={classes.background: 0} | {t: i for t, i in to_idx.items() if i})


def write_result_config(folder, classes, colors, settings):
    """Write config.json of a result.

    Args:
        folder: of the result.
        classes: `ClassIds`.
        colors: title -> "#RRGGBB".
        settings: the training JSON with its defaults.
    """
    rows = [
        {"title": title, "shape": "bitmap", "color": colors.get(title, "#000000")}
        for title in classes.foreground
    ]
    content = {"settings": settings, "classes": rows, "class_title_to_idx": classes.to_idx}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    atomic.write_text(Path(folder) / RESULT_CONFIG, text + "\n")


_MOMENTUM, _CLIP_NORM = 0.9, 5.0  # of the plugin


class BaseModel(NamedTuple):
    """Model to start a training from."""

    config: object  # TrainEvalPipelineConfig
    folder: Path  # of --model, for its config.json
    weights: str  # "": none


class TrainSchedule(NamedTuple):
    """Epochs of the JSON, in steps."""

    batch_size: int  # over all devices
    steps_per_epoch: int
    num_steps: int
    eval_every: int


def find_base_model(model):
    """Find the `BaseModel` of --model: a result, an export, a run, or a pipeline.config.

    Raises:
        SettingsError: none of these.
        ConfigError: not a Mask R-CNN.
    """
    path = Path(model)
    if path.is_file():
        config = pipeline_file.load(path)
        folder, weights = path.parent, config.train_config.fine_tune_checkpoint
    else:
        folders = [path, path / EXPORT]
        stored = next(filter(None, map(location.config_in_folder, folders)), None)
        if stored is None:
            raise SettingsError(
                f"--model={model}: give a result of this command, an export, a training folder or "
                f"a pipeline.config; there is no {pipeline_file.NAME} in it"
            )
        config, folder = pipeline_file.load(stored), path
        weights = _weights_in([path / EXPORT / "checkpoint", path / "checkpoint", path])
    kind = config.model.WhichOneof("model")
    if kind != "faster_rcnn" or config.model.faster_rcnn.number_of_stages != 3:
        raise ConfigError(
            f"--model={model} is not a Mask R-CNN (faster_rcnn with number_of_stages: 3)"
        )
    return BaseModel(config, folder, weights)


def _weights_in(folders):
    for folder in folders:
        try:
            location.find(folder)
        except CheckpointError:
            continue
        return str(folder.resolve())
    return ""


def train_schedule(values, num_images, num_devices):
    """Return the `TrainSchedule` of a training JSON, whose batch sizes are per GPU."""
    batch = values["batch_size"]["train"] * num_devices
    steps = max(1, num_images // batch)
    every = max(1, round(values["val_every"] * steps))
    return TrainSchedule(batch, steps, steps * values["epochs"], every)


def apply_settings(base, values, classes, records, schedule):
    """Change the config in place as the training JSON says.

    Args:
        base: `BaseModel`.
        values: of the training JSON.
        classes: `ClassIds`.
        records: `records.Records`.
        schedule: `TrainSchedule`.
    """
    config = base.config
    config.model.faster_rcnn.num_classes = len(classes.foreground)
    _resizer(config.model.faster_rcnn.image_resizer, values["input_size"])
    train = config.train_config
    train.batch_size, train.num_steps = schedule.batch_size, schedule.num_steps
    train.optimizer.Clear()
    momentum = train.optimizer.momentum_optimizer
    momentum.learning_rate.constant_learning_rate.learning_rate = values["lr"]
    momentum.momentum_optimizer_value = _MOMENTUM
    train.optimizer.use_moving_average = False
    train.gradient_clipping_by_norm = _CLIP_NORM
    _weights(train, base.weights, values["weights_init_type"])
    config.eval_config.batch_size = values["batch_size"]["val"]
    for field in ("num_examples", "max_evals", "metrics_set"):  # of the dataset of the base model
        config.eval_config.ClearField(field)
    config.eval_config.metrics_set.extend(["coco_detection_metrics", "coco_mask_metrics"])
    _readers(config, records, classes.neutral, values["data_workers"])


def _resizer(resizer, size):
    resizer.Clear()
    if size["width"]:
        resizer.fixed_shape_resizer.height = size["height"]
        resizer.fixed_shape_resizer.width = size["width"]
        return
    keep = resizer.keep_aspect_ratio_resizer
    keep.min_dimension, keep.max_dimension = size["min_dim"], size["max_dim"]
    keep.pad_to_max_dimension = True  # one square size, as in the plugin


def _weights(train, weights, init_type):
    for field in ("fine_tune_checkpoint", "fine_tune_checkpoint_type", "from_detection_checkpoint"):
        train.ClearField(field)
    train.ClearField("load_all_detection_checkpoint_vars")
    train.ClearField("fine_tune_new_classes")
    if weights:
        train.fine_tune_checkpoint, train.fine_tune_checkpoint_type = weights, "full"
        train.fine_tune_new_classes = init_type != CONTINUE


def _readers(config, records, neutral, workers):
    del config.eval_input_reader[1:]
    if not config.eval_input_reader:
        config.eval_input_reader.add()
    readers = {"train": config.train_input_reader, "val": config.eval_input_reader[0]}
    most = config.train_input_reader.max_number_of_boxes
    for split, reader in readers.items():
        reader.Clear()
        reader.label_map_path = str(records.label_map.resolve())
        reader.tf_record_input_reader.input_path.append(str(records.paths[split].resolve()))
        reader.load_instance_masks = True
        overrides.set_value(reader, "mask_type", "PNG_MASKS")
        reader.max_number_of_boxes = max(most, 100)
        if neutral is not None:
            reader.ignore_class.append(neutral)
        if workers[split]:
            reader.num_readers = workers[split]
    readers["val"].shuffle, readers["val"].num_epochs = False, 1


_NUMBER = "{:08d}"


class TrainOptions(NamedTuple):
    """Options of the command line."""

    config: str
    project: str
    model: str
    output: str = "results"
    seed: int = 0


def train(options):
    """Train, evaluate every `val_every` epochs, and export; return the exit code.

    Raises:
        ObjectDetectionError: the JSON, the project or the model cannot be used.
    """
    settings = read_train_settings(options.config)
    values = settings.values
    base = find_base_model(options.model)
    dataset = project.read_project(options.project)
    tags = values["dataset_tags"]
    project.check_tags(
        dataset, {f"{settings.path}: dataset_tags.{split}": tag for split, tag in tags.items()}
    )
    classes = _classes(settings, dataset, base.folder)
    num_devices = select_devices(f"{settings.path}: gpu_devices", values["gpu_devices"])
    folder = result_folder(options.output, values)
    written = project.write_records(dataset, tags, classes, folder / "records")
    schedule = train_schedule(values, written.images["train"], num_devices)
    if written.images["train"] < schedule.batch_size:
        raise settings.error(
            "batch_size.train",
            f"is {values['batch_size']['train']} on each of {num_devices} device(s), but only "
            f"{written.images['train']} image(s) have the tag of dataset_tags.train",
        )
    apply_settings(base, values, classes, written, schedule)
    if not base.weights:
        logging.warning(
            "--model=%s has no weights: training starts from random weights.", options.model
        )
    path = pipeline_file.save(base.config, folder)
    colors = {str(each["title"]): each.get("color", "#000000") for each in dataset.meta["classes"]}
    write_result_config(folder, classes, colors, values)
    _print_commands(path, folder, schedule, values)
    code = _train(base.config, path, folder, schedule, values, options.seed)
    if code:
        return code
    from object_detection.export import exporter

    exporter.export(base.config, str(folder / "training"), folder / EXPORT)
    print(f"\nResult in {folder}: config.json, pipeline.config, {EXPORT}/, training/")
    return 0


def _classes(settings, dataset, model_folder):
    special = settings.values["special_classes"]
    neutral = special["neutral"]
    titles = dataset.titles_with_area
    if neutral is not None and neutral not in titles:
        logging.warning(
            "%s: special_classes.neutral is %r, which is not a class of the project.",
            settings.path,
            neutral,
        )
    classes = class_ids_from_titles(titles, special["background"], neutral)
    if not classes.foreground:
        raise AnnotationError(
            f"{dataset.folder / 'meta.json'}: no class to train on other than background and "
            "neutral"
        )
    if settings.values["weights_init_type"] == CONTINUE:
        classes = with_stored_ids(model_folder, classes)
    return classes


def result_folder(output, values):
    """Return the folder of this result: the next number, or the last one to resume it.

    An unfinished run is resumed if its config.json shows the same settings.
    """
    output = Path(output)
    taken = sorted(int(p.name) for p in output.glob("[0-9]" * 8) if p.is_dir())
    if taken:
        last = output / _NUMBER.format(taken[-1])
        if not (last / EXPORT).is_dir() and _stored_settings(last) == values:
            logging.info("Resuming the unfinished run in %s.", last)
            return last
    folder = output / _NUMBER.format(taken[-1] + 1 if taken else 0)
    folder.mkdir(parents=True)
    return folder


def _stored_settings(folder):
    path = folder / RESULT_CONFIG
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8")).get("settings")


def _train(config, path, folder, schedule, values, seed):
    from object_detection.training import commands, jobs

    commands.checked(
        config, purpose="train", reads=("train_input_reader", "eval_input_reader"), source=str(path)
    )
    return jobs.train(
        config,
        jobs.TrainOptions(
            model_dir=str(folder / "training"),
            checkpoint_every_n=schedule.eval_every,
            eval_every_n_steps=schedule.eval_every,
            train_layers=values["train_layers"],
            seed=seed,
        ),
    )


def _print_commands(path, folder, schedule, values):
    """Print the schedule, and the equivalent commands without this integration."""
    config, model_dir = shlex.quote(str(path)), shlex.quote(str(folder / "training"))
    print(
        f"{values['epochs']} epochs of {schedule.steps_per_epoch} steps with "
        f"{schedule.batch_size} images each, evaluated every {schedule.eval_every} steps. "
        "Equivalent commands:\n"
        f"  python -m object_detection.model_main --pipeline_config_path={config} \\\n"
        f"      --model_dir={model_dir} --train_layers={values['train_layers']} \\\n"
        f"      --checkpoint_every_n={schedule.eval_every} "
        f"--eval_every_n_steps={schedule.eval_every}\n"
        f"  python -m object_detection.exporter_main_v2 --pipeline_config_path={config} \\\n"
        f"      --trained_checkpoint_dir={model_dir} "
        f"--output_directory={shlex.quote(str(folder / EXPORT))}",
        flush=True,
    )
