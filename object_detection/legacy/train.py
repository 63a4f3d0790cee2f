"""Trains with the flags of TFOD's first release: see --help.

    --pipeline_config_path=pipeline.config --train_dir=run

This is the older name of `model_main_tf2.py`: `--train_dir` is its `--model_dir`. Instead of the
pipeline.config, you can pass three files: --train_config_path, --model_config_path and
--input_config_path.
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one two above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from absl import flags, logging  # noqa: E402

from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS
_SUCCESSOR = (
    "python -m object_detection.model_main_tf2 --pipeline_config_path=PIPELINE_CONFIG "
    "--model_dir=MODEL_DIR --num_workers=N"
)


def define_flags():
    """Define TFOD's flags."""
    flags.DEFINE_string("train_dir", "", "Folder for checkpoints and event files.")
    flags.DEFINE_string(
        "pipeline_config_path", "", "The pipeline.config; replaces the three files."
    )
    flags.DEFINE_string("train_config_path", "", "File with a TrainConfig.")
    flags.DEFINE_string("model_config_path", "", "File with a DetectionModel.")
    flags.DEFINE_string("input_config_path", "", "File with an InputReader.")
    flags.DEFINE_integer("num_clones", 1, "No effect: every GPU trains.")
    flags.DEFINE_boolean("clone_on_cpu", False, "Train on the CPU.")
    flags.DEFINE_string("master", "", "Not supported.")
    flags.DEFINE_integer("task", 0, "Not supported.")
    flags.DEFINE_integer("worker_replicas", 1, "Not supported.")
    flags.DEFINE_integer("ps_tasks", 0, "Not supported.")
    flags.DEFINE_string("worker_job_name", "lonely_worker", "Not supported.")


def command():
    """Train with the flags; return the exit code."""
    if FLAGS.master or FLAGS.task or FLAGS.ps_tasks or FLAGS.worker_replicas > 1:
        logging.error("Parameter servers are not supported. On each machine run: %s", _SUCCESSOR)
        return 1
    if not FLAGS.train_dir:
        return commands.refuse("train_dir", "say where checkpoints and event files go.")
    config = config_of_flags()
    commands.start_tensorflow()
    if FLAGS.clone_on_cpu:
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
    elif FLAGS.num_clones > 1:
        logging.warning("--num_clones has no effect: every GPU that is visible trains.")
    from object_detection import model_lib_v2

    return model_lib_v2.train_loop(config, FLAGS.train_dir)


def config_of_flags():
    """The TrainEvalPipelineConfig of one file or of three; raises as `config_files.load`."""
    from object_detection.legacy import config_files

    parts = {
        "model_config_path": ("model_config_path", FLAGS.model_config_path),
        "train_config_path": ("train_config_path", FLAGS.train_config_path),
        "input_config_path": ("train_input_config_path", FLAGS.input_config_path),
    }
    return config_files.load(FLAGS.pipeline_config_path, parts)


def main():
    """The command."""
    commands.run(command, define_flags, only_own_errors=True)


if __name__ == "__main__":
    main()
