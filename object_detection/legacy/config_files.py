"""Config of TFOD's oldest commands: one file, or three partial ones."""

from object_detection.config import pipeline_file
from object_detection.errors import ConfigError
from object_detection.utils import config_util


def load(whole, parts):
    """Load the TrainEvalPipelineConfig of one file or of three.

    Args:
        whole: `--pipeline_config_path`, or "".
        parts: {flag: (argument of `config_util.get_configs_from_multiple_files`, path)}.

    Raises:
        ConfigError: a file is missing or cannot be read.
    """
    if whole:
        return pipeline_file.load(whole)
    paths = dict(parts.values())
    if not all(paths.values()):
        *first, last = (f"--{flag}" for flag in parts)
        raise ConfigError(f"Set --pipeline_config_path, or all of {', '.join(first)} and {last}.")
    configs = config_util.get_configs_from_multiple_files(**paths)
    return config_util.create_pipeline_proto_from_configs(configs)
