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
    """The flags."""
    portable_command.define_flags("model.tflite", batch_size=1)
    flags.DEFINE_enum("weights", "float32", ["float32", "float16"], "How the weights are stored.")


def door():
    """Converts as the flags say; the exit code."""
    from object_detection.exporter_main_v2 import load_config

    config = load_config(FLAGS.pipeline_config_path, FLAGS.config_override)
    commands.start_tensorflow()
    from object_detection.export import portable_model, tflite_model

    form = portable_command.form_of_flags()
    restored = portable_model.restore(config, FLAGS.trained_checkpoint_dir)
    model = tflite_model.convert(restored, form, weights=FLAGS.weights)
    portable_command.write_checked(model, FLAGS.output, restored, form, tflite_model.interpreter)
    size = os.path.getsize(FLAGS.output) / 2**20
    print(f"Wrote {FLAGS.output}: {size:.1f} MiB, built-in operations only")
    return 0


def main():
    """The command."""
    commands.run(door, define_flags)


if __name__ == "__main__":
    main()
