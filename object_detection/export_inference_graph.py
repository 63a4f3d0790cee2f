"""Exports with the flags of TFOD's TF1 exporter: see --help.

    --pipeline_config_path=pipeline.config --trained_checkpoint_prefix=run/model.ckpt-1000
    --output_directory=exported

It is `exporter_main_v2.py` under its older name, and writes what that writes: saved_model/,
checkpoint/ and pipeline.config. A frozen_inference_graph.pb is not among them.
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import app, flags, logging  # noqa: E402

from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS
_SIDE_INPUTS = ("side_input_shapes", "side_input_types", "side_input_names")


def define_flags():
    """TFOD's flags."""
    flags.DEFINE_string(
        "input_type",
        "image_tensor",
        "What the exported model takes: image_tensor, encoded_image_string_tensor or tf_example.",
    )
    flags.DEFINE_string("pipeline_config_path", None, "The model's pipeline.config.")
    flags.DEFINE_string("trained_checkpoint_prefix", None, "The checkpoint, TF1's or TF2's.")
    flags.DEFINE_string("output_directory", None, "Where the export goes.")
    flags.DEFINE_string("input_shape", None, "Without effect: images of any size are taken.")
    flags.DEFINE_string("config_override", "", "Text of the config's own format to be merged.")
    flags.DEFINE_boolean(
        "write_inference_graph", False, "Without effect: no graph file is written."
    )
    flags.DEFINE_string("additional_output_tensor_names", None, "Not supported.")
    flags.DEFINE_boolean("use_side_inputs", False, "Not supported.")
    for name in _SIDE_INPUTS:
        flags.DEFINE_string(name, "", "Not supported.")
    flags.mark_flags_as_required(
        ["pipeline_config_path", "trained_checkpoint_prefix", "output_directory"]
    )


def door():
    """Exports as the flags say; the exit code."""
    if FLAGS.additional_output_tensor_names:
        return commands.refuse(
            "additional_output_tensor_names",
            "exports name no tensors; `exporter_main_v2 --export_raw` gives TFOD's inner ones.",
        )
    for name in ("input_shape", "write_inference_graph"):
        if FLAGS[name].present and FLAGS[name].value:
            logging.warning("--%s has no effect: %s", name, FLAGS[name].help)
    import tensorflow as tf

    from object_detection import exporter_lib_v2
    from object_detection.config import pipeline_file
    from object_detection.config.errors import ConfigError

    config = pipeline_file.load(FLAGS.pipeline_config_path, override_text=FLAGS.config_override)
    try:
        exporter_lib_v2.export_inference_graph(
            FLAGS.input_type,
            config,
            FLAGS.trained_checkpoint_prefix,
            FLAGS.output_directory,
            use_side_inputs=FLAGS.use_side_inputs or any(FLAGS[n].value for n in _SIDE_INPUTS),
        )
    except (ValueError, OSError, tf.errors.OpError) as fault:
        raise ConfigError(str(fault)) from fault
    print(
        f"Exported to {FLAGS.output_directory}: saved_model/, checkpoint/ckpt-0 and "
        "pipeline.config; a frozen_inference_graph.pb is not written"
    )
    return 0


def main():
    """The command."""
    define_flags()
    app.run(lambda _: commands.run(door))


if __name__ == "__main__":
    main()
