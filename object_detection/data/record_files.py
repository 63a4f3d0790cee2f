"""TFRecord files: reading and checking them.

A file is a row of records, each 8 bytes length, 4 bytes checksum of the length, the record itself,
and 4 bytes checksum of the record.
"""

import functools
import os
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from object_detection.data import report
from object_detection.errors import RecordError

_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_FRAME_BYTES = _HEADER_BYTES + _FOOTER_BYTES
_MOST_BYTES = 2**31  # that a record can have: protobuf's limit
_SHOWN = 5


class Record(NamedTuple):
    """A serialized record and its location."""

    serialized: tf.Tensor  # string scalar
    path: tf.Tensor  # string scalar
    index: tf.Tensor  # int64 scalar, position in the file


class RecordFile(NamedTuple):
    """Content of a record file up to its first fault."""

    records: int
    fault: str | None  # what is wrong
    offset: int  # byte of the fault, or of the end


def call_python(function: Callable, arguments: list, result: tf.DType = tf.bool) -> tf.Tensor:
    """Call a Python function from inside of a pipeline: for rare events, like broken records.

    Args:
        function: called with numpy values. A `RecordError` of it ends the pipeline with only its
            message: raised through TensorFlow it would be logged with tracebacks.
        arguments: list of tensors.
        result: type of the returned value: `tf.bool`, or `tf.string` for a str.

    Returns:
        The returned value, a scalar.
    """
    none = b"" if result == tf.string else False

    def run(*values):
        try:
            returned = function(*values)
            return returned.encode() if result == tf.string else bool(returned), b""
        except RecordError as error:
            return none, str(error).encode()

    returned, message = tf.numpy_function(run, arguments, [result, tf.string])
    returned.set_shape([])
    message.set_shape([])
    with tf.control_dependencies([tf.cond(message == "", lambda: True, _raise_cancelled)]):
        return tf.identity(returned)


def _raise_cancelled():
    """Raise a `tf.errors.CancelledError`, the only kind that `ignore_errors` lets through."""
    with tf.control_dependencies([_closed_queue().enqueue(False)]):
        return tf.constant(False)


@functools.cache
def _closed_queue():
    """A closed queue, kept here because a graph does not keep it."""
    with tf.init_scope():
        queue = tf.queue.FIFOQueue(1, [tf.bool], shapes=[[]])
        queue.close()
    return queue


def refuse_all_empty(files, *, field):
    """Raises an `RecordError` where all files have no byte."""
    if all(tf.io.gfile.stat(path).length == 0 for path in files):
        shown = ", ".join(files[:_SHOWN]) + (", ..." if len(files) > _SHOWN else "")
        raise RecordError(
            f"{field}: all {len(files)} record file(s) are empty (0 bytes): {shown}. "
            "Write them again."
        )


def read_records(path, begin, check):
    """Return the intact records of one file, in order, as a dataset that ends at the first fault.

    Args:
        path: string scalar tensor.
        begin: called in Python before the file is opened, as `begin(path)`; returns the path to
            read it at, or "" if it cannot be opened: TensorFlow itself would try forever.
        check: called in Python when the file ends, as `check(path, records, bytes)` with the
            numbers of records and of bytes read; it may raise.

    Returns:
        tf.data.Dataset of `Record`.
    """
    opened = call_python(lambda path: begin(path.decode()), [path], tf.string)
    readable = tf.boolean_mask([opened], [opened != ""])
    safe = call_python(lambda path: str(_safe_records(path.decode())), [opened], tf.string)
    safe = tf.strings.to_number(safe, tf.int64)
    intact = tf.data.TFRecordDataset(readable).take(safe).ignore_errors()
    end = tf.data.Dataset.from_tensors(("", False))
    marked = intact.map(lambda serialized: (serialized, True)).concatenate(end)

    def count(state, element):
        records, size = state
        serialized, is_record = element
        length = tf.strings.length(serialized, unit="BYTE")
        after = (records + tf.cast(is_record, tf.int64), size + tf.cast(length, tf.int64))
        return after, (Record(serialized, path, records), is_record, size)

    def check_end(path, records, size):
        check(path.decode(), int(records), int(size))
        return False  # the mark after the last record is dropped

    def is_record_or_checked(record, is_record, size):
        return tf.cond(
            is_record,
            lambda: True,
            lambda: call_python(check_end, [record.path, record.index, size]),
        )

    zero = tf.constant(0, tf.int64)
    counted = marked.scan((zero, zero), count).filter(is_record_or_checked)
    return counted.map(lambda record, is_record, size: record)


def readable_path(path, input_report, held):
    """Return a path that opens for certain; "" and a note in the report if the file does not open.

    Files may be moved during a run.

    Args:
        path: of the file.
        input_report: `InputReport` for files that do not open.
        held: `HeldFiles` that keeps local files from vanishing.
    """
    try:
        if "://" not in path:
            return held.hold(path)
        with _open(path) as file:
            file.read(1)
    except (OSError, tf.errors.OpError) as error:
        note_unreadable(path, str(error), input_report)
        return ""
    return path


