r"""Writes a Supervisely project as TFRecords.

    python dataset_tools/create_supervisely_tf_record.py --include_masks \
        --data_dir=project --train_tag=train --val_tag=val --output_dir=records

The splits are the images with these tags, or whole data sets (`--train_datasets=a,b`); with
neither, all images are one set of records.
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import supervisely

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("data_dir", "", "The project: the folder of meta.json.")
    flags.DEFINE_list("train_tag", [], "Tags of the images to train on, by commas.")
    flags.DEFINE_list("val_tag", [], "Tags of the images to evaluate on, by commas.")
    flags.DEFINE_list("train_datasets", [], "Data sets to train on, by commas.")
    flags.DEFINE_list("val_datasets", [], "Data sets to evaluate on, by commas.")
    flags.DEFINE_string(
        "group_tag",
        "",
        "Objects of a class with this tag of one value are one, as with '@label-group-id'.",
    )
    conversion_command.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("supervisely")
    sets = supervisely.read(
        conversion_command.required_flag("data_dir"),
        train_tags=FLAGS.train_tag,
        val_tags=FLAGS.val_tag,
        train_datasets=FLAGS.train_datasets,
        val_datasets=FLAGS.val_datasets,
        group_tag=FLAGS.group_tag or None,
    )
    return conversion_command.named_splits(base, sets)


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
