"""The common part of all commands that write records: shared flags, conversion, report, exit."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from absl import app, flags

from object_detection.cli import runner
from object_detection.datasets import conversion, examples, files, image_file, label_ids
from object_detection.datasets.annotations import IGNORE_CLASS, AnnotationSet, Finding
from object_detection.datasets.examples import Settings
from object_detection.datasets.records import ShardedRecords
from object_detection.datasets.report import DERIVED, NOTED
from object_detection.errors import AnnotationError, missing_extra

FLAGS = flags.FLAGS


class Split(NamedTuple):
    """One set of records to write.

    `base` is the path of the records without the shard's suffix. `num_shards` holds where no flag
    says otherwise; 0 writes one file of that very name.
    """

    name: str  # what the progress bar and the report call it
    base: Path
    annotations: AnnotationSet
    num_shards: int = 1


class Options(NamedTuple):
    """What the flags of all commands say; see there."""

    include_masks: bool = False
    mask_storage: str = "png"
    label_map_path: str = ""
    num_shards: int | None = None
    shard_size_mb: float | None = None
    val_fraction: float = 0.0
    split_seed: int = 0
    num_workers: int = 1
    resume: bool = False
    bit_depth: int = 16
    write_shards: Callable | None = None  # a `BeamWriter`, for --runner


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
        flags.DEFINE_bool("include_masks", include_masks, "Write instance masks too.")
        flags.DEFINE_enum(
            "mask_storage",
            "png",
            examples.STORAGES,
            "png: for each object a PNG of the whole image, TFOD's form. box: a PNG cropped to the "
            "object, under keys of our own; smaller and faster to read. numerical: TFOD's floats.",
        )
    if "label_map_path" not in FLAGS:
        flags.DEFINE_string(
            "label_map_path",
            "",
            "Label map whose numbers hold; it is written there if absent. "
            "Unset: label_map.pbtxt next to the records, numbered as the annotations are.",
        )
    flags.DEFINE_integer("num_shards", None, "Files a split; 0: one, without the suffix.", 0)
    flags.DEFINE_float(
        "shard_size_mb",
        None,
        "Instead of num_shards: approximate size of a file, in megabytes.",
        0.0,
    )
    flags.DEFINE_float(
        "val_fraction",
        0.0,
        "Share of the images for NAME_val; the others are NAME_train.",
        0.0,
        1.0,
    )
    flags.DEFINE_integer("split_seed", 0, "The same seed takes the same images for NAME_val.")
    flags.DEFINE_integer("num_workers", 1, "Processes that prepare the records.", 1)
    flags.DEFINE_bool(
        "allow_outside_images",
        False,
        "Follow file names that lead out of the image folder ('../a.jpg', '/data/a.jpg').",
    )
    flags.DEFINE_enum(
        "bit_depth",
        "16",
        list(map(str, image_file.BIT_DEPTHS)),
        "Bits that the values of 16-bit gray images have; cameras store 10, 12 or 14 in 16.",
    )
    flags.DEFINE_string(
        "encoding", "", "Encoding of annotation files that are not UTF-8, such as cp1252."
    )
    flags.DEFINE_bool("resume", False, "Resume an interrupted run of the same command.")
    _define_beam_flags()
    flags.DEFINE_bool("strict", False, "End with an error if the data has anything to correct.")


def define_tfod_label_map(default):
    """Define `--label_map_path` with the default of TFOD's script."""
    flags.DEFINE_string(
        "label_map_path",
        default,
        "Label map whose numbers hold; it is written there if absent. Unset, and without a file at "
        "TFOD's place: label_map.pbtxt next to the records, with TFOD's numbers.",
    )


def resolve_tfod_label_map():
    """Forgets the default where TFOD's file is not there: its folder is that of TFOD's sources."""
    flag = FLAGS["label_map_path"]
    if flag.using_default_value and not Path(flag.value).is_file():
        flag.value = ""


def _define_beam_flags():
    """Define `--runner` and the flags that belong to it."""
    flags.DEFINE_string(
        "runner",
        "",
        "Convert as an Apache Beam pipeline, on DirectRunner, FlinkRunner, SparkRunner, "
        "DataflowRunner, ... The runner's options come at the end, after --. Needs the extra "
        "`beam`.",
    )
    flags.DEFINE_multi_string(
        "worker_paths",
        [],
        "With --runner: FOLDER_HERE=ITS_NAME_THERE, where workers know a folder by another name, "
        "such as /mnt/data=gs://bucket/data. May be given more than once.",
    )


def _beam_writer(arguments):
    """What writes the shards in place of this machine's processes.

    Args:
        arguments: those of the command that are no flags: the options of the runner.

    Returns:
        A `BeamWriter`; None without `--runner`.

    Raises:
        MissingExtraError: Beam is not installed.
        AnnotationError: the flags do not fit each other.
        app.UsageError: arguments without `--runner`.
    """
    if not FLAGS.runner:
        if FLAGS.worker_paths:
            raise AnnotationError("--worker_paths belongs to --runner, which is not given")
        if arguments:
            raise app.UsageError(f"unknown arguments: {' '.join(arguments)}")
        return None
    try:
        from object_detection.datasets import beam_conversion
    except ModuleNotFoundError as error:
        raise missing_extra(f"--runner={FLAGS.runner} needs Apache Beam", "beam", error) from None
    beam_conversion.check_runner(FLAGS.runner)
    paths = beam_conversion.parse_worker_paths(FLAGS.worker_paths)
    return beam_conversion.BeamWriter(FLAGS.runner, tuple(arguments), paths)


