r"""azoda's experiments and deployments on this machine.

    python -m object_detection.integrations.azoda train --exp_config=exp_config.json --data_dir=data
    python -m object_detection.integrations.azoda score --deploy_config=deploy_config.json

For the flags: `train --help` and `score --help`. The folders are azoda's:
DATA_DIR/IMAGE_TYPE/{images,datasets}, DATA_DIR/models/BASE_MODEL; label_files/ and outputs/.
"""

from absl import flags, logging

from object_detection.cli import runner

FLAGS = flags.FLAGS
EXPORT = "outputs/final_model/model"


def define_train_flags():
    """Define the flags of `train`."""
    flags.DEFINE_string("exp_config", "exp_config.json", "Path of azoda's JSON of the experiment.")
    flags.DEFINE_string(
        "data_dir",
        "",
        "Folder with IMAGE_TYPE/ and models/. Default: DATA_MOUNT of the experiment.",
    )
    flags.DEFINE_string("output_dir", ".", "Folder to write label_files/ and outputs/ to.")
    flags.DEFINE_integer("batch_size", 1, "Number of images per step.", 1)
    flags.DEFINE_string(
        "fine_tune_checkpoint", "", "Weights to start from. Default: the base model's."
    )
    flags.DEFINE_multi_string(
        "config_override",
        [],
        "Final change to the config: a dotted field=value. Can be repeated.",
    )
    flags.DEFINE_integer("checkpoint_every_n", 1000, "Number of steps between checkpoints.", 1)
    flags.DEFINE_integer("seed", 0, "Random seed of weights, sampling and data order.")
    flags.DEFINE_bool("strict", False, "Fail if the CSVs contain anything to correct.")


def train():
    """Run an experiment as the flags say; return the exit code."""
    from object_detection.integrations.azoda import experiment

    names = experiment.Options._fields
    return experiment.run(experiment.Options(**{name: FLAGS[name].value for name in names}))


def define_score_flags():
    """Define the flags of `score`: those of `object_detection.serve`, and the JSON."""
    from object_detection import serve

    flags.DEFINE_string(
        "deploy_config", "deploy_config.json", "Path of azoda's JSON of the deployment."
    )
    serve.define_flags()
    FLAGS.set_default("model", EXPORT)


def score():
    """Serve a deployment as the flags say; return the exit code."""
    from object_detection import serve
    from object_detection.integrations.azoda import settings

    if FLAGS["model_name"].present or FLAGS["model_config_file"].present:
        logging.error(
            "Omit --model_name and --model_config_file: IMAGE_TYPE of --deploy_config names the "
            "model."
        )
        return 1
    deployment = settings.read_deployment(FLAGS.deploy_config)
    for note in deployment.notes:
        logging.info("%s", note)
    name = deployment.values["IMAGE_TYPE"]
    FLAGS.model_name, FLAGS.score_masks = name, "mask" in name
    if not FLAGS.score_masks:
        logging.info(
            "/score returns no masks: IMAGE_TYPE %r does not contain 'mask' (azoda's rule).",
            name,
        )
    return serve.main(["score"])


COMMANDS = {"train": (define_train_flags, train), "score": (define_score_flags, score)}


def run(arguments=None):
    """Run the command."""
    runner.run_one_of(COMMANDS, __doc__, arguments)


if __name__ == "__main__":
    run()
