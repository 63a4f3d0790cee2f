"""A pipeline.config on disk and the TrainEvalPipelineConfig in memory.

The schema is protos/pipeline.proto. Errors here are about form (what cannot be read); what a config
that reads well gets wrong is found by preflight.
"""

import logging
import os
import tempfile
from pathlib import Path

from google.protobuf import text_format

from object_detection.config import overrides as dotted
from object_detection.config.errors import ConfigError
from object_detection.protos import pipeline_pb2
from object_detection.utils import proto_file, text_proto
from object_detection.utils.messages import shorten

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
    if os.path.isdir(path):  # unlike Path.is_dir it also answers for names that no file can have
        path = path / NAME
    config = _read(path)
    if override_text:
        _merge(override_text, config, "config override")
    for override in overrides:
        dotted.apply(config, override)
    return config


def parse(text: str | bytes, source=NAME) -> pipeline_pb2.TrainEvalPipelineConfig:
    """Return the config that a text, or the bytes of a file, holds.

    Args:
        text: text format, or a file's bytes in any form that `load` reads.
        source: names it in errors.

    Raises:
        ConfigError: it cannot be read, with line and column.
    """
    if isinstance(text, bytes):
        return _parsed(text, source)
    config = pipeline_pb2.TrainEvalPipelineConfig()
    _merge(text, config, source)
    _warn_of_repeats(text, source)
    return config


def as_text(config):
    """A config as the text that `save` writes."""
    return text_format.MessageToString(config, as_utf8=True)


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
            file.write(as_text(config))
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
    """The config in a file, unchecked but for what its form says."""
    try:
        content = proto_file.content_of(path)
    except OSError as error:
        raise ConfigError(
            f"{shorten(path, 300)} cannot be read ({error.strerror}). Give the path of a "
            "pipeline.config, or of the folder that holds one."
        ) from None
    return _parsed(content, path)


def _parsed(content, source):
    try:
        config, text = proto_file.parse(content, pipeline_pb2.TrainEvalPipelineConfig, source)
    except text_proto.TextProtoError as error:
        raise ConfigError(str(error)) from None
    if not config.ListFields():
        raise ConfigError(f"{source} is empty. samples/configs/ has configs to start from.")
    _warn_of_repeats(text, source)
    return config


def _warn_of_repeats(text, source):
    repeated = text and text_proto.repeated_setting(text, pipeline_pb2.TrainEvalPipelineConfig)
    if repeated:
        _log.warning("%s: %s.", source, repeated)


def _merge(text, config, source):
    try:
        text_proto.merge(text, config, source)
    except text_proto.TextProtoError as error:
        raise ConfigError(str(error)) from None