def note_unreadable(path, why, input_report):
    """Note a file that cannot be opened."""
    input_report.note(report.UNREADABLE_FILE, path, detail=why)


def check_file(path, records, size, input_report):
    """Note in the report if a file is empty, or if it was not read to its end.

    An intact file is recognized by its length: `records` of together `size` bytes, each in its
    frame.
    """
    try:
        length = tf.io.gfile.stat(path).length
    except tf.errors.OpError:
        return  # `readable_path` reports it, now or in the next epoch
    if length == 0:
        input_report.note(report.EMPTY_FILE, path)
    elif length != size + _FRAME_BYTES * records:
        scanned = scan_record_file(path)
        detail = (
            f"{scanned.records} records are intact; at byte {scanned.offset} of {length}: "
            f"{scanned.fault}"
        )
        input_report.note(report.BROKEN_FILE, path, detail=detail)


def intact_records(path, most=-1):
    """Yield the records of one file as bytes, up to its first fault.

    Args:
        path: of the file.
        most: largest number of records; -1: all.

    Raises:
        tf.errors.OpError: the file cannot be opened.
    """
    path = str(path)
    safe = _safe_records(path)
    limit = safe if most < 0 else most if safe < 0 else min(most, safe)
    records = iter(tf.data.TFRecordDataset(path).take(limit))
    while True:
        try:
            serialized = next(records, None)
        except tf.errors.DataLossError:
            return
        if serialized is None:
            return
        yield serialized.numpy()


def _safe_records(path):
    """Number of records that TensorFlow can read safely; -1: all, or up to a fault it reports.

    TensorFlow allocates the length in a header before it checks the size of the file, and the
    process ends where a header states terabytes.
    """
    if not path or "://" in path:  # the headers of remote files are not read one by one
        return -1
    try:
        with _open(path) as file:
            status = os.fstat(file.fileno())
            key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            with _LOCK:
                if key in _SAFE:
                    return _SAFE[key]
            safe = _records_before_giant(file, status.st_size)
    except OSError:
        return -1  # TensorFlow reports why it does not open
    with _LOCK:
        _SAFE[key] = safe
    return safe


_LOCK = threading.Lock()
_SAFE = {}  # file -> `_safe_records`: each epoch opens it anew


def _records_before_giant(file, length):
    offset, records = 0, 0
    while offset + _HEADER_BYTES <= length:
        file.seek(offset)
        size = _record_length(file.read(_HEADER_BYTES))
        if size > _MOST_BYTES:
            return records
        offset += size + _FRAME_BYTES
        records += 1
    return -1


def scan_record_file(path):
    """Read a whole file, checksums included, up to its first fault; return a `RecordFile`."""
    path = str(path)
    length = tf.io.gfile.stat(path).length
    records, offset, fault = 0, 0, None
    for serialized in intact_records(path):
        records += 1
        offset += _FRAME_BYTES + len(serialized)
    if offset != length:
        fault = _fault_at(path, offset, length)
    return RecordFile(records, fault, offset)


def count_records(path):
    """Count the records of a file by their headers only (a fault ends the count)."""
    length = tf.io.gfile.stat(path).length
    records, offset = 0, 0
    with _open(path) as file:
        while offset + _HEADER_BYTES <= length:
            file.seek(offset)
            offset += _record_length(file.read(_HEADER_BYTES)) + _FRAME_BYTES
            if offset > length:
                break
            records += 1
    return records


def _fault_at(path, offset, length):
    with _open(path) as file:
        file.seek(offset)
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return "the file ends within the header of a record; it was cut off, write it again"
    if offset == 0 and header[:2] == b"\x1f\x8b":
        return "the file is compressed with gzip; unpack it"
    size = _record_length(header)
    if offset == 0 and not _is_header(header):
        return f"this is not a TFRecord file (it begins with {header[:8]!r})"
    if _is_header(header) and offset + size + _FRAME_BYTES > length:
        return f"a record of {size} bytes goes beyond the end; the file was cut off, write it again"
    return "the checksum of a record is wrong; the file was damaged, write it again"


def _record_length(header):
    return struct.unpack("<Q", header[:8])[0]


def _is_header(header):
    """Whether the checksum of a record's length is right: CRC-32C, rotated and shifted."""
    crc = 0xFFFFFFFF
    for byte in header[:8]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return masked == struct.unpack("<I", header[8:12])[0]


def _open(path):
    """A local file as Python opens it, which seeks much faster; a remote one by TensorFlow."""
    return tf.io.gfile.GFile(path, "rb") if "://" in path else open(path, "rb", buffering=0)
