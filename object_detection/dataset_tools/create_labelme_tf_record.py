r"""Writes labelme's annotations as TFRecords.

    python dataset_tools/create_labelme_tf_record.py --include_masks \
        --data_dir=photos --output_dir=records

`photos` holds labelme's JSON files, in any folders below it, and the images beside them.
"""

from absl import flags

from object_detection.annotations import labelme
from object_detection.dataset_tools import conversion_door

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("data_dir", "", "Folder of the JSON files, or one of them.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: where the JSON files lie.")
    conversion_door.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_door.base_by_flags("labelme")
    found = labelme.read(conversion_door.given("data_dir"), FLAGS.image_dir or None)
    return [conversion_door.Split("labelme", base, found)]


def run():
    """The command."""
    conversion_door.run(define_flags, splits)


if __name__ == "__main__":
    run()
