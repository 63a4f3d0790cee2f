"""Reads records as they are in their files, before any decoding."""

import math
from typing import NamedTuple

import tensorflow as tf

from object_detection.data import record_files
from object_detection.data.files import HeldFiles

MASK, CUT_MASK = "image/object/mask", "image/object/mask/box_png"
PNG, NUMERICAL = "png", "numerical"


class RawRecord(NamedTuple):
    """What a record states, read without decoding its image."""

    serialized: bytes
    path: str
    index: int  # position in the file
    id: str = ""  # its source_id, else its filename
    encoded: bytes = b""  # the image file
    stated_size: tuple[int, int] | None = None  # (height, width)
    labels: tuple[int, ...] = ()
    texts: tuple[bytes, ...] = ()
    num_objects: int = 0
    mask_kind: str | None = None  # PNG, NUMERICAL, or None without masks

    @property
    def place(self):
        """Its position, for people."""
        return f"{self.path.rpartition('/')[2]}, record {self.index}"


def read(files, input_report, *, keep_every=1):
    """Yield the intact records of files, in order.

    Args:
        files: Their paths.
        input_report: `InputReport` that collects broken, empty and unreadable files.
        keep_every: Read one of this many records.

    Yields:
        (serialized bytes, path, index in its file).
    """

    held = HeldFiles()

    def begin(path):
        return record_files.readable_path(path, input_report, held)

    def check(path, records, size):
        record_files.check_file(path, records, size, input_report)
        return True

    dataset = tf.data.Dataset.from_tensor_slices(tf.constant(files, tf.string)).flat_map(
        lambda path: record_files.read_records(path, begin, check)
    )
    for record in dataset.shard(keep_every, 0).prefetch(2):
        yield record.serialized.numpy(), record.path.numpy().decode(), int(record.index)


def parse(serialized, path, index):
    """Return a `RawRecord`; one that is not a tf.Example has only its position."""
    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's own error type differs between its implementations
        return RawRecord(serialized, path, index)
    kinds = {key: value.WhichOneof("kind") for key, value in feature.items()}

    def values(key, *allowed):
        kind = kinds.get(key)
        return tuple(getattr(feature[key], kind).value) if kind in allowed else ()

    def first(key):
        return next(iter(values(key, "bytes_list")), b"")

    size = [values(f"image/{side}", "int64_list", "float_list") for side in ("height", "width")]
    kind = NUMERICAL if values(MASK, "float_list", "int64_list") else None
    if values(MASK, "bytes_list") or values(CUT_MASK, "bytes_list"):
        kind = PNG
    identity = first("image/source_id") or first("image/filename")
    return RawRecord(
        serialized,
        path,
        index,
        id=identity.decode("utf-8", "replace"),
        encoded=first("image/encoded"),
        stated_size=_size(*(side[0] for side in size)) if all(size) else None,
        labels=values("image/object/class/label", "int64_list"),
        texts=values("image/object/class/text", "bytes_list"),
        num_objects=len(values("image/object/bbox/ymin", "float_list")),
        mask_kind=kind,
    )


def _size(height, width):
    """Return (height, width) as ints; None for other numbers."""
    if not (math.isfinite(height) and math.isfinite(width)):
        return None
    return int(height), int(width)
