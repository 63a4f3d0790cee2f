"""Overview of record files for people: as stored, and as a model gets them."""

import math
import random
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection.builders import dataset_builder
from object_detection.data import record_files
from object_detection.data.files import find_files
from object_detection.errors import RecordError
from object_detection.reports import pictures, raw_records, scanning, statistics
from object_detection.reports.contact_sheet import Card, View
from object_detection.structures.masks import Masks
from object_detection.utils import label_map_util

STORED, MODEL = "stored", "model"
_LABEL_MAP = "label_map.pbtxt"  # the name that the conversion commands give it
_IMAGES_EACH = 6  # images that every finding and every class gets before the rest at random


class Settings(NamedTuple):
    """How much is read and drawn."""

    max_images: int = 100  # drawn in each view
    max_records: int = 0  # to read, evenly spread; 0: all
    model_examples: int = 200  # taken from the pipeline for the figures of the model's view
    picture_side: int = 640  # pixels of a picture's longer side
    seed: int = 0


class Reader(NamedTuple):
    """An input reader of a pipeline config with the settings that it needs."""

    name: str  # for people
    config: object  # an InputReader message
    model_config: object
    train_config: object
    training: bool
    batch_size: int


class Classes(NamedTuple):
    """Class texts and ids of a set of records."""

    ids: dict[str, int]  # class text -> id; empty: the records' own ids count
    names: dict[int, str]
    origin: str  # where they come from, for people
    is_given: bool  # by a label map

    @property
    def largest_id(self) -> int:
        """The number of classes that a model needs."""
        return max(self.names, default=1)

    def name(self, number: int) -> str:
        """Return the name of a class id."""
        return self.names.get(int(number), f"class {int(number)}")


class Source(NamedTuple):
    """Record files and their classes."""

    files: list[str]
    classes: Classes
    num_classes: int


def source_of_records(patterns, label_map_path=""):
    """Find record files by path or pattern.

    Args:
        patterns: Paths or globs.
        label_map_path: Path; '' takes `label_map.pbtxt` next to the records, else the records' own
            names.

    Raises:
        RecordError: Nothing matches, or all files are empty.
        LabelMapError: The label map cannot be read.
    """
    files = _find(patterns, "--records")
    return _source(files, label_map_path or find_label_map(files))


def source_of_reader(reader):
    """Return the record files and classes of a `Reader`; raises like `source_of_records`."""
    section = "train_input_reader" if reader.training else "eval_input_reader"
    field = f"{section}.tf_record_input_reader.input_path"
    patterns = list(reader.config.tf_record_input_reader.input_path)
    if not patterns:
        raise RecordError(f"{field} is empty; put the path of your record files there.")
    model = getattr(reader.model_config, reader.model_config.WhichOneof("model"))
    source = _source(_find(patterns, field), reader.config.label_map_path)
    return source._replace(num_classes=model.num_classes)


def classes_of_label_map(path: str) -> Classes:
    """Return the classes of a label map; raises `LabelMapError`."""
    index = label_map_util.create_category_index_from_labelmap(path)
    names = {number: entry["name"] for number, entry in index.items()}
    return Classes(dataset_builder.class_ids(path), names, f"label map {path}", True)


def find_label_map(files: list[str]) -> str | None:
    """Return the label map in the folder of the first record file, or None.

    `label_map.pbtxt`, else the only one with another name, such as `shapes_label_map.pbtxt`
    (Roboflow).
    """
    if "://" in files[0]:
        return None
    folder = Path(files[0]).parent
    if (folder / _LABEL_MAP).is_file():
        return str(folder / _LABEL_MAP)
    others = [path for path in folder.glob("*.pbtxt") if "label" in path.name.lower()]
    return str(others[0]) if len(others) == 1 else None


def classes_of_records(examples) -> Classes:
    """Return the classes that records without a label map name themselves.

    Args:
        examples: `RawRecord`s of all records.
    """
    names, texts, labels = {}, Counter(), set()
    for example in examples:
        named = [text.decode("utf-8", "replace") for text in example.texts]
        texts.update(named)
        labels.update(example.labels)
        if len(named) == len(example.labels):
            for number, text in zip(example.labels, named, strict=True):
                if text:
                    names.setdefault(number, text)
    if any(label > 0 for label in labels):
        named = {number: names.get(number, f"class {number}") for number in labels if number > 0}
        return Classes({}, named, "the records' own class ids (no label map)", False)
    ids = {text: number for number, text in enumerate(sorted(set(texts) - {""}), 1)}
    names = {number: text for text, number in ids.items()}
    return Classes(ids, names, "the records' own class texts (no label map)", False)


def choose_images(images, limit: int, seed: int = 0, *, preferred=()) -> list[int]:
    """Choose images so that every finding and every class is shown, and the rest at random.

    Args:
        images: List of `ImageFacts`.
        limit: Largest number of images.
        seed: The same seed chooses the same images.
        preferred: Ids to take before others at random.

    Returns:
        Sorted indices into `images`.
    """
    if limit >= len(images):
        return list(range(len(images)))
    generator = random.Random(seed)
    order = list(range(len(images)))
    generator.shuffle(order)
    preferred = set(preferred)
    order.sort(key=lambda index: images[index].id not in preferred)
    holders = {}
    for index in order:
        image = images[index]
        for mark in (*image.reasons, *(f"class {number}" for number in set(image.objects.classes))):
            holders.setdefault(mark, []).append(index)
    chosen = []
    taken = set()

    def take(index):
        if index not in taken and len(chosen) < limit:
            taken.add(index)
            chosen.append(index)

    # The rarest marks first, one image of each in turn, so that none is crowded out.
    for turn in range(_IMAGES_EACH):
        for mark in sorted(holders, key=lambda mark: (len(holders[mark]), mark)):
            if turn < len(holders[mark]):
                take(holders[mark][turn])
    for index in order:
        take(index)
    return sorted(chosen)


