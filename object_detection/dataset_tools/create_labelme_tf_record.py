r"""Writes labelme's annotations as TFRecords.

    python dataset_tools/create_labelme_tf_record.py --include_masks \
        --data_dir=photos --output_dir=records

`photos` holds labelme's JSON files, in any folders below it, and the images next to them.
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import labelme

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("data_dir", "", "Folder of the JSON files, or one of them.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: where the JSON files lie.")
    conversion_command.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("labelme")
    annotations = labelme.read(
        conversion_command.required_flag("data_dir"), FLAGS.image_dir or None
    )
    return [conversion_command.Split("labelme", base, annotations)]


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
