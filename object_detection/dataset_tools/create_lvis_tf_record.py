r"""Writes LVIS as TFRecords.

    python dataset_tools/create_lvis_tf_record.py --include_masks --image_dir=coco \
        --train_annotations_file=lvis_v1_train.json --val_annotations_file=lvis_v1_val.json \
        --output_dir=records

`coco` holds the folders train2017 and val2017. Each split is optional.
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import lvis
from object_detection.errors import AnnotationError

FLAGS = flags.FLAGS
JSONS = {"train": "train_annotations_file", "val": "val_annotations_file"}  # split -> its flag


def define_flags():
    """The command's flags."""
    for split, flag in JSONS.items():
        flags.DEFINE_string(flag, "", f"LVIS' json of the {split} split.")
    flags.DEFINE_string(
        "image_dir", "", "Folder with COCO's train2017 and val2017, or one of them."
    )
    conversion_command.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("lvis")
    image_dir = conversion_command.required_flag("image_dir")
    paths = {split: FLAGS[flag].value for split, flag in JSONS.items()}
    if not any(paths.values()):
        names = " or ".join(f"--{flag}" for flag in JSONS.values())
        raise AnnotationError(f"nothing to convert: give {names}")
    sets = {split: lvis.read(path, image_dir) for split, path in paths.items() if path}
    return conversion_command.named_splits(base, sets)


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
