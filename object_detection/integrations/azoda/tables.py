"""azoda's CSVs: their selection, their classes in azoda's order, and records of them."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from object_detection import atomic
from object_detection.dataset_tools import conversion_command
from object_detection.datasets import conversion, label_ids
from object_detection.datasets.formats import csv_table
from object_detection.errors import AnnotationError

LATEST = "latest"
LABEL_MAP, CLASS_MAP = "tf_label_map.pbtxt", "class_map.json"
SPLITS = {"train": "TRAIN_CSV", "test": "TEST_CSV"}  # split -> the key that names its CSV
_STAMP = "%y%m%d%H%M%S"


class Tables(NamedTuple):
    """Content of the two CSVs of an experiment."""

    paths: dict[str, Path]  # split -> CSV
    sets: dict  # split -> `AnnotationSet`
    classes: dict[str, int]  # name -> id, in order of first appearance in train, then test
    have_masks: bool  # whether the training CSV has polygons


class Records(NamedTuple):
    """Records of the CSVs."""

    label_map: Path
    paths: dict[str, Path]  # split -> record file
    reports: dict  # split -> `Report` of the conversion


def select(settings, data_dir):
    """Return {split: path of its CSV} by TRAIN_CSV and TEST_CSV; raise `SettingsError`.

    "latest" is the newest stamp yymmddHHMMSS of `train_IMAGETYPE_STAMP.csv` and `test_...`; if both
    are "latest", the newest common stamp.
    """
    image_type = settings.values["IMAGE_TYPE"]
    folder = Path(data_dir) / image_type / "datasets"
    if not folder.is_dir():
        raise settings.error(
            "IMAGE_TYPE",
            f"is {image_type!r}, but there is no folder {folder}. Put the CSVs in "
            "DATA_DIR/IMAGE_TYPE/datasets and the images in DATA_DIR/IMAGE_TYPE/images; "
            "--data_dir sets DATA_DIR",
        )
    names = {split: settings.values[key] for split, key in SPLITS.items()}
    stamps = {split: _stamps(folder, split, image_type) for split in SPLITS}
    if all(name == LATEST for name in names.values()):
        common = set(stamps["train"]) & set(stamps["test"])
        stamps = {split: {s: paths[s] for s in common} for split, paths in stamps.items()}
    paths = {}
    for split, key in SPLITS.items():
        if names[split] != LATEST:
            paths[split] = _named(settings, key, folder)
        elif stamps[split]:
            paths[split] = stamps[split][max(stamps[split])]
        else:
            pattern = f"{split}_{image_type}_yymmddHHMMSS.csv"
            both = "" if LATEST not in names.values() else " and the other CSV of that stamp"
            raise settings.error(
                key,
                f'is "latest", but {folder} contains no file {pattern}{both}: {_listed(folder)}',
            )
    if paths["train"] == paths["test"]:
        raise settings.error("TEST_CSV", f"is {paths['test'].name}, which is also the TRAIN_CSV")
    return paths


def read(settings, paths, image_dir):
    """Read the `Tables` at these paths.

    Raises:
        AnnotationError: a CSV cannot be read or lacks a column; no image folder; no class.
    """
    if not Path(image_dir).is_dir():
        raise AnnotationError(f"there is no folder of images {image_dir}")
    sets, names, have_masks = {}, [], False
    for split, path in paths.items():
        table = csv_table.read_table(path)
        have_masks = have_masks or (split == "train" and "segmentation" in table.columns)
        names += _class_names(table)
        sets[split] = csv_table.read(path, image_dir, coordinates=csv_table.PIXELS)
    usable = {split: {c.name for c in each.categories} for split, each in sets.items()}
    for split, classes in usable.items():
        if not classes:
            raise AnnotationError(
                f"{settings.file.location(SPLITS[split])}: no row of {paths[split]} has an object "
                "with a class" + "".join(f". {f.key}: {f.reason}" for f in sets[split].findings[:1])
            )
    if not usable["train"] & usable["test"]:
        raise AnnotationError(
            f"{paths['train']} and {paths['test']} have no class in common: "
            f"{', '.join(sorted(usable['train']))} and {', '.join(sorted(usable['test']))}"
        )
    known = usable["train"] | usable["test"]
    classes = {name: k for k, name in enumerate(dict.fromkeys(n for n in names if n in known), 1)}
    return Tables(paths, sets, classes, have_masks)


def remarks(tables):
    """Yield sentences about likely mistakes in the two CSVs."""
    train, test = (tables.sets[split] for split in SPLITS)
    for image in (*train.images, *test.images):
        if image.path is None or not image.path.is_file():
            place = image.objects[0].key if image.objects else image.key
            yield f"{place}, filename: there is no image {image.path or image.filename}"
    shared = {image.path for image in train.images} & {image.path for image in test.images}
    if shared:
        names = ", ".join(sorted(path.name for path in shared)[:3])
        yield (
            f"{len(shared)} images are in both CSVs ({names}{', ...' if len(shared) > 3 else ''}): "
            "the model is evaluated on images it was trained on"
        )
    trained = {category.name for category in train.categories}
    for name in tables.classes:
        if name not in trained:
            yield f"class '{name}' is in {tables.paths['test'].name} only: it cannot be learned"


def write(tables, folder, *, masks):
    """Write tf_label_map.pbtxt, class_map.json, train.record and test.record to a folder.

    Args:
        tables: `Tables`.
        folder: created if missing.
        masks: whether to write masks.

    Returns:
        `Records`.

    Raises:
        AnnotationError: no object of a split can be written, or it has no mask though masks are
            needed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    label_map = folder / LABEL_MAP
    label_ids.write(label_map, label_ids.LabelIds(tables.classes))
    text = json.dumps(tables.classes, ensure_ascii=False)
    atomic.write_text(folder / CLASS_MAP, text + "\n")
    splits = [
        conversion_command.Split(split, folder / f"{split}.record", tables.sets[split])
        for split in SPLITS
    ]
    options = conversion_command.Options(
        include_masks=masks, label_map_path=str(label_map), num_shards=0
    )
    try:
        reports = dict(zip(SPLITS, conversion_command.convert(splits, options), strict=True))
    except conversion.NoMasksError as error:
        split = next(split for split in SPLITS if str(error).startswith(f"{split}:"))
        objects = sum(len(image.objects) for image in tables.sets[split].images)
        raise AnnotationError(
            f"{tables.paths[split]}: the base model learns masks, but the cell segmentation is "
            f"empty or unreadable for all {objects} objects. Fill in the polygons, or use a "
            f"Faster R-CNN as BASE_MODEL ({error})"
        ) from None
    for split, report in reports.items():
        if not report.written["objects"]:
            raise AnnotationError(
                f"{tables.paths[split]}: no object of it could be written\n{report.text()}"
            )
    return Records(label_map, {each.name: each.base for each in splits}, reports)


def _stamps(folder, split, image_type):
    """Return {stamp: path} of the CSVs of a split with a stamp."""
    paths = {}
    for path in folder.iterdir():
        match = re.fullmatch(rf"{split}_{re.escape(image_type)}_(\d{{12}})\.csv", path.name)
        if match and path.is_file():
            try:
                paths[datetime.strptime(match[1], _STAMP)] = path
            except ValueError:
                continue  # digits that are not a time
    return paths


def _named(settings, key, folder):
    name = settings.values[key]
    if not name:
        raise settings.error(key, f'is empty; set it to a CSV of {folder}, or to "latest"')
    for path in (folder / name, Path(name)):
        if path.is_file():
            return path
    raise settings.error(
        key, f"is {name!r}, but there is no file {folder / name}: {_listed(folder)}"
    )


def _listed(folder):
    names = sorted(path.name for path in folder.glob("*.csv"))
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"there are {', '.join(names[:8])}{more}" if names else "it contains no CSV"


def _class_names(table):
    """Yield the classes of the rows, in their order."""
    column = table.columns["class"]
    for _, cells in table.rows:
        name = cells[column].strip() if column < len(cells) else ""
        if name.lower() not in csv_table.NO_CLASS:
            yield name
