r"""Writes annotations of VIA, the VGG Image Annotator, as TFRecords.

    python dataset_tools/create_via_tf_record.py --include_masks \
        --annotations_file=photos/via_region_data.json --output_dir=records
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import via

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("annotations_file", "", "JSON or CSV of annotations, or a project.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: that of the annotations.")
    flags.DEFINE_string(
        "class_attribute", "", "Region attribute that says the class. Unset: the likeliest."
    )
    flags.DEFINE_string("class_name", "", "Class of the regions whose attributes say none.")
    conversion_command.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("via")
    annotations = via.read(
        conversion_command.required_flag("annotations_file"),
        FLAGS.image_dir or None,
        class_attribute=FLAGS.class_attribute or None,
        class_name=FLAGS.class_name or None,
    )
    return [conversion_command.Split("via", base, annotations)]


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
