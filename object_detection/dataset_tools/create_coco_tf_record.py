r"""Writes COCO annotations as TFRecords.

    python dataset_tools/create_coco_tf_record.py --include_masks \
        --train_image_dir=train2017 --train_annotations_file=instances_train2017.json \
        --val_image_dir=val2017     --val_annotations_file=instances_val2017.json \
        --output_dir=records

Every split is optional. Beside the records stand the label map and, for each split, its report.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from absl import app, flags

from object_detection.annotations import coco, label_ids
from object_detection.annotations.example_features import Settings
from object_detection.annotations.record import AnnotationError
from object_detection.dataset_tools import door

FLAGS = flags.FLAGS


class Split(NamedTuple):
    """One data set to convert."""

    name: str
    image_dir: str
    annotations_file: str
    base: str  # file name of the records, without the shard's suffix
    num_shards: int


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


def convert_splits(
    splits, output_dir, *, include_masks, label_map_path="", num_workers=1, keep=None
):
    """Converts data sets that share one label map.

    Args:
        splits: the `Split`s.
        output_dir: folder of the records, the label map and the reports.
        include_masks: whether masks are written.
        label_map_path: a label map whose numbers hold (written there if absent); '': the one beside
            the records, numbered as the annotations are.
        num_workers: processes.
        keep: `AnnotatedImage` -> the image as it is to be written, or None to leave it out.

    Returns:
        A `Report` a split; each is also saved as `<records>.report.json`.

    Raises:
        AnnotationError: an annotation file or a label map that cannot be used.
    """
    # Here and not above: worker processes import this module, and have no use for TensorFlow.
    from object_detection.annotations.conversion import convert
    from object_detection.annotations.record_writer import ShardedWriter

    output_dir = Path(output_dir)
    sets = [coco.read(split.annotations_file, split.image_dir) for split in splits]
    label_map = Path(label_map_path or output_dir / "label_map.pbtxt")
    labels = label_ids.settle(
        label_map, label_ids.from_annotations(sets), given=bool(label_map_path)
    )
    settings = Settings(labels.ids, include_masks)
    reports = []
    for split, found in zip(splits, sets, strict=True):
        kept = map(keep, found.images) if keep else found.images
        images = [image for image in kept if image]
        writer = ShardedWriter(output_dir / split.base, split.num_shards)
        report = convert(images, writer, settings, title=split.name, num_workers=num_workers)
        report.add(found.findings)
        for note in labels.notes:
            report.note(note, label_map.name)
        report.save(output_dir / f"{split.base}.report.json")
        reports.append(report)
    return reports


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
    """TFOD's flags and a few of our own."""
    flags.DEFINE_bool("include_masks", False, "Write instance masks (as PNG) too.")
    for name, image_dir, annotations, _, shards in SPLITS:
        flags.DEFINE_string(image_dir, "", f"Folder of the {name} images.")
        flags.DEFINE_string(annotations, "", f"COCO json of the {name} split ({shards} shards).")
    for name in UNSUPPORTED:
        flags.DEFINE_string(name, "", "Not supported: keypoints and DensePose are not written.")
    flags.DEFINE_string("output_dir", "/tmp/", "Where the records go.")
    flags.DEFINE_bool("remove_non_person_annotations", False, "Keep objects of class person only.")
    flags.DEFINE_bool("remove_non_person_images", False, "Leave out images without a person.")
    flags.DEFINE_string(
        "label_map_path",
        "",
        "Label map whose numbers hold; it is written there if absent. "
        "Unset: label_map.pbtxt in output_dir, numbered as the annotations are.",
    )
    flags.DEFINE_integer("num_shards", None, "Files a split, in place of 100, 50, 50.", 1)
    flags.DEFINE_integer("num_workers", 1, "Processes that prepare the records.", 1)


def splits_by_flags():
    """The splits whose two flags are set.

    Raises:
        AnnotationError: none is; one has images without annotations or the reverse; no such folder.
    """
    splits = []
    for name, dir_flag, annotations_flag, base, num_shards in SPLITS:
        image_dir, annotations = FLAGS[dir_flag].value, FLAGS[annotations_flag].value
        if bool(image_dir) != bool(annotations):
            raise AnnotationError(
                f"the {name} split needs both --{dir_flag} and --{annotations_flag}; one is missing"
            )
        if annotations and not Path(image_dir).is_dir():
            raise AnnotationError(f"--{dir_flag}: there is no folder {image_dir}")
        if annotations:
            splits.append(Split(name, image_dir, annotations, base, FLAGS.num_shards or num_shards))
    if not splits:
        pairs = " or ".join(f"--{row[1]} with --{row[2]}" for row in SPLITS)
        raise AnnotationError(f"nothing to convert: give {pairs}")
    return splits


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    objects, images = FLAGS.remove_non_person_annotations, FLAGS.remove_non_person_images
    try:
        for name in UNSUPPORTED:
            if FLAGS[name].value:
                raise AnnotationError(f"--{name}: keypoints and DensePose are not supported")
        reports = convert_splits(
            splits_by_flags(),
            FLAGS.output_dir,
            include_masks=FLAGS.include_masks,
            label_map_path=FLAGS.label_map_path,
            num_workers=FLAGS.num_workers,
            keep=lambda image: persons_only(image, objects=objects, images=images),
        )
    except AnnotationError as error:
        sys.exit(f"error: {error}")
    for report in reports:
        print(report.text())
    print(f"all names of each finding: {FLAGS.output_dir}/*.report.json")
    if not all(report.written["images"] for report in reports):
        sys.exit("error: a split has no image that could be written")


def run():
    """The command."""
    door.run(define_flags, main)


if __name__ == "__main__":
    run()
