"""Models to serve: one by flags, several by TensorFlow Serving's model config file."""

import dataclasses
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from object_detection import addresses
from object_detection.errors import SettingsError

_FIELD = descriptor_pb2.FieldDescriptorProto
# Message: rows of (field, number, type, repeated); names and numbers are TensorFlow Serving's.
_MESSAGES = {
    "Latest": [("num_versions", 1, "uint32", False)],
    "All": [],
    "Specific": [("versions", 1, "int64", True)],
    "Policy": [
        ("latest", 100, "Latest", False),
        ("all", 101, "All", False),
        ("specific", 102, "Specific", False),
    ],
    "Label": [("key", 1, "string", False), ("value", 2, "int64", False)],
    "Model": [
        ("name", 1, "string", False),
        ("base_path", 2, "string", False),
        ("model_platform", 4, "string", False),
        ("model_version_policy", 7, "Policy", False),
        ("version_labels", 8, "Label", True),
    ],
    "List": [("config", 1, "Model", True)],
    "ModelServerConfig": [("model_config_list", 1, "List", False)],
}
_TYPES = {"string": _FIELD.TYPE_STRING, "uint32": _FIELD.TYPE_UINT32, "int64": _FIELD.TYPE_INT64}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Model to serve."""

    name: str
    base_path: Path
    latest: int | None = 1  # number of versions to serve, the highest; None: all
    specific: tuple = ()  # only these version numbers
    labels: dict = dataclasses.field(default_factory=dict)  # {label: number}

    def selected(self, numbers):
        """Return the version numbers to serve of the available ones, the highest first."""
        if self.specific:
            return sorted(set(self.specific) & set(numbers), reverse=True)
        return sorted(numbers, reverse=True)[: self.latest]


def load_model_configs(path):
    """Load the models of a model config file.

    Raises:
        SettingsError: it cannot be parsed, names no model, or has a duplicate name.
    """
    message = _message_class()()
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise SettingsError(f"--model_config_file {path}: {error}") from None
    configs = [_config(model, path) for model in message.model_config_list.config]
    names = [config.name for config in configs]
    if not names or len(set(names)) < len(names):
        names = ", ".join(names) or "none"
        raise SettingsError(f"--model_config_file {path}: models need unique names: {names}")
    return configs


def check_name(name):
    """Raise SettingsError for a name that cannot be used in a URL unchanged."""
    if not name or not name.isascii() or not all(c.isalnum() or c in "._-" for c in name):
        raise SettingsError(f"model name {name!r}: use letters, digits, '.', '_' and '-'")


def _config(model, path):
    check_name(model.name)
    if model.model_platform not in ("", "tensorflow"):
        raise SettingsError(
            f"--model_config_file {path}: model_platform of {model.name} is "
            f"{model.model_platform!r}; only 'tensorflow' is supported"
        )
    if not model.base_path:
        raise SettingsError(f"--model_config_file {path}: model {model.name} has no base_path")
    addresses.refuse(model.base_path, f"base_path of {model.name} in {path}")
    policy = model.model_version_policy
    latest = None if policy.HasField("all") else policy.latest.num_versions or 1
    return ModelConfig(
        name=model.name,
        base_path=Path(model.base_path),
        latest=latest,
        specific=tuple(policy.specific.versions),
        labels={label.key: label.value for label in model.version_labels},
    )


def _message_class():
    file = descriptor_pb2.FileDescriptorProto(name="models.proto", package="m", syntax="proto3")
    for name, rows in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in rows:
            row = message.field.add(name=field, number=number, label=_FIELD.LABEL_OPTIONAL)
            if repeated:
                row.label = _FIELD.LABEL_REPEATED
            if kind in _TYPES:
                row.type = _TYPES[kind]
            else:
                row.type, row.type_name = _FIELD.TYPE_MESSAGE, f".m.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles(["models.proto"], pool)["m.ModelServerConfig"]
