r"""Supervisely's projects and JSON configs, unchanged: trained, applied, served.

    python -m object_detection.integrations.supervisely train --config=train_config.json \
        --project=project --model=BASE --output=results
    python -m object_detection.integrations.supervisely infer --config=inference_config.json \
        --project=project --model=results/00000000 --output=found
    python -m object_detection.integrations.supervisely deploy --config=inference_config.json \
        --model=results/00000000
    python -m object_detection.integrations.supervisely project --annotations_file=trainval.json \
        --image_dir=images --val_fraction=0.2 --output=project

`project` makes a project of a COCO json. `train --help` and so on tell the flags.
"""

from pathlib import Path

from absl import flags

from object_detection.cli import runner

FLAGS = flags.FLAGS


def define_train_flags():
    """The flags of `train`."""
    flags.DEFINE_string("config", None, "Supervisely's training JSON.")
    flags.DEFINE_string("project", None, "The project: the folder of meta.json.")
    flags.DEFINE_string(
        "model",
        None,
        "What the network and its weights begin with: a result of this command, an export or a "
        "training folder of any Mask R-CNN, or a pipeline.config.",
    )
    flags.DEFINE_string("output", "results", "Results become its folders 00000000, 00000001, ...")
    flags.DEFINE_integer("seed", 0, "Makes weights, sampling and data order repeatable.")
    flags.mark_flags_as_required(["config", "project", "model"])


def define_infer_flags():
    """The flags of `infer`."""
    flags.DEFINE_string("config", None, "Supervisely's inference JSON.")
    flags.DEFINE_string("project", None, "The project whose images are looked at.")
    flags.DEFINE_string("model", None, "A result of train, or any other export.")
    flags.DEFINE_string("output", None, "Folder of the new project; it must not be there yet.")
    flags.mark_flags_as_required(["config", "project", "model", "output"])


def define_deploy_flags():
    """The flags of `deploy`: those of `object_detection.serve`, and the JSON."""
    from object_detection import serve

    flags.DEFINE_string("config", None, "Supervisely's inference JSON.")
    serve.define_flags()
    flags.mark_flags_as_required(["config", "model"])


def define_project_flags():
    """The flags of `project`."""
    flags.DEFINE_string("annotations_file", None, "A COCO json.")
    flags.DEFINE_string("image_dir", None, "The folder of its images.")
    flags.DEFINE_string("output", None, "Folder of the project.")
    flags.DEFINE_float("val_fraction", 0.2, "Share of the images with the tag val.", 0.0, 0.99)
    flags.DEFINE_integer("split_seed", 0, "The same seed takes the same images for val.")
    flags.mark_flags_as_required(["annotations_file", "image_dir", "output"])


def _train():
    from object_detection.integrations.supervisely import training

    names = training.Options._fields
    return training.run(training.Options(**{name: FLAGS[name].value for name in names}))


def _infer():
    from object_detection.integrations.supervisely import inference

    names = inference.Options._fields
    return inference.run(inference.Options(**{name: FLAGS[name].value for name in names}))


def _deploy():
    from object_detection.integrations.supervisely import deployment

    return deployment.run(FLAGS)


def _project():
    from object_detection.datasets.conversion import split_off
    from object_detection.datasets.formats import coco
    from object_detection.integrations.supervisely import conversion

    found = coco.read(FLAGS.annotations_file, FLAGS.image_dir)
    splits = {"train": found}
    if FLAGS.val_fraction:
        parts = split_off(found, FLAGS.val_fraction, FLAGS.split_seed)
        splits = dict(zip(("train", "val"), parts, strict=True))
    findings, written = conversion.write(Path(FLAGS.output), splits)
    for finding in findings:
        print(f"{finding.key}: {finding.reason}")
    counts = ", ".join(f"{count} {tag}" for tag, count in written.items())
    print(f"{FLAGS.output}: a project of {counts} images")
    return 0


COMMANDS = {
    "train": (define_train_flags, _train),
    "infer": (define_infer_flags, _infer),
    "deploy": (define_deploy_flags, _deploy),
    "project": (define_project_flags, _project),
}


def run(arguments=None):
    """The command."""
    runner.run_one_of(COMMANDS, __doc__, arguments)


if __name__ == "__main__":
    run()
