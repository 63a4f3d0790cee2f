r"""Writes images with one mask file (PNG) an object as TFRecords.

    python dataset_tools/create_instance_folders_tf_record.py \
        --data_dir=stage1_train --class_name=nucleus --output_dir=records
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import instance_folders

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string(
        "data_dir", "", "Folder with images and masks in it, or with many such folders."
    )
    flags.DEFINE_string(
        "mask_dir",
        "",
        "Folder of the masks; data_dir is then that of the images. Default: `masks` near `images`.",
    )
    flags.DEFINE_string("class_name", "object", "Class of the objects that no folder names.")
    conversion_command.define_common_flags(output=True, include_masks=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("instance_folders")
    annotations = instance_folders.read(
        conversion_command.required_flag("data_dir"),
        class_name=FLAGS.class_name,
        mask_dir=FLAGS.mask_dir or None,
    )
    return [conversion_command.Split("instance_folders", base, annotations)]


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
