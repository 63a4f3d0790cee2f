"""TFOD's short names for changing a config from outside: "learning_rate", "batch_size" and so on.

They work on a config as a dict of its parts: "model", "train_config", "train_input_config",
"eval_config", "eval_input_configs" (a list), "eval_input_config" (its first) and, where set,
"graph_rewriter_config".
"""

import logging
import re

from object_detection.config import overrides
from object_detection.config.findings import listed
from object_detection.errors import ConfigError
from object_detection.protos import input_reader_pb2
from object_detection.utils import text_proto
from object_detection.utils.messages import shorten

PARTS = {
    "model": "model",
    "train_config": "train_config",
    "train_input_config": "train_input_reader",
    "eval_config": "eval_config",
    "graph_rewriter_config": "graph_rewriter",
}
_READER_KEY = re.compile(r"^(train_input_config|eval_input_configs?):([^:]*):(\w+)$")
_log = logging.getLogger(__name__)


def create_configs_from_pipeline_proto(pipeline_config):
    """The dict of configs in a TrainEvalPipelineConfig; shares its messages."""
    configs = {
        key: getattr(pipeline_config, field)
        for key, field in PARTS.items()
        if key != "graph_rewriter_config" or pipeline_config.HasField(field)
    }
    configs["eval_input_configs"] = pipeline_config.eval_input_reader
    if pipeline_config.eval_input_reader:
        configs["eval_input_config"] = pipeline_config.eval_input_reader[0]
    return configs


def get_optimizer_type(train_config):
    """Name of the optimizer that a TrainConfig sets, or None."""
    return train_config.optimizer.WhichOneof("optimizer")


def get_learning_rate_type(optimizer_config):
    """Name of the learning rate that an optimizer message (as momentum_optimizer) sets, or None."""
    return optimizer_config.learning_rate.WhichOneof("learning_rate")


def merge_external_params_with_configs(configs, hparams=None, kwargs_dict=None):
    """Changes a dict of configs by keys and values from outside.

    Args:
        configs: the dict; its messages are changed in place.
        hparams: an object whose `values()` is a dict like kwargs_dict, or None.
        kwargs_dict: {key: value}. A key is one of TFOD's short names ("learning_rate",
            "train_input_path", "num_classes" ...), "eval_input_configs:NAME:field" for the reader
            of that name, or a dotted path that begins with a key of `configs`
            ("model.faster_rcnn.first_stage_max_proposals"). None and "" change nothing; a key that
            has no meaning is a warning, as a run with TFOD would continue too.

    Returns:
        `configs`.

    Raises:
        ConfigError: a path or a value does not fit.
    """
    changes = dict(kwargs_dict or {})
    if hparams:
        changes.update(hparams.values())
    for key, value in changes.items():
        if value is None or (isinstance(value, str) and value == ""):
            continue
        _log.info("Config override: %s = %s", shorten(key), shorten(value, 500))
        _change(configs, key, value)
    return configs


def _change(configs, key, value):
    reader = _READER_KEY.match(key)
    if reader:
        _set_in_reader(configs, *reader.groups(), value)
    elif key in _SHORT_NAMES:
        _SHORT_NAMES[key](configs, value)
    elif key.partition(".")[0] in configs and "." in key:
        part, _, path = key.partition(".")
        if part == "eval_input_configs":
            raise ConfigError(f'"{shorten(key)}": write eval_input_configs:NAME:field')
        overrides.set_value(configs[part], path, value)
    else:
        close = text_proto.nearest(key, [*_SHORT_NAMES, *configs])
        hint = f" Did you mean {close}?" if close else ""
        _log.warning("Config override %s is ignored: there is no such key.%s", shorten(key), hint)


def _set_in_reader(configs, part, name, field, value):
    if part == "train_input_config":
        readers = [configs[part]]
    else:
        readers = list(configs["eval_input_configs"])
        if name:
            readers = [reader for reader in readers if reader.name == name]
    if len(readers) != 1:
        names = listed(f'"{shorten(reader.name)}"' for reader in configs["eval_input_configs"])
        raise ConfigError(
            f"{part}:{shorten(name)}:{shorten(field)} fits {len(readers)} readers; "
            f"the names of all are: {names}."
        )
    _set_reader_field(readers[0], field, value)


def _set_reader_field(reader, field, value):
    path = "tf_record_input_reader.input_path" if field == "input_path" else field
    overrides.set_value(reader, path, value)


def member_of(message, oneof):
    """The member of `oneof` that is set.

    Raises:
        ConfigError: none is.
    """
    kind = message.WhichOneof(oneof)
    if kind is None:
        raise ConfigError(f"{message.DESCRIPTOR.name}: none of {oneof} is set.")
    return getattr(message, kind)


def _optimizer(configs):
    return member_of(configs["train_config"].optimizer, "optimizer")


