"""A pipeline.config on disk and the TrainEvalPipelineConfig in memory.

The schema is protos/pipeline.proto. Errors here are about form (what cannot be read); what a config
that reads well gets wrong is found by preflight.
"""

import hashlib
import logging
import os
import re
import tempfile
from pathlib import Path

from google.protobuf import text_format

from object_detection import addresses
from object_detection.checkpoints import location
from object_detection.config import overrides as dotted
from object_detection.errors import ConfigError
from object_detection.protos import pipeline_pb2
from object_detection.utils import proto_file, text_proto
from object_detection.utils.messages import shorten

NAME, RESOLVED = location.CONFIG, location.RESOLVED_CONFIG
# The first line of a file that `save` wrote, and may replace as long as nobody edited it.
_MARK = (
    "# Written by object_detection, which replaces this file unless it was edited "
    "(content {digest})."
)
_MARKED = re.compile(re.escape(_MARK).replace(re.escape("{digest}"), "([0-9a-f]{16})"))

_log = logging.getLogger(__name__)


def load(path, *, override_text="", overrides=()):
    """Reads a config, text or binary, and lays overrides over it.

    Args:
        path: the file; a folder means the pipeline.config in it, or the config as run next to it.
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
        path = location.config_in_folder(path) or path / NAME
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


def save(config, directory, *, replace: bool = False) -> Path:
    """Write `config` as text into `directory`, whole or not at all.

    The file is pipeline.config if there is none, or one that this function wrote and nobody edited.
    Beside a pipeline.config of the user's it is pipeline.resolved.config, which is read first.

    Args:
        config: a TrainEvalPipelineConfig.
        directory: a folder; made if need be.
        replace: write pipeline.config in any case.

    Returns:
        The path written.

    Raises:
        ConfigError: both files were written or edited by the user.
        AddressError: `directory` is an address such as gs://bucket/run.
    """
    addresses.refuse(directory, "the folder of pipeline.config")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    name = NAME if replace else name_to_write(directory)
    _write(as_text(config), directory / name)
    if name == RESOLVED:
        _log.info("%s stays as it is; the config as run is %s.", directory / NAME, name)
    elif is_ours(directory / RESOLVED):  # of an earlier run, and outdated
        (directory / RESOLVED).unlink()
    return directory / name


def name_to_write(directory: Path) -> str:
    """Return the name that `save` writes to in a folder; raises ConfigError as `save`."""
    own, resolved = directory / NAME, directory / RESOLVED
    if not os.path.lexists(own) or is_ours(own):
        return NAME
    if os.path.lexists(resolved) and not is_ours(resolved):
        raise ConfigError(
            f"{resolved} was edited, and is not overwritten. Rename it (to train with it, give its "
            "new name with --pipeline_config_path), or remove it"
        )
    return RESOLVED


def is_ours(path: Path) -> bool:
    """Return whether `save` wrote a file and nobody edited it since."""
    try:
        mark, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return False
    matched = _MARKED.fullmatch(mark)
    return matched is not None and matched[1] == _digest(text)


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write(text, path):
    """Writes a file with its mark, whole or not at all."""
    directory = path.parent
    handle, temporary = tempfile.mkstemp(prefix=NAME + ".", suffix=".tmp", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{_MARK.format(digest=_digest(text))}\n{text}")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
