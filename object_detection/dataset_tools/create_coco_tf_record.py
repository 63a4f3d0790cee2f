r"""Writes COCO annotations as TFRecords.

    python dataset_tools/create_coco_tf_record.py --include_masks \
        --train_image_dir=train2017 --train_annotations_file=instances_train2017.json \
        --val_image_dir=val2017     --val_annotations_file=instances_val2017.json \
        --output_dir=records

Every split is optional. The label map and a report for each split are written next to the records.
"""

from pathlib import Path

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import coco
from object_detection.errors import AnnotationError

FLAGS = flags.FLAGS

# Name, flag of the image folder, flag of the annotations, records, shards: TFOD's, all five.
SPLITS = (
    ("train", "train_image_dir", "train_annotations_file", "coco_train.record", 100),
    ("val", "val_image_dir", "val_annotations_file", "coco_val.record", 50),
    ("testdev", "test_image_dir", "testdev_annotations_file", "coco_testdev.record", 50),
)
UNSUPPORTED = (
    "train_keypoint_annotations_file",
    "val_keypoint_annotations_file",
    "train_densepose_annotations_file",
    "val_densepose_annotations_file",
)


def persons_only(image, *, objects, images):
    """An image after TFOD's two flags that keep persons only.

    Args:
        image: an `AnnotatedImage`.
        objects: leave out the objects of other classes.
        images: leave out the image if it shows no person.
    """
    persons = tuple(each for each in image.objects if each.class_name == "person")
    if images and not persons:
        return None
    return image._replace(objects=persons) if objects else image


def define_flags():
    """TFOD's flags and those of every command."""
    for name, image_dir, annotations, _, shards in SPLITS:
        flags.DEFINE_string(image_dir, "", f"Folder of the {name} images.")
        flags.DEFINE_string(annotations, "", f"COCO json of the {name} split ({shards} shards).")
    for name in UNSUPPORTED:
        flags.DEFINE_string(name, "", "Not supported: keypoints and DensePose are not written.")
    flags.DEFINE_string("output_dir", "/tmp/", "Where the records go.")
    flags.DEFINE_bool("remove_non_person_annotations", False, "Keep objects of class person only.")
    flags.DEFINE_bool("remove_non_person_images", False, "Leave out images without a person.")
    conversion_command.define_common_flags()


def splits():
    """The splits whose two flags are set.

    Raises:
        AnnotationError: none is; one has images without annotations or the reverse; no such folder;
            an annotation file that cannot be used.
    """
    for name in UNSUPPORTED:
        if FLAGS[name].value:
            raise AnnotationError(f"--{name}: keypoints and DensePose are not supported")
    rows = [row for row in SPLITS if _is_wanted(row)]
    if not rows:
        pairs = " or ".join(f"--{row[1]} with --{row[2]}" for row in SPLITS)
        raise AnnotationError(f"nothing to convert: give {pairs}")
    return [
        conversion_command.Split(
            name,
            Path(FLAGS.output_dir) / base,
            _persons(coco.read(FLAGS[annotations].value, FLAGS[image_dir].value)),
            num_shards,
        )
        for name, image_dir, annotations, base, num_shards in rows
    ]


def _is_wanted(row):
    """Whether the two flags of a row of `SPLITS` are set."""
    name, dir_flag, annotations_flag, _, _ = row
    image_dir, annotations = FLAGS[dir_flag].value, FLAGS[annotations_flag].value
    if bool(image_dir) != bool(annotations):
        raise AnnotationError(
            f"the {name} split needs both --{dir_flag} and --{annotations_flag}; one is missing"
        )
    if annotations and not Path(image_dir).is_dir():
        raise AnnotationError(f"--{dir_flag}: there is no folder {image_dir}")
    return bool(annotations)


def _persons(annotations):
    """An `AnnotationSet` after TFOD's two flags that keep persons only."""
    objects, images = FLAGS.remove_non_person_annotations, FLAGS.remove_non_person_images
    if not (objects or images):
        return annotations
    kept = (persons_only(image, objects=objects, images=images) for image in annotations.images)
    return annotations._replace(images=tuple(filter(None, kept)))


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