def scan_records(source: Source, settings: Settings, *, preferred=()) -> View:
    """Return the `View` of records as stored; draws as many of the `preferred` ids as it can."""
    keep_every = 1
    if settings.max_records:
        total = sum(record_files.count_records(path) for path in source.files)
        keep_every = max(1, math.ceil(total / settings.max_records))
    scanner = scanning.RecordScanner(source.files, source.classes, source.num_classes)
    records = list(scanner.scan(keep_every=keep_every))
    facts = scanning.with_duplicates(records)
    chosen = choose_images(facts, settings.max_images, settings.seed, preferred=preferred)
    facts_at = {(records[k].path, records[k].index): facts[k] for k in chosen}
    drawn = _draw_stored(scanner, source.classes, facts_at, settings)
    cards = [Card(each, drawn.get(key)) for key, each in facts_at.items()]
    about = f"{len(facts)} records of {len(source.files)} file(s)"
    about += f", one of every {keep_every}" if keep_every > 1 else ""
    about += "; sizes are in pixels of the stored images."
    file_report = scanner.file_report
    file_findings = [
        (reason, count, file_report.names(reason)) for reason, count in file_report.counts().items()
    ]
    tables = statistics.tables(facts, source.classes, file_findings=file_findings)
    return View(STORED, "As stored", about, tables, cards)


def sample_pipeline(reader: Reader, classes: Classes, settings: Settings) -> View:
    """Return the `View` of what a model gets from a `Reader`.

    Raises:
        RecordError: The input pipeline cannot be built, or gives no example.
    """
    pipeline = dataset_builder.build(
        reader.config,
        model_config=reader.model_config,
        train_config=reader.train_config,
        training=reader.training,
        batch_size=reader.batch_size,
        seed=settings.seed,
    )
    facts, drawn = [], []
    limit = max(settings.model_examples, settings.max_images)
    for example in scanning.pipeline_examples(pipeline, limit):
        facts.append(example.facts)
        if len(drawn) < settings.max_images:
            objects = example.facts.objects._replace(masks=example.masks)
            drawn.append(_drawn(example.pixels, objects, classes, settings))
    facts = scanning.with_reported(facts, pipeline.report)
    cards = [Card(each, picture) for each, picture in zip(facts, drawn, strict=False)]
    about = f"The first {len(facts)} images that {reader.name} gives"
    about += ", augmented," if reader.training else ""
    about += " resized and padded in batches as the model gets them; sizes are in its pixels."
    tables = statistics.tables(facts, classes)
    return View(MODEL, "As the model sees them", about, tables, cards)


def to_text(view: View) -> str:
    """Return a view's tables for the screen."""
    blocks = [f"{view.title}. {view.about}"]
    for table in view.tables:
        widths = [
            max(len(str(row[column])) for row in [table.header, *table.rows])
            for column in range(len(table.header))
        ]
        lines = [table.title]
        for row in [table.header, *table.rows]:
            cells = [str(row[0]).ljust(widths[0])]
            cells += [
                str(cell).rjust(width) if _is_figure(cell) else str(cell).ljust(width)
                for cell, width in zip(row[1:], widths[1:], strict=True)
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        if table.note:
            lines.append(f"  ({table.note})")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def to_dict(view: View) -> dict:
    """Return a view's tables for programs."""
    tables = {}
    for table in view.tables:
        names = ["name", *table.header[1:]]
        rows = [dict(zip(names, row, strict=True)) for row in table.rows]
        tables[table.title] = {"rows": rows, "note": table.note}
    return {"view": view.title, "about": view.about, "tables": tables}


def _find(patterns, field):
    files = [path for pattern in patterns for path in find_files(pattern, field=field)]
    files = list(dict.fromkeys(files))
    record_files.refuse_all_empty(files, field=field)
    return files


def _source(files, label_map_path):
    if label_map_path:
        classes = classes_of_label_map(label_map_path)
    else:
        unused = scanning.report.InputReport(name="records")
        records = (raw_records.parse(*record) for record in raw_records.read(files, unused))
        classes = classes_of_records(records)
    return Source(files, classes, classes.largest_id)


def _draw_stored(scanner, classes, facts_at, settings):
    """Return {(path, index): data URI} of records that have a picture."""
    drawn = {}
    for path, index, example in scanner.examples(facts_at.keys()):
        if example is not None:
            objects = facts_at[path, index].objects
            if example.masks is not None:
                masks = Masks.from_dense(example.masks.pixels).resize(*example.image.shape[:2])
                objects = objects._replace(masks=masks)
            drawn[path, index] = _drawn(example.image, objects, classes, settings)
    return drawn


def _drawn(image, objects, classes, settings):
    remarks = [
        " ".join(word for word, holds in (("(crowd)", crowd), ("(difficult)", difficult)) if holds)
        for crowd, difficult in zip(objects.crowd, objects.difficult, strict=True)
    ]
    names = {int(number): classes.name(number) for number in np.unique(objects.classes)}
    names = classes.names | names
    picture = pictures.draw_instances(image, objects, remarks, names, settings.picture_side)
    return pictures.data_uri(picture)


def _is_figure(cell):
    return str(cell).removesuffix(" %").replace(".", "", 1).isdecimal()
