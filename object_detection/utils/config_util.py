"""TFOD's functions for programs that change a config before they run it.

They pass a config around as a dict: "model", "train_config", "train_input_config", "eval_config",
"eval_input_configs" (a list), "eval_input_config" (its first) and, where set,
"graph_rewriter_config". Errors of form are `errors.ConfigError`.
"""

from object_detection.config import pipeline_file
from object_detection.config.tfod_overrides import (
    PARTS,
    create_configs_from_pipeline_proto,
    member_of,
)
from object_detection.config.tfod_overrides import get_learning_rate_type as get_learning_rate_type
from object_detection.config.tfod_overrides import get_optimizer_type as get_optimizer_type
from object_detection.config.tfod_overrides import (
    merge_external_params_with_configs as merge_external_params_with_configs,
)
from object_detection.errors import ConfigError
from object_detection.protos import (
    eval_pb2,
    graph_rewriter_pb2,
    input_reader_pb2,
    model_pb2,
    pipeline_pb2,
    train_pb2,
)
from object_detection.utils import proto_file, text_proto
from object_detection.utils.messages import shorten


def get_configs_from_pipeline_file(pipeline_config_path, config_override=None):
    """The dict of configs in a pipeline.config.

    Args:
        pipeline_config_path: the file.
        config_override: text format of a TrainEvalPipelineConfig to merge over it.
    """
    config = pipeline_file.load(pipeline_config_path, override_text=config_override or "")
    return create_configs_from_pipeline_proto(config)


def get_configs_from_multiple_files(
    model_config_path="",
    train_config_path="",
    train_input_config_path="",
    eval_config_path="",
    eval_input_config_path="",
    graph_rewriter_config_path="",
):
    """The dict of configs whose parts lie in files of their own, as TFOD's first release had them.

    Args:
        model_config_path, ...: files of one message each; those that are "" are left out.

    Raises:
        ConfigError: a file that cannot be read, with file, line and column.
    """
    paths = {
        "model": (model_config_path, model_pb2.DetectionModel),
        "train_config": (train_config_path, train_pb2.TrainConfig),
        "train_input_config": (train_input_config_path, input_reader_pb2.InputReader),
        "eval_config": (eval_config_path, eval_pb2.EvalConfig),
        "eval_input_configs": (eval_input_config_path, input_reader_pb2.InputReader),
        "graph_rewriter_config": (graph_rewriter_config_path, graph_rewriter_pb2.GraphRewriter),
    }
    configs = {part: _read(path, kind) for part, (path, kind) in paths.items() if path}
    if "eval_input_configs" in configs:
        configs["eval_input_config"] = configs["eval_input_configs"]
        configs["eval_input_configs"] = [configs["eval_input_config"]]
    return configs


def _read(path, message_type):
    try:
        return proto_file.read(path, message_type)[0]
    except OSError as error:
        raise ConfigError(f"{shorten(path, 300)} cannot be read ({error.strerror}).") from None
    except text_proto.TextProtoError as error:
        raise ConfigError(str(error)) from None


def create_pipeline_proto_from_configs(configs):
    """The TrainEvalPipelineConfig of a dict of configs."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    for key, field in PARTS.items():
        if key in configs:
            getattr(config, field).CopyFrom(configs[key])
    config.eval_input_reader.extend(configs.get("eval_input_configs", ()))
    return config


def save_pipeline_config(pipeline_config, directory):
    """Writes a TrainEvalPipelineConfig as pipeline.config into a folder, made if need be.

    As TFOD's function it replaces a pipeline.config that is there.
    """
    pipeline_file.save(pipeline_config, directory, replace=True)


def clear_fine_tune_checkpoint(pipeline_config_path, pipeline_config_path_out):
    """Copies a config without its fine_tune_checkpoint."""
    config = pipeline_file.load(pipeline_config_path)
    for field in ("fine_tune_checkpoint", "load_all_detection_checkpoint_vars"):
        config.train_config.ClearField(field)
    with open(pipeline_config_path_out, "w", encoding="utf-8") as file:
        file.write(str(config))


def update_fine_tune_checkpoint_type(train_config):
    """Says by `fine_tune_checkpoint_type` what the older `from_detection_checkpoint` says."""
    if not train_config.fine_tune_checkpoint_type:
        older = "detection" if train_config.from_detection_checkpoint else "classification"
        train_config.fine_tune_checkpoint_type = older


def update_input_reader_config(
    configs, key_name=None, input_name=None, field_name=None, value=None
):
    """Changes one field of an input reader in a dict of configs, in place.

    Args:
        configs: the dict.
        key_name: "train_input_config", "eval_input_config" or "eval_input_configs".
        input_name: name of the reader, where there are several.
        field_name: the field; None means the paths of the records.
        value: what it shall hold.

    Raises:
        ConfigError: no reader, or more than one, of this name; or a value that does not fit.
    """
    key = f"{key_name}:{input_name or ''}:{field_name or 'input_path'}"
    merge_external_params_with_configs(configs, kwargs_dict={key: value})


def get_number_of_classes(model_config):
    """num_classes of a DetectionModel."""
    return member_of(model_config, "model").num_classes


def get_image_resizer_config(model_config):
    """The ImageResizer of a DetectionModel."""
    return member_of(model_config, "model").image_resizer


def get_spatial_image_size(image_resizer_config):
    """[height, width] of what a resizer gives; -1 for a side that depends on the image."""
    kind = image_resizer_config.WhichOneof("image_resizer_oneof")
    if kind == "fixed_shape_resizer":
        return [
            image_resizer_config.fixed_shape_resizer.height,
            image_resizer_config.fixed_shape_resizer.width,
        ]
    if kind == "keep_aspect_ratio_resizer":
        resizer = image_resizer_config.keep_aspect_ratio_resizer
        if resizer.pad_to_max_dimension:
            return [resizer.max_dimension] * 2
    if kind is None:
        raise ValueError("image_resizer is not set")
    return [-1, -1]


def get_label_map_path(input_config):
    """label_map_path of an InputReader."""
    return input_config.label_map_path
