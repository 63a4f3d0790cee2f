"""What the first records say about the config that is to read them.

Only looks: the decoder in data/ decides what becomes of each record, and counts what it drops.
"""

import itertools
import math
from collections import Counter
from typing import NamedTuple

import tensorflow as tf

from object_detection.config.findings import Finding, Findings, Section, faults, listed, warnings
from object_detection.data import record_files
from object_detection.datasets.annotations import IGNORE_CLASS
from object_detection.protos import input_reader_pb2
from object_detection.utils import text_proto

FIRST_RECORDS = 20
_FILES_TRIED = 8
_PIXELS = 2.0  # a box coordinate above this was meant in pixels
_SYSTEMATIC = 0.5  # share of swapped boxes from which they are no accident
# Records that are searched for a usable box where the first ones have none.
_SEARCHED = 5000


class _Objects(NamedTuple):
    """What one record says of its objects."""

    name: str  # of the image
    count: int
    texts: list
    labels: list
    mask_kind: str | None  # 'png', 'numerical', 'cut' (stored at its extent) or None
    boxes: list  # (ymin, xmin, ymax, xmax) of each object; [] where the lists differ in length
    largest: float  # finite box coordinate, without its sign
    has_image: bool
    keys: list


def check(reader, path, files, *, num_classes, class_ids) -> Findings:
    """Findings about the first records of a reader.

    Args:
        reader: InputReader message.
        path: its dotted path in the config.
        files: the record files, all there.
        num_classes: of the model; 0 where it does not say.
        class_ids: {class text: id} of the label map, or None where that is unusable.
    """
    section = Section(reader, path)
    records, unreadable = _first_records(files)
    at = section.at("tf_record_input_reader.input_path")
    if not records:
        if unreadable:
            return faults([Finding(at, unreadable)])
        problem = f"matches {len(files)} file(s) without any record: {listed(files, 3)}"
        return faults([Finding(at, problem, "Write the records again")])
    looked_at, broken = _parsed(records)
    if not looked_at:
        return faults([Finding(at, broken)])
    findings = warnings([Finding(at, unreadable)] if unreadable else [])
    findings = findings.merge(faults(_images(looked_at, at)))
    findings = findings.merge(_masks(section, looked_at))
    findings = findings.merge(faults(_boxes(looked_at, at)))
    if class_ids is not None:
        findings = findings.merge(faults(_unknown_texts(looked_at, at, reader, class_ids)))
    findings = findings.merge(faults(_labels(looked_at, at, num_classes, class_ids)))
    if findings.faults:
        return findings  # these say why no box can be used, and what to do about it
    nothing_usable = _nothing_usable(looked_at, files, at, num_classes, class_ids)
    is_training = path.startswith("train")
    return findings.merge((faults if is_training else warnings)(nothing_usable))


def _first_records(files):
    """(first serialized records, what is wrong with a file or None)."""
    records, fault = [], None
    for path in files[:_FILES_TRIED]:
        before = len(records)
        records += record_files.intact_records(path, FIRST_RECORDS - before)
        if len(records) >= FIRST_RECORDS:
            break
        # Fewer than there should be: the file ends, or is broken.
        scanned = record_files.scan_record_file(path)
        if scanned.fault:
            intact = f"({scanned.records} records are intact)"
            fault = fault or f"matches {path}: {scanned.fault} {intact}"
    return records, fault


def _parsed(records):
    """(`_Objects` of each record that is a tf.train.Example with features, complaint or None)."""
    objects = [objects for objects in map(_of_record, records) if objects is not None]
    if objects:
        return objects, None
    return (
        [],
        "holds records that are no tf.train.Example: these files were made for another program",
    )


def _of_record(serialized):
    """`_Objects` of a serialized record; None where it is no tf.train.Example with features."""
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's own error type differs between its implementations
        return None
    return _objects(features) if features else None


