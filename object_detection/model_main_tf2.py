"""Trains or evaluates a model: `python -m object_detection.model_main_tf2 --help`.

--pipeline_config_path=pipeline.config --model_dir=run              trains, or resumes a run
--pipeline_config_path=pipeline.config --model_dir=run --checkpoint_dir=run      evaluates
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import flags  # noqa: E402

from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """Define the flags of TFOD's model_main_tf2.py and ours."""
    commands.define_flags()
    flags.DEFINE_boolean("eval_on_train_data", False, "Evaluate on the training data.")
    flags.DEFINE_integer(
        "sample_1_of_n_eval_examples", None, "Evaluate on every n-th example.", lower_bound=1
    )
    flags.DEFINE_integer(
        "eval_timeout", 3600, "Seconds to wait for a new checkpoint before evaluation ends."
    )
    flags.DEFINE_boolean("use_tpu", False, "Not supported.")
    flags.DEFINE_string("tpu_name", None, "Not supported.")
    flags.DEFINE_integer(
        "num_workers",
        1,
        "Number of machines that train together; each needs TF_CONFIG.",
        lower_bound=1,
    )
    flags.DEFINE_boolean("record_summaries", True, "Write input images to TensorBoard.")
    flags.DEFINE_boolean("run_once", False, "Evaluate the newest checkpoint and exit.")


def command():
    """Train or evaluate as the flags say; return the exit code."""
    if FLAGS.use_tpu or FLAGS.tpu_name:
        return commands.refuse(
            "use_tpu" if FLAGS.use_tpu else "tpu_name",
            "TPUs are not supported; omit it to train on GPUs or the CPU.",
        )
    if FLAGS.checkpoint_dir:
        return commands.evaluate(
            on_train_data=FLAGS.eval_on_train_data,
            run_once=FLAGS.run_once,
            eval_timeout=FLAGS.eval_timeout,
        )
    if FLAGS.eval_on_train_data or FLAGS.run_once:
        return commands.refuse(
            "eval_on_train_data" if FLAGS.eval_on_train_data else "run_once",
            "it applies to evaluation, which needs --checkpoint_dir too.",
        )
    return commands.train(
        eval_every_n_steps=0,
        record_summaries=FLAGS.record_summaries,
        num_workers=FLAGS.num_workers,
    )


def main():
    """Run the command."""
    commands.run(command, define_flags, only_own_errors=True)


if __name__ == "__main__":
    main()
