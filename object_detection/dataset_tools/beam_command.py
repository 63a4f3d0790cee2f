"""The flags of a conversion that runs as an Apache Beam pipeline."""

from absl import app, flags

from object_detection.errors import AnnotationError, missing_extra

FLAGS = flags.FLAGS


def define_flags():
    """`--runner` and what belongs to it."""
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


def writer_by_flags(arguments):
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
