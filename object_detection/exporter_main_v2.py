"""Exports a trained model: `python -m object_detection.exporter_main_v2 --help`."""

import os
import re
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import flags, logging  # noqa: E402

from object_detection.cli import runner  # noqa: E402

_INPUT_TYPES = (
    "image_tensor",
    "float_image_tensor",
    "encoded_image_string_tensor",
    "tf_example",
    "image_and_boxes_tensor",
)


def define_flags():
    """Define TFOD's flags and ours."""
    from object_detection.export import options

    flags.DEFINE_enum(
        "input_type",
        "image_tensor",
        _INPUT_TYPES,
        "Input of the exported model: uint8 images, float images, encoded image files or "
        "serialized tf.Examples. (image_and_boxes_tensor is for models not supported here.)",
    )
    flags.DEFINE_string("pipeline_config_path", None, "Path of the model's pipeline.config.")
    flags.DEFINE_string(
        "trained_checkpoint_dir",
        None,
        "Training folder (its last checkpoint is exported), or other weights (see "
        "docs/checkpoints.md).",
    )
    flags.DEFINE_string("output_directory", None, "Folder to write the export to.")
    flags.DEFINE_multi_string(
        "config_override",
        [],
        "Change to the config: text in its own format to merge, or a dotted field=value. "
        "Can be repeated.",
    )
    options.define_side_inputs()
    flags.DEFINE_boolean("export_raw", False, "Export the internal tensors as well, as TFOD does.")
    options.define_flags()
    flags.mark_flags_as_required(
        ["pipeline_config_path", "trained_checkpoint_dir", "output_directory"]
    )


def main(arguments):
    """Export as the flags say; return the exit code."""
    del arguments
    values = flags.FLAGS
    from object_detection.export import options
    from object_detection.training import commands

    refused = options.side_inputs_in_flags(values)
    if refused:
        logging.error(
            "use_side_inputs is not supported: Faster and Mask R-CNN take images only (side "
            "inputs belong to Context R-CNN). Leave out %s.",
            refused,
        )
        return 1
    config = load_config(values.pipeline_config_path, values.config_override)
    commands.start_tensorflow()
    from object_detection.export import exporter

    folder, label_map = exporter.export(
        config,
        values.trained_checkpoint_dir,
        values.output_directory,
        options.options_from_flags(values, input_type=values.input_type, raw=values.export_raw),
    )
    if label_map is None:
        logging.warning(
            "No label map could be read (label_map_path of the readers): the export contains no "
            "class names. Pass --label_map to object_detection.predict."
        )
    print(f"Exported to {folder}: saved_model/, checkpoint/ckpt-0 and pipeline.config")
    return 0


def load_config(path, changes):
    """Load a config with its changes and check it as a whole.

    Args:
        path: of the pipeline.config.
        changes: texts to merge and dotted field=value, in any order.

    Raises:
        ConfigError: it cannot be read, or has errors: the message lists all of them.
    """
    from object_detection.config import pipeline_file, preflight
    from object_detection.errors import ConfigError
    from object_detection.modeling.extractor_names import EXTRACTORS

    dotted = [text for text in changes if re.match(r"\s*[\w.\[\]]+\s*=", text)]
    texts = [text for text in changes if text not in dotted]
    config = pipeline_file.load(path, override_text="\n".join(texts), overrides=dotted)
    findings = preflight.check(config, purpose="export", supported_extractors=EXTRACTORS)
    for warning in findings.warnings:
        logging.warning("config: %s", warning)
    if findings.faults:
        raise ConfigError(
            f"{path} cannot be exported:\n  " + "\n  ".join(map(str, findings.faults))
        )
    return config


def run():
    """The command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
