"""Converts a trained model to ONNX: `python -m object_detection.export_onnx --help`."""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import flags  # noqa: E402

from object_detection.export import portable_command  # noqa: E402
from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """Define the flags."""
    portable_command.define_flags("model.onnx", batch_size=0)
    flags.DEFINE_integer("opset", 18, "Version of ONNX's operator set.", lower_bound=16)
    flags.DEFINE_string(
        "label_map_path",
        "",
        "Label map with the class names to store in the file. Default: the config's.",
    )


def command():
    """Convert as the flags say; return the exit code."""
    from object_detection.exporter_main_v2 import load_config

    config = load_config(FLAGS.pipeline_config_path, FLAGS.config_override)
    commands.start_tensorflow()
    from object_detection.export import onnx_model, portable

    spec = portable_command.input_spec_from_flags()
    restored = portable.restore(config, FLAGS.trained_checkpoint_dir)
    names = portable.class_names(config, FLAGS.label_map_path)
    model = onnx_model.convert(restored, spec, opset=FLAGS.opset, names=names)
    portable_command.write_verified(
        model.SerializeToString(), FLAGS.output, restored, spec, onnx_model.onnx_session
    )
    size = os.path.getsize(FLAGS.output) / 2**20
    print(f"Wrote {FLAGS.output}: {size:.1f} MiB, opset {FLAGS.opset}")
    return 0


def main():
    """Run the command."""
    commands.run(command, define_flags)


if __name__ == "__main__":
    main()
