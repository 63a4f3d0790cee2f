"""Looks at record files, as stored and as a model is given them, and tells people what is there."""

import math
from typing import NamedTuple

import numpy as np

from object_detection.builders import dataset_builder
from object_detection.data import record_files
from object_detection.data.files import find_files
from object_detection.errors import RecordError
from object_detection.reports import (
    choice,
    class_names,
    model_view,
    pictures,
    raw_records,
    statistics,
    stored_view,
)
from object_detection.reports.contact_sheet import Card, View

STORED, MODEL = "stored", "model"


class Settings(NamedTuple):
    """How much is looked at and drawn."""

    max_images: int = 100  # drawn in each view
    max_records: int = 0  # looked at, evenly spread; 0: all
    model_examples: int = 200  # taken from the pipeline for the figures of the model's view
    picture_side: int = 640  # pixels of a picture's longer side
    seed: int = 0


class Reader(NamedTuple):
    """An input reader of a pipeline config, and what it needs around it."""

    name: str  # for people
    config: object  # an InputReader message
    model_config: object
    train_config: object
    training: bool
    batch_size: int


class Source(NamedTuple):
    """Record files and what their classes are."""

    files: list[str]
    classes: class_names.Classes
    num_classes: int


def source_of_records(patterns, label_map_path=""):
    """Record files by path or pattern.

    Args:
        patterns: paths or globs.
        label_map_path: ''; then `label_map.pbtxt` beside the records, else the records' own names.

    Raises:
        RecordError: nothing matches, or all files are empty.
        LabelMapError: the label map cannot be read.
    """
    files = _found(patterns, "--records")
    return _source(files, label_map_path or class_names.beside(files))


def source_of_reader(reader):
    """The record files and classes of a `Reader`; raises as `source_of_records`."""
    section = "train_input_reader" if reader.training else "eval_input_reader"
    field = f"{section}.tf_record_input_reader.input_path"
    patterns = list(reader.config.tf_record_input_reader.input_path)
    if not patterns:
        raise RecordError(f"{field} is empty; put the path of your record files there.")
    model = getattr(reader.model_config, reader.model_config.WhichOneof("model"))
    source = _source(_found(patterns, field), reader.config.label_map_path)
    return source._replace(num_classes=model.num_classes)


def look_at_stored(source, settings, *, rather=()):
    """The `View` of records as they are stored; of the `rather` ids it draws as many as it can."""
    keep_every = 1
    if settings.max_records:
        total = sum(record_files.count_records(path) for path in source.files)
        keep_every = max(1, math.ceil(total / settings.max_records))
    stored = stored_view.StoredView(source.files, source.classes, source.num_classes)
    looked = list(stored.scan(keep_every=keep_every))
    facts = stored_view.about_the_set(looked)
    chosen = choice.choose(facts, settings.max_images, settings.seed, rather=rather)
    drawn = _draw_stored(stored, source.classes, [(looked[k], facts[k]) for k in chosen], settings)
    cards = [Card(facts[k], drawn.get((looked[k].path, looked[k].index))) for k in chosen]
    about = f"{len(facts)} records of {len(source.files)} file(s)"
    about += f", one of every {keep_every}" if keep_every > 1 else ""
    about += "; sizes are in pixels of the stored images."
    file_report = stored.file_report
    file_findings = [
        (reason, count, file_report.names(reason)) for reason, count in file_report.counts().items()
    ]
    tables = statistics.tables(facts, source.classes, file_findings=file_findings)
    return View(STORED, "As stored", about, tables, cards)


def look_at_given(reader, classes, settings):
    """The `View` of what a model is given by a `Reader`.

    Raises:
        RecordError: the input pipeline cannot be built, or gives nothing.
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
    wanted = max(settings.model_examples, settings.max_images)
    for given in model_view.examples(pipeline, wanted):
        facts.append(given.facts)
        if len(drawn) < settings.max_images:
            drawn.append(_drawn(given.pixels, given.objects, given.facts, classes, settings))
    facts = model_view.with_reported(facts, pipeline.report)
    cards = [Card(each, picture) for each, picture in zip(facts, drawn, strict=False)]
    about = f"The first {len(facts)} images that {reader.name} gives"
    about += ", augmented," if reader.training else ""
    about += " resized and padded in batches as the model gets them; sizes are in its pixels."
    tables = statistics.tables(facts, classes)
    return View(MODEL, "As the model sees them", about, tables, cards)


def as_text(view):
    """A view's tables for the screen."""
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


def as_dict(view):
    """A view's tables for programs."""
    tables = {}
    for table in view.tables:
        names = ["name", *table.header[1:]]
        rows = [dict(zip(names, row, strict=True)) for row in table.rows]
        tables[table.title] = {"rows": rows, "note": table.note}
    return {"view": view.title, "about": view.about, "tables": tables}


def _found(patterns, field):
    files = [path for pattern in patterns for path in find_files(pattern, field=field)]
    files = list(dict.fromkeys(files))
    record_files.refuse_all_empty(files, field=field)
    return files


def _source(files, label_map_path):
    if label_map_path:
        classes = class_names.from_label_map(label_map_path)
    else:
        quiet = stored_view.report.InputReport(name="records")
        records = (raw_records.parse(*record) for record in raw_records.read(files, quiet))
        classes = class_names.from_records(records)
    return Source(files, classes, classes.largest_id)


def _draw_stored(stored, classes, chosen, settings):
    """{(path, index): data URI} of records of which there is a picture."""
    facts_at = {(looked.path, looked.index): facts for looked, facts in chosen}
    drawn = {}
    for path, index, example in stored.examples(facts_at.keys()):
        if example is not None:
            facts = facts_at[path, index]
            objects = pictures.Objects(
                facts.boxes, facts.classes, example.masks and example.masks.pixels
            )
            drawn[path, index] = _drawn(example.image, objects, facts, classes, settings)
    return drawn


def _drawn(image, objects, facts, classes, settings):
    remarks = [
        " ".join(word for word, holds in (("(crowd)", crowd), ("(difficult)", difficult)) if holds)
        for crowd, difficult in zip(facts.crowd, facts.difficult, strict=True)
    ]
    names = {int(number): classes.name(number) for number in np.unique(facts.classes)}
    names = classes.names | names
    picture = pictures.draw(image, objects, remarks, names, settings.picture_side)
    return pictures.data_uri(picture)


def _is_figure(cell):
    return str(cell).removesuffix(" %").replace(".", "", 1).isdecimal()
