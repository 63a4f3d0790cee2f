"""Converts a model to TensorFlow Lite: `python -m object_detection.export_tflite --help`."""

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
    portable_command.define_flags("model.tflite", batch_size=1)
    flags.DEFINE_enum(
        "weights", "float32", ["float32", "float16"], "Storage format of the weights."
    )


def command():
    """Convert as the flags say; return the exit code."""
    from object_detection.exporter_main_v2 import load_config

    config = load_config(FLAGS.pipeline_config_path, FLAGS.config_override)
    commands.start_tensorflow()
    from object_detection.export import portable, tflite_model

    spec = portable_command.input_spec_from_flags()
    restored = portable.restore(config, FLAGS.trained_checkpoint_dir)
    model = tflite_model.convert(restored, spec, weights=FLAGS.weights)
    portable_command.write_verified(model, FLAGS.output, restored, spec, tflite_model.tflite_runner)
    size = os.path.getsize(FLAGS.output) / 2**20
    print(f"Wrote {FLAGS.output}: {size:.1f} MiB, built-in operations only")
    return 0


def main():
    """Run the command."""
    commands.run(command, define_flags)


if __name__ == "__main__":
    main()
