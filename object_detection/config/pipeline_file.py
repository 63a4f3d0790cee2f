"""A pipeline.config on disk and the TrainEvalPipelineConfig in memory.

The schema is protos/pipeline.proto. Errors here are about form (what cannot be read); what a config
that reads well gets wrong is found by preflight.
"""

import logging
import os
import tempfile
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from object_detection.config import overrides as dotted
from object_detection.config.errors import ConfigError
from object_detection.protos import pipeline_pb2
from object_detection.utils import text_proto

NAME = "pipeline.config"

_log = logging.getLogger(__name__)


def load(path, *, override_text="", overrides=()):
    """Reads a config, text or binary, and lays overrides over it.

    Args:
        path: the file; a folder means the pipeline.config in it.
        override_text: text format of a (partial) TrainEvalPipelineConfig, merged in: single
            values are replaced, lists grow. As TFOD's --config_override.
        overrides: "dotted.path=value" texts, applied last and in order; see `config.overrides`.

    Returns:
        A TrainEvalPipelineConfig.

    Raises:
        ConfigError: the file is missing or cannot be read, with file, line and column; or an
            override does not fit.
    """
    path = Path(path)
    if path.is_dir():
        path = path / NAME
    config = _read(path)
    if override_text:
        _merge(override_text, config, "config override")
    for override in overrides:
        dotted.apply(config, override)
    return config


def parse(text, source=NAME):
    """The TrainEvalPipelineConfig that `text` holds; `source` names it in errors."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    _merge(text, config, source)
    repeated = text_proto.repeated_setting(text, pipeline_pb2.TrainEvalPipelineConfig)
    if repeated:
        _log.warning("%s: %s", source, repeated)
    return config


def save(config, directory):
    """Writes `config` as text to pipeline.config in `directory`, whole or not at all.

    Returns:
        The path written.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=NAME + ".", suffix=".tmp", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text_format.MessageToString(config, as_utf8=True))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, directory / NAME)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return directory / NAME


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read(path):
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Give the path of a pipeline.config, or of "
            "the folder that holds one."
        ) from None
    if not content.strip():
        raise ConfigError(f"{path}: the file is empty. samples/configs/ has configs to start from.")
    text = _decode(content)
    if text is not None:
        return parse(text, str(path))
    config = _from_binary(content)
    if config is None:
        raise ConfigError(
            f"{path}: neither text nor a binary TrainEvalPipelineConfig. Is it a config at all?"
        )
    return config


def _decode(content):
    """The text of a text file, or None where the bytes are no text."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):  # what Windows PowerShell writes with >
            return content.decode(encoding, errors="replace")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        if any("\x7f" <= char <= "\x9f" for char in text) and _from_binary(content) is not None:
            return None
    if any(char < " " and char not in "\t\r\n\f\v" for char in text):
        return None
    return text


def _from_binary(content):
    config = pipeline_pb2.TrainEvalPipelineConfig()
    try:
        config.ParseFromString(content)
    except DecodeError:
        return None
    return config if config.ListFields() else None


def _merge(text, config, source):
    try:
        text_proto.merge(text, config, source)
    except text_proto.TextProtoError as error:
        raise ConfigError(str(error)) from None
