r"""Writes Pascal VOC's annotations as TFRecords.

    python dataset_tools/create_pascal_tf_record.py --include_masks \
        --data_dir=VOCdevkit --year=VOC2012 --set=train --output_path=records/pascal_train.record

The folders of a year may also lie in `data_dir` itself. `--include_masks` takes the instances of
SegmentationObject, and the images of ImageSets/Segmentation.
"""

from pathlib import Path

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import voc

FLAGS = flags.FLAGS


def define_flags():
    """TFOD's flags and those of every command."""
    flags.DEFINE_string("data_dir", "", "Folder with the years' folders, or with one set.")
    flags.DEFINE_string("set", "train", "List of images: train, val, trainval, test or another.")
    flags.DEFINE_string("annotations_dir", "Annotations", "Folder of the xmls, within the year's.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: found by its name.")
    flags.DEFINE_string("year", "VOC2007", "VOC2007, VOC2012, another folder's name, or merged.")
    flags.DEFINE_string("output_path", "", "The one record file to write.")
    flags.DEFINE_bool("ignore_difficult_instances", False, "Leave out difficult objects.")
    conversion_command.define_tfod_label_map("data/pascal_label_map.pbtxt")
    conversion_command.define_common_flags()


def splits():
    """The records to write, by the flags."""
    output = Path(conversion_command.required_flag("output_path"))
    conversion_command.resolve_tfod_label_map()
    annotations = voc.read(
        conversion_command.required_flag("data_dir"),
        year=FLAGS.year,
        image_set=FLAGS.set if FLAGS["set"].present else "",
        annotations_dir=FLAGS.annotations_dir,
        image_dir=FLAGS.image_dir,
        ignore_difficult=FLAGS.ignore_difficult_instances,
        with_masks=FLAGS.include_masks,
    )
    return [conversion_command.Split(FLAGS.set, output, annotations, num_shards=0)]


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
