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
    """The flags."""
    portable_command.define_flags("model.onnx", batch_size=0)
    flags.DEFINE_integer("opset", 18, "Version of ONNX's operators.", lower_bound=16)
    flags.DEFINE_string(
        "label_map_path", "", "Label map whose names go into the file; default: the config's."
    )


def door():
    """Converts as the flags say; the exit code."""
    from object_detection.exporter_main_v2 import load_config

    config = load_config(FLAGS.pipeline_config_path, FLAGS.config_override)
    commands.start_tensorflow()
    from object_detection.export import onnx_model, portable_model

    form = portable_command.form_of_flags()
    restored = portable_model.restore(config, FLAGS.trained_checkpoint_dir)
    names = portable_model.label_names(config, FLAGS.label_map_path)
    model = onnx_model.convert(restored, form, opset=FLAGS.opset, names=names)
    portable_command.write_checked(
        model.SerializeToString(), FLAGS.output, restored, form, onnx_model.session
    )
    size = os.path.getsize(FLAGS.output) / 2**20
    print(f"Wrote {FLAGS.output}: {size:.1f} MiB, opset {FLAGS.opset}")
    return 0


def main():
    """The command."""
    commands.run(door, define_flags)


if __name__ == "__main__":
    main()
