r"""Writes CVAT's annotations ("CVAT for images" and "for video", 1.1) as TFRecords.

    python dataset_tools/create_cvat_tf_record.py --include_masks \
        --annotations_file=export/annotations.xml --output_dir=records

Where the images name subsets (Train, Validation, ...), each subset is written on its own.
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import cvat

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("annotations_file", "", "The XML, or a folder with several.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: that of the annotations.")
    conversion_command.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("cvat")
    sets = cvat.read(conversion_command.required_flag("annotations_file"), FLAGS.image_dir or None)
    return conversion_command.named_splits(base, sets)


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
