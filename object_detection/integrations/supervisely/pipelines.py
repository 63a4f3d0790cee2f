"""From the training JSON to a pipeline.config: that of the model it begins with, changed."""

from pathlib import Path
from typing import NamedTuple

from object_detection.checkpoints import location
from object_detection.config import overrides, pipeline_file
from object_detection.errors import CheckpointError, ConfigError, SettingsError
from object_detection.integrations.supervisely.train_settings import CONTINUE

EXPORT = "exported"
_MOMENTUM, _CLIP_NORM = 0.9, 5.0  # the plugin's


class Base(NamedTuple):
    """What a training begins with."""

    config: object  # TrainEvalPipelineConfig
    folder: Path  # of --model, for its config.json
    weights: str  # "": none


class Plan(NamedTuple):
    """What the epochs of the JSON are in steps."""

    batch_size: int  # over all devices
    steps_per_epoch: int
    num_steps: int
    eval_every: int


def base_of(model):
    """The `Base` that --model names: a result, an export, a run, or a pipeline.config.

    Raises:
        SettingsError, ConfigError: nothing of the kind, or another kind of model.
    """
    path = Path(model)
    if path.is_file():
        config = pipeline_file.load(path)
        folder, weights = path.parent, config.train_config.fine_tune_checkpoint
    else:
        places = [path, path / EXPORT]
        found = next(filter(None, map(location.config_in_folder, places)), None)
        if found is None:
            raise SettingsError(
                f"--model={model}: give a result of this command, an export, a training folder or "
                f"a pipeline.config; there is no {pipeline_file.NAME} in it"
            )
        config, folder = pipeline_file.load(found), path
        weights = _weights_in([path / EXPORT / "checkpoint", path / "checkpoint", path])
    kind = config.model.WhichOneof("model")
    if kind != "faster_rcnn" or config.model.faster_rcnn.number_of_stages != 3:
        raise ConfigError(
            f"--model={model} is no Mask R-CNN (faster_rcnn with number_of_stages: 3)"
        )
    return Base(config, folder, weights)


def _weights_in(places):
    for place in places:
        try:
            location.find(place)
        except CheckpointError:
            continue
        return str(place.resolve())
    return ""


def plan_of(values, num_images, num_devices):
    """The `Plan` of a training JSON; batch sizes are those of each GPU."""
    batch = values["batch_size"]["train"] * num_devices
    steps = max(1, num_images // batch)
    every = max(1, round(values["val_every"] * steps))
    return Plan(batch, steps, steps * values["epochs"], every)


def apply(base, values, classes, records, plan):
    """Changes the config in place as the training JSON says.

    Args:
        base: `Base`.
        values: of the training JSON.
        classes: `ClassIds`.
        records: `records.Records`.
        plan: `Plan`.
    """
    config = base.config
    config.model.faster_rcnn.num_classes = len(classes.foreground)
    _resizer(config.model.faster_rcnn.image_resizer, values["input_size"])
    train = config.train_config
    train.batch_size, train.num_steps = plan.batch_size, plan.num_steps
    train.optimizer.Clear()
    momentum = train.optimizer.momentum_optimizer
    momentum.learning_rate.constant_learning_rate.learning_rate = values["lr"]
    momentum.momentum_optimizer_value = _MOMENTUM
    train.optimizer.use_moving_average = False
    train.gradient_clipping_by_norm = _CLIP_NORM
    _weights(train, base.weights, values["weights_init_type"])
    config.eval_config.batch_size = values["batch_size"]["val"]
    for field in ("num_examples", "max_evals", "metrics_set"):  # of the data it was trained on
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
    keep.pad_to_max_dimension = True  # one square size, as the plugin has it


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
