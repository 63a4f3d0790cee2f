r"""Writes tables with one row an object (CSV) as TFRecords.

    python dataset_tools/create_csv_tf_record.py --include_masks \
        --train_csv=train.csv --test_csv=test.csv --image_dir=images --output_dir=records

The first line names the columns: `filename,xmin,ymin,xmax,ymax,class`, and `segmentation` for
masks. A class has the same number in all the tables: their names sorted, from 1.
"""

from absl import flags

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import csv_table
from object_detection.errors import AnnotationError

FLAGS = flags.FLAGS
TABLES = {"train": "train_csv", "val": "val_csv", "test": "test_csv"}  # split -> its flag


def define_flags():
    """The command's flags."""
    flags.DEFINE_string("csv", "", "A table of objects, where there is only one.")
    for split, flag in TABLES.items():
        flags.DEFINE_string(flag, "", f"The table of the {split} split.")
    flags.DEFINE_string("image_dir", "", "Folder of the images. Unset: that of each table.")
    flags.DEFINE_enum(
        "coordinates",
        csv_table.AUTO,
        [csv_table.AUTO, csv_table.PIXELS, csv_table.NORMALIZED],
        "Whether places are pixels or shares of the image's sides. auto: by the numbers.",
    )
    conversion_command.define_common_flags(output=True)


def splits():
    """The records to write, by the flags."""
    base = conversion_command.record_base("csv")
    tables = {"": FLAGS.csv} | {split: FLAGS[flag].value for split, flag in TABLES.items()}
    tables = {name: path for name, path in tables.items() if path}
    if not tables:
        names = ", ".join(f"--{flag}" for flag in TABLES.values())
        raise AnnotationError(f"nothing to convert: give --csv, or any of {names}")
    sets = {
        name: csv_table.read(
            path,
            FLAGS.image_dir or None,
            coordinates=FLAGS.coordinates,
            with_masks=FLAGS.include_masks,
        )
        for name, path in tables.items()
    }
    names = sorted(
        {category.name for annotations in sets.values() for category in annotations.categories}
    )
    categories = tuple(Category(name) for name in names)
    sets = {name: annotations._replace(categories=categories) for name, annotations in sets.items()}
    return conversion_command.named_splits(base, sets)


def run():
    """The command."""
    conversion_command.run(define_flags, splits)


if __name__ == "__main__":
    run()
