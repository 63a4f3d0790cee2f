"""Evaluates with the flags of TFOD's first release: see --help.

    --pipeline_config_path=pipeline.config --checkpoint_dir=run --eval_dir=metrics

This is the older name of `model_main_tf2.py --checkpoint_dir`. Writes the metrics to eval/ in
`--eval_dir`. Instead of the pipeline.config, you can pass three files: --eval_config_path,
--model_config_path and --input_config_path.
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one two above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from absl import flags  # noqa: E402

from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """Define TFOD's flags."""
    flags.DEFINE_string("checkpoint_dir", "", "Folder whose checkpoints to evaluate.")
    flags.DEFINE_string("eval_dir", "", "Folder for the metrics.")
    flags.DEFINE_string(
        "pipeline_config_path", "", "The pipeline.config; replaces the three files."
    )
    flags.DEFINE_string("eval_config_path", "", "File with an EvalConfig.")
    flags.DEFINE_string("model_config_path", "", "File with a DetectionModel.")
    flags.DEFINE_string("input_config_path", "", "File with an InputReader.")
    flags.DEFINE_boolean("eval_training_data", False, "Evaluate on the training data.")
    flags.DEFINE_boolean("run_once", False, "Evaluate the newest checkpoint and exit.")


def command():
    """Evaluate with the flags; return the exit code."""
    for name, purpose in (
        ("checkpoint_dir", "say where the checkpoints are."),
        ("eval_dir", "say where the metrics go."),
    ):
        if not FLAGS[name].value:
            return commands.refuse(name, purpose)
    config = config_of_flags()
    commands.start_tensorflow()
    from object_detection import model_lib_v2

    return model_lib_v2.eval_continuously(
        config,
        model_dir=FLAGS.eval_dir,
        checkpoint_dir=FLAGS.checkpoint_dir,
        wait_interval=None,
        eval_on_train_data=FLAGS.eval_training_data,
        run_once=FLAGS.run_once,
    )


def config_of_flags():
    """The TrainEvalPipelineConfig of one file or of three; raises as `config_files.load`."""
    from object_detection.legacy import config_files

    reader = "train_input_config_path" if FLAGS.eval_training_data else "eval_input_config_path"
    parts = {
        "model_config_path": ("model_config_path", FLAGS.model_config_path),
        "eval_config_path": ("eval_config_path", FLAGS.eval_config_path),
        "input_config_path": (reader, FLAGS.input_config_path),
    }
    return config_files.load(FLAGS.pipeline_config_path, parts)


def main():
    """The command."""
    commands.run(command, define_flags, only_own_errors=True)


if __name__ == "__main__":
    main()
