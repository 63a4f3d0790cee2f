r"""Writes KITTI's object detection set as TFRecords.

    python dataset_tools/create_kitti_tf_record.py \
        --data_dir=kitti --output_path=records/kitti

The records are `records/kitti_train.tfrecord` and `records/kitti_val.tfrecord`.
"""

from pathlib import Path

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import kitti
from object_detection.errors import AnnotationError

FLAGS = flags.FLAGS


def define_flags():
    """TFOD's flags and those of every command."""
    flags.DEFINE_string(
        "data_dir",
        "",
        "Folder with training/label_2, and with data_object_image_2/training/image_2 or "
        "training/image_2.",
    )
    flags.DEFINE_string("output_path", "", "Path of the records without _train.tfrecord.")
    flags.DEFINE_string(
        "classes_to_use",
        ",".join(kitti.CLASSES_TO_USE),
        "Classes to write, separated by commas. With dontcare among them, objects that overlap a "
        "don't-care region are left out.",
    )
    flags.DEFINE_integer(
        "validation_set_size", 500, "Images numbered below it are the validation set.", 0
    )
    conversion_command.define_tfod_label_map("data/kitti_label_map.pbtxt")
    conversion_command.define_common_flags(include_masks=None)


def splits():
    """The records to write, by the flags."""
    output = conversion_command.required_flag("output_path")
    conversion_command.resolve_tfod_label_map()
    train, val = kitti.read(
        conversion_command.required_flag("data_dir"),
        classes_to_use=FLAGS.classes_to_use.split(","),
        validation_set_size=FLAGS.validation_set_size,
    )
    if not train.images:
        raise AnnotationError(
            f"none of the {len(val.images)} images is left to train on: all are numbered below "
            f"--validation_set_size={FLAGS.validation_set_size}"
        )
    return [
        conversion_command.Split(name, Path(f"{output}_{name}.tfrecord"), annotations, num_shards=0)
        for name, annotations in (("train", train), ("val", val))
        if annotations.images
    ]


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
