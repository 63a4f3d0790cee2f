"""Damaged records in files, read as training, evaluation, preflight and `browse_data` do."""

import logging

import mutations
import tensorflow as tf
from google.protobuf import text_format
from made_records import image_bytes, picture, record, write
from tiny_models import PYRAMID

from object_detection.builders import dataset_builder
from object_detection.config import record_checks
from object_detection.data import record_files
from object_detection.protos import input_reader_pb2, model_pb2
from object_detection.reports import data_browser, scanning

ERRORS = ("RecordError",)
# One of 250 inputs is a file of 25 records for the whole input pipeline and may take 12 times as
# long: TensorFlow needs seconds to build one. The other inputs go through the same decoder.
SLOW = (250, 12)
BOX = (0.25, 0.2, 0.75, 0.5)
IDS = {"cat": 1, "dog": 2}
LABEL_MAP = "item { id: 1 name: 'cat' }\nitem { id: 2 name: 'dog' }\n"
NUMERICAL = [float(25 <= place < 60) for place in range(80)]


def prepare(folder):
    """The ways to read a file, each built once over a file that every input replaces."""
    path = write(folder / "case.record", [record([BOX], masks=True)])
    label_map = folder / "label_map.pbtxt"
    label_map.write_text(LABEL_MAP)
    model = text_format.Parse(PYRAMID, model_pb2.DetectionModel())
    readers = {}
    for kind in ("PNG_MASKS", "NUMERICAL_MASKS", ""):
        masks = f"load_instance_masks: true mask_type: {kind}" if kind else ""
        text = f"label_map_path: '{label_map}' {masks} shuffle: false num_epochs: 1 "
        text += f"tf_record_input_reader {{ input_path: '{path}' }}"
        config = text_format.Parse(text, input_reader_pb2.InputReader())
        readers[kind] = config, model
    classes = data_browser.Classes(IDS, {1: "cat", 2: "dog"}, "label map", True)
    scanner = scanning.RecordScanner([path], classes, 2)
    # Functions are traced when they are first called, which takes seconds.
    for example in (record([BOX], masks=True), record([BOX], mask=NUMERICAL), record([BOX])):
        write(path, [example])
        list(scanner.scan(keep_every=1))
    return folder / "case.record", readers, scanner


def run(dice, state, folder):
    path, readers, scanner = state
    by_files = dice.number % SLOW[0] == 0
    content = [_damaged_record(dice) for _ in range(25 if by_files else 1)]
    write(folder / "case.record", [*content, record([BOX], masks=True, seed=1)])
    if dice.random() < 0.2:
        mutations.damaged_file(folder / "case.record", dice)
    path.write_bytes((folder / "case.record").read_bytes())
    record_files.scan_record_file(str(path))
    if by_files:
        config, model = readers[dice.choice(["PNG_MASKS", "PNG_MASKS", "NUMERICAL_MASKS", ""])]
        _by_files(str(path), config, model, scanner)
    else:
        scanner._scan((content[0], str(path), 0))  # the decoder, without a dataset around it


def _by_files(path, config, model, scanner):
    found = record_checks.check(config, "reader", [path], num_classes=2, class_ids=IDS)
    for finding in (*found.faults, *found.warnings):
        str(finding).encode()
    scanning.with_duplicates(list(scanner.scan(keep_every=1)))
    pipeline = dataset_builder.build(
        config, model_config=model, training=False, batch_size=1, seed=0
    )
    for batch in pipeline:
        batch.truth.boxes.numpy()
    logging.info("%s", pipeline.report.counts())


def _damaged_record(dice):
    action = dice.randrange(10)
    if action < 3:
        return mutations.damaged_bytes(_whole(dice), dice)
    message = tf.train.Example.FromString(_whole(dice))
    for _ in range(dice.choice([1, 1, 2, 4])):
        _damage_feature(message.features.feature, dice)
    return message.SerializeToString()


def _whole(dice):
    options = dice.choice(
        [
            {"masks": True},
            {"masks": True, "text": ["cat", "dog"], "crowd": [0, 1], "area": [3.0, 4.0]},
            {"mask": NUMERICAL * 2},
            {"encoded": image_bytes(picture(), "JPEG"), "format": "jpeg"},
            {"encoded": image_bytes(picture(), "BMP"), "masks": True},
            {"encoded": image_bytes(picture(), "GIF"), "difficult": [1, 0], "weight": [1.0, 0.0]},
        ]
    )
    return record([BOX, (0.0, 0.0, 1.0, 1.0)], **options)


def _damage_feature(features, dice):
    key = dice.choice(sorted(features))
    feature = features[key]
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    action = dice.randrange(8)
    if action == 0:
        del features[key]
    elif action == 1:
        feature.Clear()
        feature.float_list.value.extend(
            dice.choice([[], [float("nan")], [1e38] * 2, [float("inf")], [-1.0, 0.5], [0.5] * 5000])
        )
    elif action == 2:
        feature.Clear()
        feature.int64_list.value.extend(
            dice.choice([[], [-1], [2**62] * 2, [0], [1 << 20, 1 << 20], [1] * 5000, [70000]])
        )
    elif action == 3:
        feature.Clear()
        texts = dice.sample(mutations.ODD_TEXTS, 2)
        feature.bytes_list.value.extend(
            text.encode("utf-8", "surrogatepass") + dice.choice([b"", b"\xff", b"\0"])
            for text in texts
        )
    elif action == 4 and kind:
        getattr(feature, kind).value[:] = values[: dice.randint(0, len(values))]
    elif action == 5 and kind:
        getattr(feature, kind).value.extend(values * dice.choice([1, 3]))
    elif kind == "bytes_list" and values:
        at = dice.randrange(len(values))
        feature.bytes_list.value[at] = _damaged_picture(values[at], dice)
    elif kind == "float_list" and values:
        feature.float_list.value[dice.randrange(len(values))] = dice.choice(
            [float("nan"), -0.5, 1.5, 1e30, 40.0]
        )
    else:
        features[dice.choice(mutations.ODD_TEXTS[3:20])].int64_list.value.append(1)


def _damaged_picture(content, dice):
    """A picture that is cut or flipped, or whose header states another size."""
    if content[:4] == b"\x89PNG" and dice.random() < 0.5:
        side = dice.choice([0, 1, 9, 4000, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31])
        at = dice.choice([16, 20])
        header = content[:at] + side.to_bytes(4, "big") + content[at + 4 :]
        if dice.random() < 0.8:
            import zlib

            checksum = zlib.crc32(header[12:29]).to_bytes(4, "big")
            header = header[:29] + checksum + header[33:]
        return header
    if content[:2] == b"\xff\xd8" and dice.random() < 0.3:  # a start of frame: height, width
        at = content.find(b"\xff\xc0")
        return (
            content[: at + 5] + dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0"]) + content[at + 9 :]
        )
    return mutations.damaged_bytes(content, dice)
