"""The common part of all commands that write records: shared flags, conversion, report, exit."""

import sys
from pathlib import Path
from typing import NamedTuple

from absl import app, flags

from object_detection.annotations import label_ids
from object_detection.annotations.record import AnnotationError, AnnotationSet
from object_detection.dataset_tools import door

FLAGS = flags.FLAGS


class Split(NamedTuple):
    """One set of records to write.

    `base` is the path of the records without the shard's suffix. `num_shards` holds where no flag
    says otherwise; 0 writes one file of that very name.
    """

    name: str  # what the progress bar and the report call it
    base: Path
    found: AnnotationSet
    num_shards: int = 1


def define_common_flags(*, output=False, include_masks=False):
    """The flags that every command has.

    Args:
        output: also `--output_dir` and `--name`, for commands that TFOD does not have.
        include_masks: the default of `--include_masks`; None: the command has no such flag.
    """
    if output:
        flags.DEFINE_string("output_dir", "", "Where the records, the label map and reports go.")
        flags.DEFINE_string("name", "", "First part of the records' names. Unset: the format's.")
    if include_masks is not None:
        flags.DEFINE_bool("include_masks", include_masks, "Write instance masks (as PNG) too.")
    if "label_map_path" not in FLAGS:
        flags.DEFINE_string(
            "label_map_path",
            "",
            "Label map whose numbers hold; it is written there if absent. "
            "Unset: label_map.pbtxt beside the records, numbered as the annotations are.",
        )
    flags.DEFINE_integer("num_workers", 1, "Processes that prepare the records.", 1)


def given(name):
    """The value of a flag that the command cannot do without.

    Raises:
        AnnotationError: it is not set.
    """
    if not FLAGS[name].value:
        raise AnnotationError(f"--{name} is missing: {FLAGS[name].help}")
    return FLAGS[name].value


def base_by_flags(name):
    """Path of the records by `--output_dir` and `--name`, `name` being the format's."""
    if not FLAGS.output_dir:
        raise AnnotationError("--output_dir is missing: the folder the records are to go to")
    return Path(FLAGS.output_dir) / f"{FLAGS.name or name}.record"


def named_splits(base, sets):
    """Splits of one command: `NAME_train.record` and so on; one without a name is `NAME.record`.

    Args:
        base: by `base_by_flags`.
        sets: name of the split, or "" -> `AnnotationSet`.
    """
    return [
        Split(
            name or base.stem, base.with_name(f"{base.stem}_{name}.record") if name else base, found
        )
        for name, found in sets.items()
    ]


def run(define_flags, splits):
    """Runs a command.

    Args:
        define_flags: defines its flags.
        splits: reads the annotations the flags name: a list of `Split`s; raises `AnnotationError`.
    """

    def main(argv):
        if len(argv) > 1:
            raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
        try:
            reports = convert(splits())
        except AnnotationError as error:
            sys.exit(f"error: {error}")
        for report in reports:
            print(report.text())
        if not all(report.written["images"] for report in reports):
            sys.exit("error: a split has no image that could be written")

    door.run(define_flags, main)


def convert(splits):
    """Writes the splits by the flags; returns a `Report` for each."""
    # Here and not above: worker processes import this module, and have no use for TensorFlow.
    from object_detection.annotations.conversion import convert as convert_images
    from object_detection.annotations.example_features import Settings
    from object_detection.annotations.record_writer import ShardedWriter

    label_map = Path(FLAGS.label_map_path or splits[0].base.parent / "label_map.pbtxt")
    sets = [split.found for split in splits]
    labels = label_ids.settle(
        label_map, label_ids.from_annotations(sets), given=bool(FLAGS.label_map_path)
    )
    settings = Settings(labels.ids, FLAGS.include_masks)
    reports = []
    for split in splits:
        writer = ShardedWriter(split.base, split.num_shards)
        report = convert_images(
            split.found.images, writer, settings, title=split.name, num_workers=FLAGS.num_workers
        )
        report.add(split.found.findings)
        report.save(split.base.with_name(f"{split.base.name}.report.json"))
        reports.append(report)
    return reports
