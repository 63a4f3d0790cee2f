r"""Writes Open Images as TFRecords.

    python dataset_tools/create_oid_tf_record.py \
        --input_box_annotations_csv=train-annotations-bbox.csv \
        --input_images_directory=train --input_label_map=oid_v4_label_map.pbtxt \
        --output_tf_record_path_prefix=records/train.tfrecord

Every image of the folder is written, those without boxes too. With masks (V5 and later):

        --include_masks --input_mask_annotations_csv=train-annotations-object-segmentation.csv \
        --input_masks_directory=masks
"""

from pathlib import Path

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets import label_ids
from object_detection.datasets.formats import open_images
from object_detection.errors import AnnotationError

FLAGS = flags.FLAGS


def define_flags():
    """TFOD's flags, those for masks, and those of every command."""
    flags.DEFINE_string("input_box_annotations_csv", "", "The table of boxes.")
    flags.DEFINE_string("input_images_directory", "", "Folder of the images, named by their ids.")
    flags.DEFINE_string("input_image_label_annotations_csv", "", "The table of image-level labels.")
    flags.DEFINE_string(
        "input_label_map",
        "",
        "Label map with the MIDs (/m/01g317) as names; other classes are left out. Unset: every "
        "class, numbered as --input_class_descriptions_csv has them, else sorted.",
    )
    flags.DEFINE_string(
        "output_tf_record_path_prefix", "", "Path of the records without the shard's suffix."
    )
    flags.DEFINE_string("input_class_descriptions_csv", "", "The table of MIDs and their words.")
    flags.DEFINE_string("input_mask_annotations_csv", "", "The table of masks.")
    flags.DEFINE_string("input_masks_directory", "", "Folder of the masks' PNGs.")
    conversion_command.define_common_flags()


def splits():
    """The records to write, by the flags."""
    base = Path(conversion_command.required_flag("output_tf_record_path_prefix"))
    FLAGS.label_map_path = FLAGS.label_map_path or FLAGS.input_label_map
    label_map, names = FLAGS.label_map_path, None
    if label_map and Path(label_map).is_file():
        names = list(label_ids.read(label_map).item_fields)
    if FLAGS.include_masks and not FLAGS.input_mask_annotations_csv:
        raise AnnotationError("--include_masks needs --input_mask_annotations_csv")
    source = open_images.Source(
        image_dir=conversion_command.required_flag("input_images_directory"),
        boxes=FLAGS.input_box_annotations_csv,
        masks=FLAGS.input_mask_annotations_csv,
        mask_dir=FLAGS.input_masks_directory,
        image_labels=FLAGS.input_image_label_annotations_csv,
        descriptions=FLAGS.input_class_descriptions_csv,
    )
    annotations = open_images.read(source, class_names=names, masks_only=FLAGS.include_masks)
    return [conversion_command.Split(base.name, base, annotations, num_shards=100)]


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