def options_by_flags():
    """The `Options`.

    Raises:
        AnnotationError: two flags that exclude each other, or one without the other it needs.
    """
    if FLAGS.num_shards is not None and FLAGS.shard_size_mb:
        raise AnnotationError("--num_shards and --shard_size_mb say the same in two ways: give one")
    if FLAGS.val_fraction >= 1:
        raise AnnotationError("--val_fraction=1 would leave no image for training; give less")
    masks = {}
    if "include_masks" in FLAGS:
        masks = {name: FLAGS[name].value for name in ("include_masks", "mask_storage")}
        if FLAGS["mask_storage"].present and not FLAGS.include_masks:
            raise AnnotationError(
                "--mask_storage says how masks are written: it needs --include_masks"
            )
    names = ("label_map_path", "num_shards", "shard_size_mb", "val_fraction", "split_seed")
    names += ("num_workers", "resume")
    values = {name: FLAGS[name].value for name in names}
    return Options(**masks, **values, bit_depth=int(FLAGS.bit_depth))


def required_flag(name):
    """The value of a flag that the command cannot do without.

    Raises:
        AnnotationError: it is not set.
    """
    if not FLAGS[name].value:
        raise AnnotationError(f"--{name} is missing: {FLAGS[name].help}")
    return FLAGS[name].value


def record_base(name):
    """Path of the records by `--output_dir` and `--name`, `name` being the format's."""
    if not FLAGS.output_dir:
        raise AnnotationError("--output_dir is missing: the folder the records are to go to")
    return Path(FLAGS.output_dir) / f"{FLAGS.name or name}.record"


def named_splits(base, sets):
    """Splits of one command: `NAME_train.record` and so on; one without a name is `NAME.record`.

    Args:
        base: by `record_base`.
        sets: name of the split, or "" -> `AnnotationSet`.
    """
    return [
        Split(
            name or base.stem,
            base.with_name(f"{base.stem}_{name}.record") if name else base,
            annotations,
        )
        for name, annotations in sets.items()
    ]


def run(define_flags, splits):
    """Runs a command.

    Args:
        define_flags: defines its flags.
        splits: reads the annotations the flags name: a list of `Split`s; raises `AnnotationError`.
    """

    def main(argv):
        write_shards = _beam_writer(argv[1:])
        files.allow_outside_images(FLAGS.allow_outside_images)
        files.declare_encoding(FLAGS.encoding)
        to_write = splits()  # before the options: some commands' own flags decide over these
        options = options_by_flags()._replace(write_shards=write_shards)
        reports = convert(to_write, options)
        for report in reports:
            print(report.text())
        print(f"all names of each finding: {to_write[0].base.parent}/*.report.txt")
        failures = [f"error: {report.failure}" for report in reports if report.failure]
        if failures:
            sys.exit("\n".join(failures))
        faults = sum(report.faults() for report in reports)
        if FLAGS.strict and faults:
            sys.exit(f"error: --strict, and the reports above have {faults} findings to correct")

    runner.run(main, define_flags, only_own_errors=True)


def convert(splits, options):
    """Writes the splits, all with one label map; each gets its report next to its records.

    Args:
        splits: the `Split`s.
        options: the `Options`.

    Returns:
        A `Report` for each set of records: for two of each split where `val_fraction` is set.

    Raises:
        AnnotationError: a label map that does not fit, or inputs that changed before `resume`.
        NoMasksError: masks are to be written, and a split has none.
    """
    if not splits:
        raise AnnotationError("there is nothing to convert")
    if options.include_masks:  # of all splits, before one is written
        for split in splits:
            conversion.check_masks(split.annotations.images, split.name)
    label_map = Path(options.label_map_path or splits[0].base.parent / "label_map.pbtxt")
    labels = label_ids.resolve(
        label_map,
        label_ids.from_annotations([split.annotations for split in splits]),
        keep=bool(options.label_map_path),
    )
    ids = dict(labels.ids)
    if any(split.annotations.has_ignore_regions for split in splits):
        # Ignore regions have a number of their own, after those of the label map.
        ids.setdefault(IGNORE_CLASS, max(ids.values(), default=0) + 1)
    settings = Settings(ids, options.include_masks, options.mask_storage, options.bit_depth)
    reports = []
    for split in _divided(splits, options):
        images = split.annotations.images
        count = split.num_shards if options.num_shards is None else options.num_shards
        if options.shard_size_mb:
            count = conversion.num_shards_for(images, settings, options.shard_size_mb)
        report = conversion.convert(
            images,
            ShardedRecords(split.base, count),
            settings,
            title=split.name,
            num_workers=options.num_workers,
            resume=options.resume,
            write_shards=options.write_shards,
            findings=[*_about_labels(labels, label_map), *split.annotations.findings],
        )
        reports.append(report)
    return reports


def _divided(splits, options):
    """The splits with unique ids, each in two where a part of it is to be set aside."""
    for split in splits:
        split = split._replace(annotations=conversion.with_unique_ids(split.annotations))
        if not options.val_fraction:
            yield split
            continue
        parts = conversion.split_off(split.annotations, options.val_fraction, options.split_seed)
        for name, part in zip(("train", "val"), parts, strict=True):
            base = split.base.with_name(f"{split.base.stem}_{name}{split.base.suffix}")
            yield split._replace(name=f"{split.name}_{name}", base=base, annotations=part)


def _about_labels(labels, label_map):
    """Findings about the numbers of the classes; that they began at 0 is no fault."""
    for place, note in enumerate(labels.notes):
        yield Finding(DERIVED if place < labels.harmless else NOTED, note, label_map.name)
