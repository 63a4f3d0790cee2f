"""pipeline.config of an azoda experiment: the base model's, changed as the JSON says."""

import re
from pathlib import Path
from typing import NamedTuple

import object_detection
from object_detection.checkpoints import location
from object_detection.config import overrides, pipeline_file
from object_detection.datasets import label_ids
from object_detection.errors import CheckpointError, ConfigError
from object_detection.utils import config_util

_KEY, _STAGE = "MODEL_PARAMS.BASE_MODEL", "MODEL_PARAMS.FIRST_STAGE"
_FIELDS = {  # of FIRST_STAGE -> of model.faster_rcnn
    "NMS_IOU_THRESHOLD": "first_stage_nms_iou_threshold",
    "NMS_SCORE_THRESHOLD": "first_stage_nms_score_threshold",
    "MAX_PROPOSALS": "first_stage_max_proposals",
    "LOCALIZATION_LOSS_WEIGHT": "first_stage_localization_loss_weight",
    "OBJECTNESS_LOSS_WEIGHT": "first_stage_objectness_loss_weight",
}
METRICS = {
    False: ("coco_detection_metrics",),
    True: ("coco_detection_metrics", "coco_mask_metrics"),
}


def samples_folder(package: Path) -> Path:
    """Return the folder of the sample configs: in the package (wheel), else next to it."""
    within = package / "samples" / "configs"
    return within if within.is_dir() else package.parent / "samples" / "configs"


SAMPLES = samples_folder(Path(object_detection.__path__[0]))


class BaseModel(NamedTuple):
    """Model to start an experiment from."""

    origin: str  # of the config, for messages
    config: object  # TrainEvalPipelineConfig
    weights: str  # path for fine_tune_checkpoint; "": random weights


def find_base_model(settings, data_dir):
    """Find the `BaseModel` of BASE_MODEL.

    In this order: the folder DATA_DIR/models/NAME as in azoda, the zoo's archive NAME.tar.gz in
    models/, and a sample config of this project. The sample has no weights, but the folder may
    contain some.

    Raises:
        SettingsError: there is no such model.
        ConfigError: its config cannot be read, or is of another kind of model.
    """
    name = settings.values[_KEY]
    folder = Path(data_dir) / "models" / name
    archives = [folder.with_name(f"{name}{end}") for end in (".tar.gz", ".tgz")]
    archive = next((path for path in archives if path.is_file()), None)
    sample = SAMPLES / f"{re.sub(r'_20[0-9]{2}_[0-9]{2}_[0-9]{2}$', '', name)}.config"
    own = location.config_in_folder(folder)
    if own is not None:
        origin, weights = str(own), _weights_in(folder)
        config = pipeline_file.load(origin)
    elif archive is not None and not folder.is_dir():
        origin, config = _from_archive(settings, archive)
        weights = str(archive)
    elif sample.is_file():
        origin, weights = str(sample), _weights_in(folder)
        config = pipeline_file.load(sample)
    else:
        problem = "does not exist" if not folder.is_dir() else f"has no {pipeline_file.NAME}"
        raise settings.error(
            _KEY,
            f"is {name!r}: the folder {folder} {problem}, and there is no such sample config. "
            f"Available: {_names(folder.parent) or 'none'}; samples: {_samples()}",
        )
    kind = config.model.WhichOneof("model")
    if kind != "faster_rcnn":
        raise ConfigError(
            f"{settings.file.location(_KEY)}: {origin} is the config of a model of kind "
            f"{kind or 'none'}; supported: Faster and Mask R-CNN (faster_rcnn)"
        )
    return BaseModel(origin, config, weights)


def has_masks(config):
    """Return whether a config's model has masks."""
    return config.model.faster_rcnn.number_of_stages == 3


