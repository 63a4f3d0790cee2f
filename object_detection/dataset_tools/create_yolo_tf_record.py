r"""Writes YOLO's annotations (boxes or polygons in text files) as TFRecords.

    python dataset_tools/create_yolo_tf_record.py --include_masks \
        --data_dir=set/data.yaml --output_dir=records

Each split of the set (train, val, test) is written on its own.
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import yolo

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string(
        "data_dir", "", "data.yaml, obj.data, or the folder of the data set with its images."
    )
    flags.DEFINE_string(
        "names_file", "", "Names of the classes, one a line. Unset: as the data set has them."
    )
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: as the data set says.")
    conversion_command.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("yolo")
    sets = yolo.read(
        conversion_command.required_flag("data_dir"),
        FLAGS.names_file or None,
        image_dir=FLAGS.image_dir,
    )
    return conversion_command.named_splits(base, sets)


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
