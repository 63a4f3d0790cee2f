"""Shows how Mask R-CNN works on a photograph: `python -m object_detection.tour --help`.

--output=tour_run                                  the tour's own photograph and network
--image=photo.jpg --annotations_file=coco.json     another photograph; trains a network on it
--image=photo.jpg --model_dir=run                  another photograph and a trained network

Writes how_it_works.md, a page that follows the photograph from the backbone to the losses, its
pictures and numbers.json. Training the tour's own network takes some minutes.
"""

import tempfile
from pathlib import Path

from absl import flags

from object_detection.cli import runner
from object_detection.errors import AnnotationError, LabelMapError

FLAGS = flags.FLAGS


def define_flags():
    """Define the flags of this command."""
    flags.DEFINE_string("output", "tour_run", "Folder to write the page and its pictures to.")
    flags.DEFINE_string(
        "work_dir",
        "",
        "Folder for the data and the training of the small network. Default: --output.",
    )
    flags.DEFINE_string("image", "", "Path of a photograph. Default: scikit-image's coffee.png.")
    flags.DEFINE_string(
        "annotations_file", "", "COCO json with the objects of --image. Default: no losses."
    )
    flags.DEFINE_string(
        "model_dir",
        "",
        "Weights to show: a model_dir, a checkpoint or an export. Default: a small network, "
        "trained only on the photograph.",
    )
    flags.DEFINE_string(
        "pipeline_config_path",
        "",
        "Config of --model_dir, if it is elsewhere; without --model_dir, the config to train.",
    )
    flags.DEFINE_string("label_map_path", "", "Label map of --model_dir. Default: the config's.")
    flags.DEFINE_integer(
        "num_train_steps",
        None,
        "Number of training steps on the photograph. Default: the config's.",
        1,
    )


def main(arguments):
    """Run the tour as the flags say; return the exit code."""
    runner.refuse_arguments(arguments)
    from object_detection.training import commands

    photograph = _find_photograph()
    commands.start_tensorflow()
    tour(photograph)
    return 0


def _find_photograph():
    """Return the `Photograph` of the flags.

    Raises:
        AnnotationError: there is none, or it has no annotations for a network to learn.
    """
    from object_detection.tour import inputs

    photograph = inputs.find_photograph(FLAGS.image, FLAGS.annotations_file)
    if photograph.annotations is None and not FLAGS.model_dir:
        raise AnnotationError(
            "--image without --annotations_file: there is nothing to train on. Set "
            "--annotations_file, or --model_dir to a trained network"
        )
    return photograph


def tour(photograph):
    """Train or load a network, inspect it, and write the page.

    Args:
        photograph: `Photograph`.
    """
    from object_detection.tour import inside, page, pictures

    output = Path(FLAGS.output)
    with tempfile.TemporaryDirectory() as folder:
        own, batch, names = (_load if FLAGS.model_dir else _train)(photograph, folder)
    seen = inside.inspect_image(own.network, batch)
    folder = output / page.FOLDER
    paths = pictures.write(seen, names, folder)
    numbers = inside.to_numbers(
        seen, names, own.network, image=photograph.image.name, weights=own.origin
    )
    page.write(output, numbers)
    print(f"{output / page.NAME}: {len(paths)} pictures and numbers.json in {folder}")


def _train(photograph, _):
    """Train the small network on the photograph; return (`LoadedNetwork`, `Batch`, names)."""
    from object_detection.tour import inputs

    work = Path(FLAGS.work_dir or FLAGS.output)
    data_dir = work / "data"
    record, label_map = inputs.write_record(photograph, data_dir), data_dir / "label_map.pbtxt"
    names = inputs.class_names(label_map)
    own = inputs.train_on_photograph(
        record,
        label_map,
        max(names),
        work / "model",
        pipeline_config=FLAGS.pipeline_config_path,
        steps=FLAGS.num_train_steps,
    )
    return own, inputs.load_batch(own.config, record, label_map), names


def _load(photograph, folder):
    """Load the user's network; return (`LoadedNetwork`, `Batch`, names)."""
    from object_detection.tour import inputs

    own = inputs.load_network(FLAGS.model_dir, FLAGS.pipeline_config_path)
    label_map = FLAGS.label_map_path or own.config.train_input_reader.label_map_path
    if not Path(label_map or "?").is_file():
        if photograph.annotations is not None:
            raise LabelMapError(
                f"the label map {label_map!r} of {FLAGS.model_dir} does not exist: set "
                "--label_map_path to the ids of the annotated classes"
            )
        label_map = ""
    count = own.network.num_classes
    record = inputs.write_record(photograph, folder, label_map, num_classes=count)
    label_map = label_map or record.with_name("label_map.pbtxt")
    names = inputs.class_names(label_map)
    return own, inputs.load_batch(own.config, record, label_map), names


def run():
    """Run the command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
