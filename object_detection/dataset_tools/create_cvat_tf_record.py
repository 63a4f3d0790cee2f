r"""Writes CVAT's annotations ("CVAT for images" and "for video", 1.1) as TFRecords.

    python dataset_tools/create_cvat_tf_record.py --include_masks \
        --annotations_file=export/annotations.xml --output_dir=records

Where the images name subsets (Train, Validation, ...), each subset is written on its own.
"""

from absl import flags

from object_detection.annotations import cvat
from object_detection.dataset_tools import conversion_door

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("annotations_file", "", "The XML, or a folder with several.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: that of the annotations.")
    conversion_door.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_door.base_by_flags("cvat")
    sets = cvat.read(conversion_door.given("annotations_file"), FLAGS.image_dir or None)
    return conversion_door.named_splits(base, sets)


def run():
    """The command."""
    conversion_door.run(define_flags, splits)


if __name__ == "__main__":
    run()
