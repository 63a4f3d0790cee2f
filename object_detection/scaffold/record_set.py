"""Records that exist already, as `init` needs them: their files, classes and figures."""

import glob
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection.data import record_files
from object_detection.datasets import files, label_ids
from object_detection.errors import AnnotationError, RecordError
from object_detection.reports import data_browser, scanning
from object_detection.scaffold import formats
from object_detection.scaffold.data_set import SAMPLED_IMAGES, DatasetStatistics


class RecordSet(NamedTuple):
    """Patterns of record files."""

    train: tuple[str, ...]
    val: tuple[str, ...]  # the same where there are no others


def find(place, val=None):
    """The records at a place.

    Args:
        place: a file, a pattern, or a folder, whose files are distinguished by their names.
        val: file or pattern of those to evaluate on; None: by the names, else the same.

    Raises:
        AnnotationError: no records are there.
    """
    path = Path(place)
    if not path.is_dir():
        train = (_pattern(path.absolute()),)
        return RecordSet(train, (_pattern(Path(val).absolute()),) if val else train)
    names = sorted(
        {_pattern(each.absolute()) for each in path.iterdir() if formats.is_record_file(each)}
    )
    if not names:
        names, evaluated = _of_split_folders(path)
        if names:
            return RecordSet(names, (_pattern(Path(val).absolute()),) if val else evaluated)
    if not names:
        raise AnnotationError(f"{place}: no records are there (names such as train.record)")
    if val:
        return RecordSet(tuple(names), (_pattern(Path(val).absolute()),))
    evaluated = [name for name in names if _says(name, ("val", "eval"))]
    evaluated = evaluated or [name for name in names if _says(name, ("test",))]
    trained = [name for name in names if not _says(name, ("val", "eval", "test"))]
    trained = [name for name in trained if _says(name, ("train",))] or trained
    if not trained:
        raise AnnotationError(
            f"{place}: which records to train on is not to be seen from their names "
            f"({', '.join(Path(name).name for name in names)}): give them, and --val_data"
        )
    return RecordSet(tuple(trained), tuple(evaluated or trained))


def _of_split_folders(folder):
    """Patterns of records in folders such as train, valid and test: to train on, to evaluate on."""
    patterns = {}
    for split, folders in files.split_folders(folder).items():
        paths = (path for each in folders for path in each.iterdir())
        records = {_pattern(path.absolute()) for path in paths if formats.is_record_file(path)}
        if records:
            patterns[split] = tuple(sorted(records))
    train = patterns.get("train", ())
    return train, patterns.get("val") or patterns.get("test") or train


def facts_of(records, label_map_path=""):
    """The `DatasetStatistics` of records; of many a sample is looked at.

    Raises:
        AnnotationError: they cannot be read, or hold no object.
    """
    patterns = [glob.escape(name).replace("[?]", "?") for name in records.train]
    try:
        source = data_browser.source_of_records(patterns, label_map_path)
        count = sum(record_files.count_records(path) for path in source.files)
        scanner = scanning.RecordScanner(source.files, source.classes, source.num_classes)
        scanned = list(scanner.scan(keep_every=max(1, count // SAMPLED_IMAGES)))
    except RecordError as fault:
        raise AnnotationError(str(fault)) from None
    seen = [each.facts for each in scanned if each.facts.size is not None]
    kept = [facts for facts in seen if len(facts.objects.boxes)]
    if not kept:
        raise AnnotationError(
            f"none of the {len(scanned)} records looked at has an image and an object"
        )
    sides = []
    for facts in kept:
        boxes = facts.objects.boxes[~facts.objects.crowd]
        sides.append((boxes[:, 2:] - boxes[:, :2]) / min(facts.size))
    return DatasetStatistics(
        num_images=count,
        sizes=np.array([facts.size for facts in seen]),
        sides=np.concatenate(sides),
        most_objects=max(len(facts.objects.boxes) for facts in kept),
        masks=float(np.mean([facts.mask_area is not None for facts in kept])),
        labels=label_ids.LabelIds({name: number for number, name in source.classes.names.items()}),
    )


def _pattern(path):
    """The pattern of all shards of a file."""
    return re.sub(r"-\d{5}-of-(\d{5})$", r"-?????-of-\1", str(path))


def _says(pattern, words):
    """Whether the name of the files has one of the words."""
    parts = re.split(r"[^a-z]+", Path(pattern).name.lower())
    return any(part.startswith(word) for part in parts for word in words)
