"""A training from its JSON and a project to a result folder with an exported model."""

import json
import shlex
from pathlib import Path
from typing import NamedTuple

from absl import logging

from object_detection.config import pipeline_file
from object_detection.errors import AnnotationError
from object_detection.integrations.supervisely import (
    class_ids,
    devices,
    pipelines,
    project,
    records,
    train_settings,
)

_NUMBER = "{:08d}"


class Options(NamedTuple):
    """What the command line says beside the JSON."""

    config: str
    project: str
    model: str
    output: str = "results"
    seed: int = 0


def run(options):
    """Trains, evaluates every `val_every` epochs, and exports; the exit code.

    Raises:
        SettingsError, AnnotationError, ConfigError, TrainingError: what is the user's to mend.
    """
    settings = train_settings.read(options.config)
    values = settings.values
    base = pipelines.base_of(options.model)
    found = project.read(options.project)
    tags = values["dataset_tags"]
    project.check_tags(
        found, {f"{settings.path}: dataset_tags.{split}": tag for split, tag in tags.items()}
    )
    classes = _classes(settings, found, base.folder)
    num_devices = devices.choose(f"{settings.path}: gpu_devices", values["gpu_devices"])
    folder = next_folder(options.output, values)
    written = records.write(found, tags, classes, folder / "records")
    plan = pipelines.plan_of(values, written.images["train"], num_devices)
    if written.images["train"] < plan.batch_size:
        raise settings.fault(
            "batch_size.train",
            f"is {values['batch_size']['train']} on each of {num_devices} device(s), but only "
            f"{written.images['train']} image(s) have the tag of dataset_tags.train",
        )
    pipelines.apply(base, values, classes, written, plan)
    if not base.weights:
        logging.warning("--model=%s brings no weights: training starts at random.", options.model)
    path = pipeline_file.save(base.config, folder)
    colors = {str(each["title"]): each.get("color", "#000000") for each in found.meta["classes"]}
    class_ids.write(folder, classes, colors, values)
    _say(path, folder, plan, values)
    code = _train(base.config, path, folder, plan, values, options.seed)
    if code:
        return code
    from object_detection.export import exporter

    exporter.export(base.config, str(folder / "training"), folder / pipelines.EXPORT)
    print(f"\nThe result: {folder}: config.json, pipeline.config, {pipelines.EXPORT}/, training/")
    return 0


def _classes(settings, found, model_folder):
    special = settings.values["special_classes"]
    neutral = special["neutral"]
    titles = found.titles_with_area
    if neutral is not None and neutral not in titles:
        logging.warning(
            "%s: special_classes.neutral is %r, a class the project does not have.",
            settings.path,
            neutral,
        )
    classes = class_ids.from_titles(titles, special["background"], neutral)
    if not classes.foreground:
        raise AnnotationError(
            f"{found.folder / 'meta.json'}: classes holds none to train on beside background "
            "and neutral"
        )
    if settings.values["weights_init_type"] == train_settings.CONTINUE:
        classes = class_ids.of_stored(model_folder, classes)
    return classes


def next_folder(output, values):
    """The folder of this result: the next number, or the last where that run is not finished.

    A run was of the same JSON where the config.json that it left says so; then training goes on in
    it from its last checkpoint.
    """
    output = Path(output)
    taken = sorted(int(p.name) for p in output.glob("[0-9]" * 8) if p.is_dir())
    if taken:
        last = output / _NUMBER.format(taken[-1])
        if not (last / pipelines.EXPORT).is_dir() and _settings_of(last) == values:
            logging.info("%s was not finished: it is gone on with.", last)
            return last
    folder = output / _NUMBER.format(taken[-1] + 1 if taken else 0)
    folder.mkdir(parents=True)
    return folder


def _settings_of(folder):
    path = folder / class_ids.NAME
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8")).get("settings")


def _train(config, path, folder, plan, values, seed):
    from object_detection.training import commands, jobs

    commands.checked(
        config, door="train", reads=("train_input_reader", "eval_input_reader"), source=str(path)
    )
    return jobs.train(
        config,
        jobs.TrainOptions(
            model_dir=str(folder / "training"),
            checkpoint_every_n=plan.eval_every,
            eval_every_n_steps=plan.eval_every,
            train_layers=values["train_layers"],
            seed=seed,
        ),
    )


def _say(path, folder, plan, values):
    """Prints what is done, and the commands that do the same without this door."""
    config, model_dir = shlex.quote(str(path)), shlex.quote(str(folder / "training"))
    print(
        f"{values['epochs']} epochs of {plan.steps_per_epoch} steps of {plan.batch_size} images, "
        f"evaluated every {plan.eval_every} steps. Without this door:\n"
        f"  python -m object_detection.model_main --pipeline_config_path={config} \\\n"
        f"      --model_dir={model_dir} --train_layers={values['train_layers']} \\\n"
        f"      --checkpoint_every_n={plan.eval_every} --eval_every_n_steps={plan.eval_every}\n"
        f"  python -m object_detection.exporter_main_v2 --pipeline_config_path={config} \\\n"
        f"      --trained_checkpoint_dir={model_dir} "
        f"--output_directory={shlex.quote(str(folder / pipelines.EXPORT))}",
        flush=True,
    )
