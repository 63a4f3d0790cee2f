"""Trains and evaluates a model in one process: `python -m object_detection.model_main --help`.

    --pipeline_config_path=pipeline.config --model_dir=run

Trains, evaluates at every checkpoint and at the end, and resumes an earlier run in model_dir. With
--checkpoint_dir it only evaluates. The flags are those of TFOD's model_main.py, whose Estimator did
the same.
"""

import json
import os
import re
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import flags, logging  # noqa: E402

from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """Define the flags of TFOD's model_main.py and ours."""
    commands.define_flags()
    flags.DEFINE_boolean(
        "eval_training_data", False, "Evaluate on the training data; needs --checkpoint_dir."
    )
    flags.DEFINE_integer(
        "sample_1_of_n_eval_examples", 1, "Evaluate on every n-th example.", lower_bound=1
    )
    flags.DEFINE_string(
        "hparams_overrides", None, "Comma-separated name=value pairs, as learning_rate=0.01."
    )
    flags.DEFINE_boolean("run_once", False, "Evaluate the newest checkpoint and exit.")
    flags.DEFINE_integer("max_eval_retries", 0, "Without effect: evaluation is not retried.")
    flags.DEFINE_integer(
        "eval_timeout", 3600, "Seconds to wait for a new checkpoint before evaluation ends."
    )
    flags.DEFINE_boolean("record_summaries", True, "Write input images to TensorBoard.")


def apply_hparams(config):
    """Change the config as --hparams_overrides says.

    Values are parsed as JSON where possible (numbers, lists), else taken as text.
    """
    from object_detection.utils import config_util

    values = {}
    for pair in re.split(r",(?=\s*[\w.:\[\]]+\s*=)", FLAGS.hparams_overrides or ""):
        name, _, text = (part.strip() for part in pair.partition("="))
        try:
            values[name] = json.loads(text.lower() if text in ("True", "False") else text)
        except ValueError:
            values[name] = text
    configs = config_util.create_configs_from_pipeline_proto(config)
    config_util.merge_external_params_with_configs(configs, kwargs_dict=values)


def command():
    """Train or evaluate as the flags say; return the exit code."""
    if FLAGS.max_eval_retries:
        logging.warning("--max_eval_retries has no effect: an evaluation that fails says why.")
    if FLAGS.checkpoint_dir:
        return commands.evaluate(
            on_train_data=FLAGS.eval_training_data,
            change=apply_hparams,
            run_once=FLAGS.run_once,
            eval_timeout=FLAGS.eval_timeout,
        )
    if FLAGS.eval_training_data or FLAGS.run_once:
        return commands.refuse(
            "eval_training_data" if FLAGS.eval_training_data else "run_once",
            "it applies to evaluation, which needs --checkpoint_dir too.",
        )
    return commands.train(
        eval_every_n_steps=FLAGS.checkpoint_every_n,
        change=apply_hparams,
        record_summaries=FLAGS.record_summaries,
    )


def main():
    """Run the command."""
    commands.run(command, define_flags, only_own_errors=True)


if __name__ == "__main__":
    main()
