r"""azoda's experiments and deployments on this machine.

    python -m object_detection.integrations.azoda train --exp_config=exp_config.json --data_dir=data
    python -m object_detection.integrations.azoda score --deploy_config=deploy_config.json

`train --help` and `score --help` tell their flags. The folders are azoda's:
DATA_DIR/IMAGE_TYPE/{images,datasets}, DATA_DIR/models/BASE_MODEL; label_files/ and outputs/.
"""

from absl import flags, logging

from object_detection.cli import runner

FLAGS = flags.FLAGS
EXPORT = "outputs/final_model/model"


def define_train_flags():
    """The flags of `train`."""
    flags.DEFINE_string("exp_config", "exp_config.json", "azoda's JSON of the experiment.")
    flags.DEFINE_string(
        "data_dir", "", "Folder with IMAGE_TYPE/ and models/. Unset: DATA_MOUNT, if it is one."
    )
    flags.DEFINE_string("output_dir", ".", "Where label_files/ and outputs/ go.")
    flags.DEFINE_integer("batch_size", 1, "Images a step.", 1)
    flags.DEFINE_string(
        "fine_tune_checkpoint", "", "Weights to start from instead of the base model's own."
    )
    flags.DEFINE_multi_string(
        "config_override",
        [],
        "Changes the config in the end: a dotted field=value. May be given more than once.",
    )
    flags.DEFINE_integer("checkpoint_every_n", 1000, "Steps between checkpoints.", 1)
    flags.DEFINE_integer("seed", 0, "Makes weights, sampling and data order repeatable.")
    flags.DEFINE_bool("strict", False, "End with an error if the CSVs have anything to correct.")


def train():
    """Runs an experiment by the flags; the exit code."""
    from object_detection.integrations.azoda import experiment

    names = experiment.Options._fields
    given = experiment.Options(**{name: FLAGS[name].value for name in names})
    return experiment.run(given)


def define_score_flags():
    """The flags of `score`: those of `object_detection.serve`, and the JSON."""
    from object_detection import serve

    flags.DEFINE_string("deploy_config", "deploy_config.json", "azoda's JSON of the deployment.")
    serve.define_flags()
    FLAGS.set_default("model", EXPORT)


def score():
    """Serves a deployment by the flags; the exit code."""
    from object_detection import serve
    from object_detection.integrations.azoda import settings

    if FLAGS["model_name"].present or FLAGS["model_config_file"].present:
        logging.error("IMAGE_TYPE of --deploy_config names the one model that is served here.")
        return 1
    deployment = settings.read_deployment(FLAGS.deploy_config)
    for note in deployment.notes:
        logging.info("%s", note)
    name = deployment.values["IMAGE_TYPE"]
    FLAGS.model_name, FLAGS.score_masks = name, "mask" in name
    if not FLAGS.score_masks:
        logging.info(
            "/score answers without masks: IMAGE_TYPE %r does not contain 'mask', as in azoda.",
            name,
        )
    return serve.main(["score"])


COMMANDS = {"train": (define_train_flags, train), "score": (define_score_flags, score)}


def run(arguments=None):
    """The command."""
    runner.run_one_of(COMMANDS, __doc__, arguments)


if __name__ == "__main__":
    run()
