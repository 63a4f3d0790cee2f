r"""Writes the Oxford-IIIT pets as TFRecords.

    python dataset_tools/create_pet_tf_record.py --data_dir=pets --output_dir=records
    python dataset_tools/create_pet_tf_record.py --data_dir=pets --output_dir=records \
        --faces_only=false

The first writes the boxes of faces, `pet_faces_train.record` and `pet_faces_val.record`; the second
whole bodies with masks, `pets_fullbody_with_masks_train.record` and so on.
"""

from pathlib import Path

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import pets
from object_detection.errors import AnnotationError

FLAGS = flags.FLAGS


def define_flags():
    """TFOD's flags and those of every command."""
    flags.DEFINE_string("data_dir", "", "Folder with the data set's images and annotations.")
    flags.DEFINE_string("output_dir", "", "Where the records, the label map and reports go.")
    flags.DEFINE_bool("faces_only", True, "Boxes of faces; else boxes and masks of whole bodies.")
    flags.DEFINE_enum("mask_type", "png", ["png", "numerical"], "How masks are written.")
    conversion_command.define_tfod_label_map("data/pet_label_map.pbtxt")
    conversion_command.define_common_flags()


def splits():
    """The records to write, by the flags."""
    output_dir = Path(conversion_command.required_flag("output_dir"))
    conversion_command.resolve_tfod_label_map()
    if FLAGS.faces_only and FLAGS.include_masks:
        raise AnnotationError("faces have no masks: --include_masks needs --faces_only=false")
    FLAGS.include_masks = not FLAGS.faces_only
    if FLAGS.include_masks and FLAGS.mask_type == "numerical":
        FLAGS.mask_storage = "numerical"
    title = "pet_faces" if FLAGS.faces_only else "pets_fullbody_with_masks"
    sets = pets.read(conversion_command.required_flag("data_dir"), faces_only=FLAGS.faces_only)
    return [
        conversion_command.Split(
            name, output_dir / f"{title}_{name}.record", annotations, num_shards=10
        )
        for name, annotations in zip(("train", "val"), sets, strict=True)
        if annotations.images
    ]


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