def _learning_rate(configs, value):
    """Sets the first rate of any curve; later ones keep their ratio to it."""
    curve = member_of(_optimizer(configs).learning_rate, "learning_rate")
    kind = _optimizer(configs).learning_rate.WhichOneof("learning_rate")
    if kind == "constant_learning_rate":
        curve.learning_rate = value
    elif kind == "exponential_decay_learning_rate":
        curve.initial_learning_rate = value
    elif kind == "manual_step_learning_rate":
        _refuse_zero(curve.initial_learning_rate, "initial_learning_rate")
        scale = value / curve.initial_learning_rate
        curve.initial_learning_rate = value
        for row in curve.schedule:
            row.learning_rate *= scale
    else:
        _refuse_zero(curve.learning_rate_base, "learning_rate_base")
        curve.warmup_learning_rate *= value / curve.learning_rate_base
        curve.learning_rate_base = value


def _refuse_zero(rate, name):
    if not rate:
        raise ConfigError(f"learning_rate: {name} is 0, so the other rates have no ratio to it.")


def _momentum(configs, value):
    optimizer = _optimizer(configs)
    if "momentum_optimizer_value" not in optimizer.DESCRIPTOR.fields_by_name:
        kind = get_optimizer_type(configs["train_config"])
        raise TypeError(f"{kind} has no momentum; momentum_optimizer and rms_prop_optimizer have.")
    optimizer.momentum_optimizer_value = value


def _weight_ratio(configs, value):
    model, kind = member_of(configs["model"], "model"), configs["model"].WhichOneof("model")
    if kind == "faster_rcnn":
        model.second_stage_localization_loss_weight = 1.0
        model.second_stage_classification_loss_weight = value
    else:
        model.loss.localization_weight = 1.0
        model.loss.classification_weight = value


def _focal(name):
    def set_focal(configs, value):
        model, kind = member_of(configs["model"], "model"), configs["model"].WhichOneof("model")
        loss = (
            model.second_stage_classification_loss
            if kind == "faster_rcnn"
            else model.loss.classification_loss
        )
        if not loss.HasField("weighted_sigmoid_focal"):
            raise TypeError(f"focal_loss_{name}: the classification loss is no focal loss.")
        setattr(loss.weighted_sigmoid_focal, name, value)

    return set_focal


def _in_part(part, path):
    return lambda configs, value: overrides.set_value(configs[part], path, value)


def _in_readers(parts, field):
    def set_in_readers(configs, value):
        for reader in _readers(configs, parts):
            _set_reader_field(reader, field, value)

    return set_in_readers


def _append_path(part):
    def append(configs, value):
        paths = [value] if isinstance(value, str) else list(value)
        for reader in _readers(configs, (part,)):
            reader.tf_record_input_reader.input_path.extend(paths)

    return append


def _readers(configs, parts):
    for part in parts:
        held = configs.get(part, ())
        yield from [held] if isinstance(held, input_reader_pb2.InputReader) else held


def _num_classes(configs, value):
    member_of(configs["model"], "model").num_classes = value


_TRAIN, _EVAL = ("train_input_config",), ("eval_input_configs",)
_SHORT_NAMES = {
    "learning_rate": _learning_rate,
    "batch_size": _in_part("train_config", "batch_size"),
    "momentum_optimizer_value": _momentum,
    "classification_localization_weight_ratio": _weight_ratio,
    "focal_loss_gamma": _focal("gamma"),
    "focal_loss_alpha": _focal("alpha"),
    "train_steps": _in_part("train_config", "num_steps"),
    "eval_steps": _in_part("eval_config", "num_examples"),
    "label_map_path": _in_readers(_TRAIN + _EVAL, "label_map_path"),
    "mask_type": _in_readers(_TRAIN + _EVAL, "mask_type"),
    "train_input_path": _in_readers(_TRAIN, "input_path"),
    "eval_input_path": _in_readers(_EVAL, "input_path"),
    "append_train_input_path": _append_path("train_input_config"),
    "append_eval_input_path": _append_path("eval_input_configs"),
    "train_shuffle": _in_readers(_TRAIN, "shuffle"),
    "eval_shuffle": _in_readers(_EVAL, "shuffle"),
    "sample_1_of_n_eval_examples": _in_readers(_EVAL, "sample_1_of_n_examples"),
    "eval_num_epochs": _in_readers(_EVAL, "num_epochs"),
    "sample_from_datasets_weights": _in_readers(_TRAIN, "sample_from_datasets_weights"),
    "eval_with_moving_averages": _in_part("eval_config", "use_moving_averages"),
    "retain_original_images_in_eval": _in_part("eval_config", "retain_original_images"),
    "use_bfloat16": _in_part("train_config", "use_bfloat16"),
    "num_classes": _num_classes,
}
