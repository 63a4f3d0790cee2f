r"""Writes VOC xmls with one color-mask image a photograph as TFRecords.

    python dataset_tools/create_voc_masks_tf_record.py \
        --data_dir=dataset --output_dir=records

`dataset` holds a folder of images, one of xmls and one of mask images, all of the same names. Where
it holds more, `--image_dir`, `--annotations_dir` and `--mask_dir` say which.
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import voc_masks

FLAGS = flags.FLAGS


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("data_dir", "", "Folder that holds the folders below.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: found by its content.")
    flags.DEFINE_string("annotations_dir", "", "Folder of the xmls. Unset: found by its content.")
    flags.DEFINE_string("mask_dir", "", "Folder of the mask images. Unset: the one named so.")
    conversion_command.define_common_flags(output=True, include_masks=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("voc_masks")
    annotations = voc_masks.read(
        conversion_command.required_flag("data_dir"),
        image_dir=FLAGS.image_dir,
        annotations_dir=FLAGS.annotations_dir,
        mask_dir=FLAGS.mask_dir,
        with_masks=FLAGS.include_masks,
    )
    return [conversion_command.Split("voc_masks", base, annotations)]


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
