r"""Supervisely's projects and JSON configs: training, inference and serving.

    python -m object_detection.integrations.supervisely train --config=train_config.json \
        --project=project --model=BASE --output=results
    python -m object_detection.integrations.supervisely infer --config=inference_config.json \
        --project=project --model=results/00000000 --output=annotated
    python -m object_detection.integrations.supervisely deploy --config=inference_config.json \
        --model=results/00000000
    python -m object_detection.integrations.supervisely project --annotations_file=trainval.json \
        --image_dir=images --val_fraction=0.2 --output=project

`project` converts a COCO json to a project. For the flags: `train --help` and so on.
"""

from pathlib import Path

from absl import flags

from object_detection.cli import runner

FLAGS = flags.FLAGS


def define_train_flags():
    """Define the flags of `train`."""
    flags.DEFINE_string("config", None, "Path of Supervisely's training JSON.")
    flags.DEFINE_string("project", None, "Folder of the project, with meta.json.")
    flags.DEFINE_string(
        "model",
        None,
        "Model to start from: a result of this command, an export or a training folder of any "
        "Mask R-CNN, or a pipeline.config.",
    )
    flags.DEFINE_string(
        "output", "results", "Folder for results, written as 00000000, 00000001, ..."
    )
    flags.DEFINE_integer("seed", 0, "Random seed of weights, sampling and data order.")
    flags.mark_flags_as_required(["config", "project", "model"])


def define_infer_flags():
    """Define the flags of `infer`."""
    flags.DEFINE_string("config", None, "Path of Supervisely's inference JSON.")
    flags.DEFINE_string("project", None, "Folder of the project to annotate.")
    flags.DEFINE_string("model", None, "Result of train, or any other export.")
    flags.DEFINE_string("output", None, "Folder of the new project; it must be empty or missing.")
    flags.mark_flags_as_required(["config", "project", "model", "output"])


def define_deploy_flags():
    """Define the flags of `deploy`: those of `object_detection.serve`, and the JSON."""
    from object_detection import serve

    flags.DEFINE_string("config", None, "Path of Supervisely's inference JSON.")
    serve.define_flags()
    flags.mark_flags_as_required(["config", "model"])


def define_project_flags():
    """Define the flags of `project`."""
    flags.DEFINE_string("annotations_file", None, "Path of a COCO json.")
    flags.DEFINE_string("image_dir", None, "Folder of its images.")
    flags.DEFINE_string("output", None, "Folder to write the project to.")
    flags.DEFINE_float(
        "val_fraction", 0.2, "Fraction of the images with the tag val, from 0 to 0.99.", 0.0, 0.99
    )
    flags.DEFINE_integer("split_seed", 0, "Random seed of the split into train and val.")
    flags.mark_flags_as_required(["annotations_file", "image_dir", "output"])


def _train():
    from object_detection.integrations.supervisely import training

    names = training.TrainOptions._fields
    return training.train(training.TrainOptions(**{name: FLAGS[name].value for name in names}))


def _infer():
    from object_detection.integrations.supervisely import inference

    names = inference.InferOptions._fields
    return inference.infer(inference.InferOptions(**{name: FLAGS[name].value for name in names}))


def _deploy():
    from object_detection.integrations.supervisely import inference

    return inference.deploy(FLAGS)


def _project():
    from object_detection.datasets.conversion import split_off
    from object_detection.datasets.formats import coco
    from object_detection.integrations.supervisely import project

    annotations = coco.read(FLAGS.annotations_file, FLAGS.image_dir)
    splits = {"train": annotations}
    if FLAGS.val_fraction:
        parts = split_off(annotations, FLAGS.val_fraction, FLAGS.split_seed)
        splits = dict(zip(("train", "val"), parts, strict=True))
    findings, written = project.write_project(Path(FLAGS.output), splits)
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
    """Run the command."""
    runner.run_one_of(COMMANDS, __doc__, arguments)


if __name__ == "__main__":
    run()