def prepare(base, settings, records, *, batch_size, masks):
    """Change the base model's config in place for an experiment.

    Args:
        base: `BaseModel`.
        settings: `Settings` of the experiment.
        records: `tables.Records`.
        batch_size: images per step.
        masks: whether the records have masks and the model learns them.

    Returns:
        Sentences about changes other than paths and sizes.

    Raises:
        ConfigError: a value that does not fit the config.
    """
    config, steps = base.config, settings.values["RUN_PARAMS.STEPS"]
    notes = [*_first_stage(config.model.faster_rcnn, settings), *_schedule(config, steps)]
    del config.eval_input_reader[1:]
    if not config.eval_input_reader:
        config.eval_input_reader.add(num_epochs=1)
    configs = config_util.create_configs_from_pipeline_proto(config)
    changes = {
        "num_classes": len(label_ids.read(records.label_map).ids),
        "train_steps": steps,
        "batch_size": batch_size,
        "label_map_path": str(records.label_map.resolve()),
        "train_input_path": str(records.paths["train"].resolve()),
        "eval_input_path": str(records.paths["test"].resolve()),
    }
    config_util.merge_external_params_with_configs(configs, kwargs_dict=changes)
    train = config.train_config
    for field in ("fine_tune_checkpoint", "fine_tune_checkpoint_type", "from_detection_checkpoint"):
        train.ClearField(field)
    train.ClearField("load_all_detection_checkpoint_vars")
    if base.weights:
        train.fine_tune_checkpoint = base.weights
        train.fine_tune_checkpoint_type = "detection"
    for reader in (config.train_input_reader, *config.eval_input_reader):
        reader.load_instance_masks = masks
        reader.ClearField("mask_type")
        if masks:
            overrides.set_value(reader, "mask_type", "PNG_MASKS")
    for field in ("num_examples", "max_evals", "metrics_set"):  # of the dataset of the base model
        config.eval_config.ClearField(field)
    config.eval_config.metrics_set.extend(METRICS[masks])
    return notes


def _first_stage(model, settings):
    """Apply FIRST_STAGE; yield a sentence for each changed value."""
    for key, field in _FIELDS.items():
        value = settings.values.get(f"{_STAGE}.{key}")
        if value is None:
            continue
        before = getattr(model, field)
        setattr(model, field, value)
        after = getattr(model, field)
        if before != after:
            yield f"{field} is {after:g} by {_STAGE}.{key}; in the base model {before:g}"
    stride = settings.values.get(f"{_STAGE}.STRIDE")
    if stride is None:
        return
    if model.feature_extractor.HasField("fpn") or "_fpn_" in model.feature_extractor.type:
        yield f"{_STAGE}.STRIDE has no effect: a feature pyramid has a stride for each level"
        return
    before = model.feature_extractor.first_stage_features_stride
    model.feature_extractor.first_stage_features_stride = stride
    anchors = model.first_stage_anchor_generator
    if anchors.HasField("grid_anchor_generator"):
        anchors.grid_anchor_generator.height_stride = stride
        anchors.grid_anchor_generator.width_stride = stride
    if before != stride:
        yield (
            f"first_stage_features_stride is {stride} by {_STAGE}.STRIDE; in the base model "
            f"{before}"
        )


def _schedule(config, steps):
    """Fit a cosine decay to the number of steps; yield a sentence if it changes."""
    optimizer = config.train_config.optimizer
    kind = optimizer.WhichOneof("optimizer")
    rate = getattr(optimizer, kind).learning_rate if kind else None
    if rate is None or not rate.HasField("cosine_decay_learning_rate"):
        return
    curve = rate.cosine_decay_learning_rate
    if curve.total_steps == steps:
        return
    before = curve.total_steps, curve.warmup_steps
    if curve.warmup_steps and curve.total_steps:
        curve.warmup_steps = max(1, round(curve.warmup_steps * steps / curve.total_steps))
    curve.total_steps = steps
    yield (
        f"the cosine decay has {steps} steps (STEPS), {curve.warmup_steps} of them warm-up; in "
        f"the base model {before[0]} and {before[1]}"
    )


def _weights_in(folder):
    try:
        location.find(folder)
    except CheckpointError:
        return ""
    return str(folder.resolve())


def _from_archive(settings, archive):
    try:
        stored = location.find_config(archive)
    except CheckpointError as error:
        raise settings.error(_KEY, str(error)) from None
    if stored is None:
        raise settings.error(_KEY, f"names {archive}, which contains no {pipeline_file.NAME}")
    origin, text = stored
    return origin, pipeline_file.parse(text, origin)


def _names(folder):
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else ()
    return ", ".join(name for name in names if not name.startswith("."))


def _samples():
    names = ", ".join(sorted(path.stem for path in SAMPLES.glob("*.config")))
    return names or "none (they are in the repository)"