def _objects(features):
    def values(key, kind):
        return list(getattr(features[key], kind).value) if key in features else []

    def numbers(key):  # the decoder takes either type where nothing is lost
        return values(key, "float_list") or values(key, "int64_list")

    sides = [numbers(f"image/object/bbox/{side}") for side in _SIDES]
    kind = None
    if values("image/object/mask/box_png", "bytes_list"):
        kind = "cut"
    elif values("image/object/mask", "bytes_list"):
        kind = "png"
    elif numbers("image/object/mask"):
        kind = "numerical"
    finite = [abs(number) for side in sides for number in side if math.isfinite(number)]
    names = values("image/filename", "bytes_list") or values("image/source_id", "bytes_list")
    return _Objects(
        name=_text(names[0]) if names else "(no file name)",
        count=max(len(side) for side in sides),
        texts=[_text(text) for text in values("image/object/class/text", "bytes_list")],
        labels=[int(label) for label in numbers("image/object/class/label") if label == label // 1],
        mask_kind=kind,
        boxes=list(zip(*sides, strict=True)) if len({len(side) for side in sides}) == 1 else [],
        largest=max(finite, default=0.0),
        has_image=any(values("image/encoded", "bytes_list")),
        keys=sorted(features),
    )


_SIDES = ("ymin", "xmin", "ymax", "xmax")


def _text(value):
    return value.decode("utf-8", errors="replace")


def _images(looked_at, at):
    if not any(record.has_image for record in looked_at):
        yield Finding(
            at,
            "holds records without an image: image/encoded is missing or empty in the first "
            f"{len(looked_at)}; they have {listed(looked_at[0].keys)}",
            "Write the records with one of the dataset_tools",
        )


def _masks(section, looked_at) -> Findings:
    reader = section.message
    with_objects = [record for record in looked_at if record.count]
    if not reader.load_instance_masks or not with_objects:
        return Findings()
    without = [record.name for record in with_objects if not record.mask_kind]
    if len(without) == len(with_objects):
        return faults(
            [
                Finding(
                    section.at("load_instance_masks"),
                    f"is true, but image/object/mask is empty in all of the first {len(without)} "
                    f"records with objects ({listed(without, 3)})",
                    "Write the records again with --include_masks; for boxes only take the masks "
                    "out of the model",
                )
            ]
        )
    findings = warnings(_some_without(section, without, with_objects))
    return findings.merge(faults(_mask_type(section, with_objects)))


def _some_without(section, without, with_objects):
    if without:
        yield Finding(
            section.at("load_instance_masks"),
            f"is true, but {len(without)} of the first {len(with_objects)} records with objects "
            f"have no mask ({listed(without, 3)})",
            "Their objects teach boxes and classes only, and an evaluation leaves these images out "
            "of its mask metrics",
        )


def _mask_type(section, with_objects):
    png = section.message.mask_type == input_reader_pb2.PNG_MASKS
    kinds = {record.mask_kind for record in with_objects} - {None}
    wrong = "numerical" if png else "png"
    if wrong not in kinds:
        return
    name = input_reader_pb2.InstanceMaskType.Name(section.message.mask_type)
    default = "" if section.message.HasField("mask_type") else " (its default)"
    held = "PNG images" if wrong == "png" else "lists of numbers"
    right = "PNG_MASKS" if wrong == "png" else "NUMERICAL_MASKS"
    yield Finding(
        section.at("mask_type"),
        f"is {name}{default}, but the records hold masks as {held}",
        f"Set mask_type: {right}",
    )


def _boxes(looked_at, at):
    large = [record for record in looked_at if record.largest > _PIXELS]
    if large:
        yield Finding(
            at,
            f"holds boxes in pixels, it seems: {large[0].name} has a coordinate of "
            f"{large[0].largest:g}, and {len(large)} of the first {len(looked_at)} records are so",
            "Box coordinates are parts of the image, 0 to 1: divide them by its width and height",
        )
    boxes = [box for record in looked_at for box in record.boxes]
    for low, high, ends in ((0, 2, "ymin above ymax"), (1, 3, "xmin above xmax")):
        swapped = sum(box[low] > box[high] for box in boxes)
        if boxes and swapped >= _SYSTEMATIC * len(boxes):
            yield Finding(
                at,
                f"holds boxes with {ends}: {swapped} of the {len(boxes)} in the first "
                f"{len(looked_at)} records. None of them can be used",
                "Write the records again with the two exchanged",
            )


def _unknown_texts(looked_at, at, reader, class_ids):
    texts = Counter(text for record in looked_at for text in record.texts if text)
    meant_so = {*class_ids, *reader.ignore_class}
    unknown = {text: count for text, count in texts.items() if text not in meant_so}
    if not unknown:
        return
    shown = listed([f'"{text}" ({count})' for text, count in unknown.items()])
    close = {text_proto.nearest(text, class_ids) for text in unknown} - {None}
    meant = sorted(f'"{name}"' for name in close)
    has = f"Close to these in the map: {listed(meant)}" if meant else ""
    known = has or f"The map has {listed([f'{chr(34)}{name}{chr(34)}' for name in class_ids])}"
    if IGNORE_CLASS in unknown:
        known += (
            f'. Objects of "{IGNORE_CLASS}" are ignore regions: give the reader ignore_class: '
            f'"{IGNORE_CLASS}"'
        )
    yield Finding(
        at,
        f"holds objects of classes that {reader.label_map_path} lacks: {shown} in the first "
        f"{len(looked_at)} records",
        f"Add them to the label map, or use the label map the records were written with. {known}",
    )


def _labels(looked_at, at, num_classes, class_ids):
    by_number = [record for record in looked_at if record.labels and not any(record.texts)]
    labels = [label for record in by_number for label in record.labels]
    with_zero = [record.name for record in by_number if 0 in record.labels]
    if with_zero and 0 not in (class_ids or {}).values():
        yield Finding(
            at,
            f"holds {labels.count(0)} object(s) with the class number 0 ({listed(with_zero, 3)}), "
            f"and the numbers {min(labels)} to {max(labels)}. Class numbers begin at 1: such "
            "objects cannot be learned, and where the numbers were counted from 0 all classes are "
            "shifted by one",
            "Write the records again with 1 added to each image/object/class/label, or with the "
            "classes' names in image/object/class/text",
        )
    wrong = sorted(
        {label for record in by_number for label in record.labels if label > num_classes}
    )
    if num_classes and wrong:
        yield Finding(
            at,
            f"holds objects with the class number(s) {listed(wrong)}, above num_classes, which is "
            f"{num_classes}",
            f"Set model.faster_rcnn.num_classes: {wrong[-1]} if these numbers are meant",
        )


def _nothing_usable(looked_at, files, at, num_classes, class_ids):
    """A finding where neither the first records nor those after them have a usable box."""

    def is_usable(record):
        return _usable_boxes(record, num_classes, class_ids) > 0

    if any(map(is_usable, looked_at)):
        return
    serialized = itertools.chain.from_iterable(map(record_files.intact_records, files))
    seen = boxes = 0
    for each in itertools.islice(serialized, _SEARCHED):
        record = _of_record(each)
        seen += 1
        if record is None:
            continue
        if is_usable(record):
            return
        boxes += record.count
    which = f"the first {seen} records" if seen == _SEARCHED else f"all {seen} records"
    what = f"{boxes} boxes, none of them usable" if boxes else "no box"
    yield Finding(
        at,
        f"holds no object to learn: {which} have {what}",
        "A box needs four finite numbers with its minimum below its maximum, inside the image, and "
        "a class of the label map; see `python -m object_detection.browse_data`",
    )


def _usable_boxes(record, num_classes, class_ids):
    """How many boxes of `_Objects` the decoder would keep."""
    if not record.labels and not any(record.texts):
        return 0
    texts = record.texts if len(record.texts) == len(record.boxes) else [""] * len(record.boxes)
    labels = record.labels if len(record.labels) == len(record.boxes) else [0] * len(record.boxes)
    usable = 0
    for (ymin, xmin, ymax, xmax), text, label in zip(record.boxes, texts, labels, strict=True):
        number = class_ids.get(text, 0) if text and class_ids is not None else label
        known = 1 <= number <= (num_classes or number) or (text and class_ids is None)
        inside = min(ymax, 1.0) > max(ymin, 0.0) and min(xmax, 1.0) > max(xmin, 0.0)
        finite = all(map(math.isfinite, (ymin, xmin, ymax, xmax)))
        usable += bool(known and inside and finite)
    return usable
