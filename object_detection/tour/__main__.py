"""Looks into a Mask R-CNN at work: `python -m object_detection.tour --help`.

--output=tour_run                                  the tour's own photograph and network
--image=photo.jpg --annotations_file=coco.json     another photograph, learned by heart first
--image=photo.jpg --model_dir=run                  another, by a network that is trained already

Writes how_it_works.md, a page that follows the photograph from the backbone to the losses, and
beside it its pictures and numbers.json. Training the tour's own network takes some minutes.
"""

import tempfile
from pathlib import Path

from absl import flags

from object_detection.cli import runner

FLAGS = flags.FLAGS


def define_flags():
    """The flags of this command."""
    flags.DEFINE_string("output", "tour_run", "Where the page and its pictures go.")
    flags.DEFINE_string(
        "work_dir", "", "Where the small network's data and training go. Unset: --output."
    )
    flags.DEFINE_string("image", "", "A photograph. Unset: scikit-image's coffee.png.")
    flags.DEFINE_string(
        "annotations_file", "", "COCO json with the objects of --image. Unset: no losses."
    )
    flags.DEFINE_string(
        "model_dir",
        "",
        "Weights to look into: a model_dir, a checkpoint or an export. Unset: a small network is "
        "trained on the photograph alone.",
    )
    flags.DEFINE_string(
        "pipeline_config_path",
        "",
        "Config of --model_dir, if not beside it; without --model_dir of what is trained.",
    )
    flags.DEFINE_string("label_map_path", "", "Label map of --model_dir. Unset: the config's.")
    flags.DEFINE_integer("num_train_steps", None, "Of the training on the photograph.", 1)


def main(arguments):
    """Goes round as the flags say; returns the exit code."""
    runner.refuse_arguments(arguments)
    from object_detection.training import commands

    chosen = _chosen()
    commands.start_tensorflow()
    tour(chosen)
    return 0


def _chosen():
    """The `Photograph` of the flags.

    Raises:
        ValueError: there is none, or nothing is known of it that a network could learn.
    """
    from object_detection.tour import photograph

    chosen = photograph.choose(FLAGS.image, FLAGS.annotations_file)
    if chosen.annotations is None and not FLAGS.model_dir:
        raise ValueError(
            "--image without --annotations_file: there is nothing to learn from. Give one, or a "
            "network that is trained already with --model_dir"
        )
    return chosen


def tour(chosen):
    """Trains or loads, looks inside, and writes the page.

    Args:
        chosen: `Photograph`.
    """
    from object_detection.tour import inside, numbers, page, pictures

    output = Path(FLAGS.output)
    with tempfile.TemporaryDirectory() as folder:
        trained, batch, names = (_loaded if FLAGS.model_dir else _learned)(chosen, folder)
    seen = inside.look(trained.network, batch)
    folder = output / page.FOLDER
    paths = pictures.write(seen, names, folder)
    found = numbers.of(
        seen, names, trained.network, image=chosen.image.name, weights=trained.origin
    )
    page.write(output, found)
    print(f"{output / page.NAME}: {len(paths)} pictures and numbers.json in {folder}")


def _learned(chosen, _):
    """The small network, which learns the photograph: (`Trained`, `Batch`, names)."""
    from object_detection.tour import photograph, trained

    work = Path(FLAGS.work_dir or FLAGS.output)
    data = work / "data"
    record, label_map = photograph.record(chosen, data), data / "label_map.pbtxt"
    names = photograph.names_of(label_map)
    own = trained.on_the_photograph(
        record,
        label_map,
        max(names),
        work / "model",
        pipeline_config=FLAGS.pipeline_config_path,
        steps=FLAGS.num_train_steps,
    )
    return own, photograph.batch_of(own.config, record, label_map), names


def _loaded(chosen, folder):
    """The user's network: (`Trained`, `Batch`, names)."""
    from object_detection.tour import photograph, trained

    own = trained.of_the_user(FLAGS.model_dir, FLAGS.pipeline_config_path)
    label_map = FLAGS.label_map_path or own.config.train_input_reader.label_map_path
    if not Path(label_map or "?").is_file():
        if chosen.annotations is not None:
            raise ValueError(
                f"the label map {label_map!r} of {FLAGS.model_dir} is not there, which says what "
                "number each annotated class has: give it with --label_map_path"
            )
        label_map = ""
    count = own.network.num_classes
    record = photograph.record(chosen, folder, label_map, num_classes=count)
    label_map = label_map or record.with_name("label_map.pbtxt")
    names = photograph.names_of(label_map)
    return own, photograph.batch_of(own.config, record, label_map), names


def run():
    """The command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
