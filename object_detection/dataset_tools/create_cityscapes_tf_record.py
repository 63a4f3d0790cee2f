r"""Writes Cityscapes as TFRecords, from its instance ids.

    python dataset_tools/create_cityscapes_tf_record.py --include_masks \
        --data_dir=cityscapes --output_dir=records

`cityscapes` holds the folders leftImg8bit and gtFine. Each split there is written on its own.
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import cityscapes
from object_detection.errors import AnnotationError

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("data_dir", "", "Folder that holds leftImg8bit and gtFine.")
    flags.DEFINE_enum(
        "annotation_kind", cityscapes.KINDS[0], cityscapes.KINDS, "Which of its annotations."
    )
    flags.DEFINE_string(
        "classes",
        ",".join(cityscapes.EVALUATED),
        "Classes to write, numbered in this order; ID:NAME for one that Cityscapes does not have.",
    )
    flags.DEFINE_list("splits", [], "Splits to write, such as train,val. Unset: all that exist.")
    conversion_command.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("cityscapes")
    sets = cityscapes.read(
        conversion_command.required_flag("data_dir"),
        kind=FLAGS.annotation_kind,
        classes=cityscapes.class_ids(FLAGS.classes),
    )
    absent = [name for name in FLAGS.splits if name not in sets]
    if absent:
        raise AnnotationError(
            f"--splits: {FLAGS.data_dir} has no {', '.join(absent)}; it has "
            f"{', '.join(filter(None, sets)) or 'no folder of a split'}"
        )
    return conversion_command.named_splits(
        base, {name: sets[name] for name in FLAGS.splits or sets}
    )


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
