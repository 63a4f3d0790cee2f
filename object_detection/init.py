"""A config, label map and commands for your data set: `python -m object_detection.init --help`.

--data=photos/annotations.json --output_dir=project        COCO; also any other format, or a folder
--data=labeled --extractor=resnet50_fpn --output_dir=project
--data=records --output_dir=project                        records that exist already

Writes pipeline.config, label_map.pbtxt and commands.sh, and runs nothing.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import flags  # noqa: E402

from object_detection import atomic  # noqa: E402
from object_detection.cli import runner  # noqa: E402

FLAGS = flags.FLAGS
LABEL_MAP, SCRIPT = "label_map.pbtxt", "commands.sh"


def define_flags():
    """The flags of this command."""
    flags.DEFINE_string("data", None, "The data set: a file or folder of annotations, or records.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: looked for.")
    flags.DEFINE_string(
        "val_data", None, "Annotations or records to evaluate on (COCO, LVIS, CSV)."
    )
    flags.DEFINE_string("val_image_dir", "", "Folder of their images. Unset: --image_dir.")
    flags.DEFINE_string("annotations_dir", "", "VOC: folder of the xmls. Unset: found.")
    flags.DEFINE_string("mask_dir", "", "Mask images: their folder. Unset: found.")
    flags.DEFINE_string("class_name", "", "VIA, mask files: class of the objects that have none.")
    flags.DEFINE_string("names_file", "", "YOLO: names of the classes, one a line. Unset: found.")
    flags.DEFINE_string("encoding", "", "Of annotation files that are not UTF-8, such as cp1252.")
    flags.DEFINE_boolean(
        "allow_outside_images", False, "Follow file names that lead out of the image folder."
    )
    flags.DEFINE_string("format", None, "The format of --data. Unset: told by what is in it.")
    flags.DEFINE_string("output_dir", None, "Where the config, the label map and the commands go.")
    flags.DEFINE_string(
        "extractor", "resnet18_fpn", "The network: resnet18_fpn, resnet50_fpn, resnet50 and so on."
    )
    flags.DEFINE_integer(
        "min_dimension",
        None,
        "Pixels of images' shorter side for the model. Unset: by the data.",
        32,
    )
    flags.DEFINE_integer("batch_size", None, "Images a step. Unset: 2 for resnet18_fpn, else 1.", 1)
    flags.DEFINE_integer(
        "num_steps", None, "Number of training steps. Default: chosen from the number of images.", 1
    )
    flags.DEFINE_boolean("masks", None, "Learn masks. Unset: if half of the objects have one.")
    flags.DEFINE_float(
        "val_fraction", 0.2, "Share of the images to evaluate on, where none are set aside.", 0, 1
    )
    flags.DEFINE_string("fine_tune_checkpoint", "", "Weights to start from: docs/checkpoints.md.")
    flags.DEFINE_enum(
        "fine_tune_checkpoint_type",
        "detection",
        ["detection", "full", "classification", "fine_tune"],
        "What of them is taken.",
    )
    flags.DEFINE_string("label_map_path", "", "Label map of records. Unset: the one next to them.")
    flags.DEFINE_boolean("overwrite", False, "Replace a config that is there.")
    flags.mark_flags_as_required(["data", "output_dir"])


def main(arguments):
    """Writes the files; returns the exit code."""
    runner.refuse_arguments(arguments)
    from object_detection.training import commands

    print(write(start=commands.start_tensorflow))
    return 0


def write(start: Callable[[], None] = lambda: None) -> str:
    """Write the files by the flags.

    Args:
        start: starts TensorFlow; called after flags, paths and annotations were found in order.

    Returns:
        What was found and written, as text.

    Raises:
        ValueError: data that cannot be read, a flag's value that cannot be used, or a config that
            is there. Flags in the message are this command's.
    """
    from object_detection.datasets import files
    from object_detection.errors import AnnotationError
    from object_detection.scaffold import formats

    name = None
    try:
        _check_flags()
        runner.before_slow_start()
        files.allow_outside_images(FLAGS.allow_outside_images)
        files.declare_encoding(FLAGS.encoding)
        name = FLAGS.format or formats.detect(FLAGS.data)
        return _write(name, start)
    except AnnotationError as error:
        raise AnnotationError(in_flags_of_init(str(error), name)) from None


# Flags that converters and others name in their advice -> this command's.
RENAMED = {
    **dict.fromkeys(("data_dir", "annotations_file", "csv", "records", "train_csv"), "data"),
    **dict.fromkeys(("train_annotations_file",), "data"),
    **dict.fromkeys(("val_annotations_file", "val_csv"), "val_data"),
    **dict.fromkeys(("train_image_dir",), "image_dir"),
    "include_masks": "masks",
}


def in_flags_of_init(text: str, format_name: str | None) -> str:
    """Return a message whose flags are this command's; of others the command they are of is named.

    Args:
        text: the message of a converter or another command.
        format_name: of the data, None where it is not known.
    """
    converter = {"voc": "pascal", "pets": "pet"}.get(format_name, format_name)
    of = f"of create_{converter}_tf_record" if converter else "of the format's converter"

    def translated(match):
        flag = RENAMED.get(match[1], match[1])
        return f"--{flag}" if flag in FLAGS else f"--{flag} {of}"

    return re.sub(r"(?<![\w-])--([a-z_]+)\b", translated, text)


def _check_flags():
    """Raise `ValueError` for what can be seen to be wrong before any data is read."""
    from object_detection.config import pipeline_file
    from object_detection.scaffold import fitting, formats

    folder = Path(FLAGS.output_dir).absolute()
    for name in (pipeline_file.NAME, LABEL_MAP, SCRIPT):
        if (folder / name).exists() and not FLAGS.overwrite:
            raise ValueError(
                f"{folder / name} is there already: choose another --output_dir, or pass "
                "--overwrite to replace the config, the label map and the commands"
            )
    if not 0 < FLAGS.val_fraction < 1:
        raise ValueError(f"--val_fraction must lie between 0 and 1, got {FLAGS.val_fraction}")
    if FLAGS.format not in (None, *formats.FORMATS):
        raise ValueError(f"--format is {FLAGS.format!r}; there are {', '.join(formats.FORMATS)}")
    fitting.extractor_of(FLAGS.extractor)


def _write(name, start):
    """Writes the files for data of a format; what was found and written, as text."""
    from object_detection.scaffold import commands, fitting, formats

    folder = Path(FLAGS.output_dir).absolute()
    values = {name: FLAGS[name].value for name in fitting.ConfigOptions._fields}
    values["extractor"] = fitting.extractor_of(FLAGS.extractor)
    if values["fine_tune_checkpoint"]:  # which holds wherever the training is started
        values["fine_tune_checkpoint"] = os.path.abspath(values["fine_tune_checkpoint"])
    wishes = fitting.ConfigOptions(**values)
    facts, written = (_of_records if name == formats.RECORDS else _of_annotations)(
        name, folder, wishes, start
    )
    paths = fitting.Paths(str(folder / LABEL_MAP), written.train, written.val)
    config = fitting.config_for(facts, wishes, paths)
    notes = _save(folder, config, facts, exists=not written.steps)
    masks = fitting.has_masks(facts, wishes)
    text = commands.script(
        folder, written.steps, masks=masks, num_steps=config.train_config.num_steps
    )
    atomic.write_text(folder / SCRIPT, text)
    notes += facts.labels.notes[facts.labels.shifted :]  # that ids are from 0 is no fault
    notes += _about_length(facts, config.train_config)
    if written.train == written.val:
        notes.append(
            "No records to evaluate on were found: the config evaluates on those it trains on, "
            "which says nothing about new images. Give others with --val_data."
        )
    return _summary(name, folder, facts, config, masks, notes)


def _options():
    """The `data_set.Options` of the flags."""
    from object_detection.scaffold import data_set

    names = ("image_dir", "val_image_dir", "annotations_dir", "mask_dir", "class_name")
    values = {name: FLAGS[name].value for name in (*names, "names_file")}
    return data_set.Options(val=FLAGS.val_data, **values)


def _of_records(name, folder, wishes, start):
    """(`DatasetStatistics`, `commands.Written`) of records."""
    from object_detection.scaffold import commands, data_set

    options = _options()._replace(val=None)  # which may be records
    data_set.check_options(options, name, FLAGS.data)
    start()
    from object_detection.scaffold import record_set

    records = record_set.find(FLAGS.data, FLAGS.val_data)
    facts = record_set.facts_of(records, FLAGS.label_map_path)
    return facts, commands.Written(records.train, records.val, ())


def _of_annotations(name, folder, wishes, start):
    """(`DatasetStatistics`, `commands.Written`) of annotations."""
    from object_detection.scaffold import commands, data_set, fitting

    dataset = data_set.read(FLAGS.data, options=_options(), format_name=name)
    facts = data_set.facts_of(dataset)
    start()
    reading = [f"--encoding={FLAGS.encoding}"] if FLAGS.encoding else []
    reading += ["--allow_outside_images"] if FLAGS.allow_outside_images else []
    dataset = dataset._replace(
        conversions=tuple(
            each._replace(flags=(*each.flags, *reading)) for each in dataset.conversions
        )
    )
    written = commands.conversion(
        dataset, folder, masks=fitting.has_masks(facts, wishes), val_fraction=FLAGS.val_fraction
    )
    return facts, written


def _about_length(facts, train_config):
    """Yields a note where a training from random weights would be too short to learn much."""
    from object_detection.training import run_length

    cures = (
        "start from pretrained weights (--fine_tune_checkpoint, see docs/checkpoints.md)",
        "train for more steps (--num_steps)",
    )
    steps, batch = train_config.num_steps, train_config.batch_size
    warning = run_length.short_run_warning(steps, batch, facts.num_images, cures)
    if warning and not train_config.fine_tune_checkpoint:
        yield f"{warning}."


def _save(folder, config, facts, *, exists):
    """Writes the label map and the config, and checks them as a training would.

    Args:
        exists: whether the records are there, and can be looked into.

    Returns:
        The check's warnings.

    Raises:
        ConfigError: what a training would refuse.
    """
    from object_detection.config import label_map_checks, pipeline_file, preflight
    from object_detection.datasets import label_ids
    from object_detection.errors import ConfigError
    from object_detection.modeling.backbones import BACKBONES

    folder.mkdir(parents=True, exist_ok=True)
    label_ids.write(folder / LABEL_MAP, facts.labels)
    reads = ("train_input_reader", "eval_input_reader") if exists else ()
    checked = preflight.check(config, purpose="train", supported_extractors=BACKBONES, reads=reads)
    checked = checked.merge(
        label_map_checks.check(str(folder / LABEL_MAP), config.model.faster_rcnn.num_classes)
    )
    if checked.faults:
        raise ConfigError("\n".join(map(str, checked.faults)))
    pipeline_file.save(config, folder, replace=True)
    return list(map(str, checked.warnings))


def _summary(name, folder, facts, config, masks, notes):
    """What was found and written, as text."""
    rcnn = config.model.faster_rcnn
    names = [name for name, _ in sorted(facts.labels.ids.items(), key=lambda item: item[1])]
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    resizer = getattr(rcnn.image_resizer, rcnn.image_resizer.WhichOneof("image_resizer_oneof"))
    sizes = ", ".join(f"{field.name} {value}" for field, value in resizer.ListFields())
    lines = [
        f"{name}: {facts.num_images} images to train on, {len(names)} class(es): {shown}; "
        f"{100 * facts.masks:.0f}% of the objects with masks",
        f"{rcnn.feature_extractor.type}, {'masks' if masks else 'boxes only'}; {sizes}; "
        f"{config.train_config.num_steps} steps of {config.train_config.batch_size} images",
        *(f"note: {note}" for note in notes),
        f"written to {folder}: pipeline.config, {LABEL_MAP}, {SCRIPT}",
        f"next: read {folder / SCRIPT} and run its commands one by one",
    ]
    return "\n".join(lines)


def run():
    """The command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
