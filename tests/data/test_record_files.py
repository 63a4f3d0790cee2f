import gzip
import os
import re
import struct

import pytest
import tensorflow as tf
from made_records import write

from object_detection.data import record_files, report
from object_detection.data.files import HeldFiles, find_files
from object_detection.data.record_files import RecordFile
from object_detection.data.report import InputReport
from object_detection.errors import RecordError

RECORDS = [b"a" * 10, b"b" * 30, b"c" * 20]
# Frames of 12 + 4 bytes: the records begin at 0, 26 and 72, and the file ends at 108.


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "made.record", RECORDS)


def read(path, check=lambda *found: None, begin=lambda path: path):
    dataset = tf.data.Dataset.from_tensors(path).flat_map(
        lambda path: record_files.read_records(path, begin, check)
    )
    return [(r.serialized.numpy(), int(r.index), r.path.numpy().decode()) for r in dataset]


def change(path, *, length=None, flip=None):
    """Cuts a file to a length, or changes the byte at an offset."""
    with open(path, "r+b") as file:
        if length is not None:
            file.truncate(length)
        if flip is not None:
            file.seek(flip)
            byte = file.read(1)[0]
            file.seek(flip)
            file.write(bytes([byte ^ 1]))


def test_records_come_with_their_place(path):
    seen = []
    assert read(path, lambda *found: seen.append(found)) == [
        (serialized, index, path) for index, serialized in enumerate(RECORDS)
    ]
    assert seen == [(path, 3, 60)]


def test_an_intact_file_is_not_noted(path):
    found = InputReport()
    record_files.check_file(path, 3, 60, found)
    assert found.counts() == {}


@pytest.mark.parametrize(
    ("fault", "records", "offset", "said"),
    [
        ({"length": 107}, 2, 72, "a record of 20 bytes goes beyond the end; the file was cut off"),
        ({"length": 80}, 2, 72, "ends within the header of a record; it was cut off"),
        ({"length": 73}, 2, 72, "ends within the header"),
        ({"flip": 26 + 15}, 1, 26, "checksum of a record is wrong; the file was damaged"),
        ({"flip": 26 + 12 + 30}, 1, 26, "checksum of a record is wrong"),
        ({"flip": 26 + 5}, 1, 26, "checksum of a record is wrong"),
        ({"flip": 5}, 0, 0, "not a TFRecord file"),
        ({"flip": 9}, 0, 0, "not a TFRecord file"),
        ({"length": 20}, 0, 0, "a record of 10 bytes goes beyond the end"),
    ],
)
def test_a_fault_ends_the_file_and_is_named(path, fault, records, offset, said):
    change(path, **fault)
    found = InputReport()

    got = read(path, lambda *args: record_files.check_file(*args, found))

    assert [serialized for serialized, _, _ in got] == RECORDS[:records]
    assert found.counts() == {report.BROKEN_FILE: 1}
    assert found.names(report.BROKEN_FILE) == [path]
    scan = record_files.scan_record_file(path)
    assert (scan.records, scan.offset) == (records, offset)
    assert said in scan.fault


def test_a_header_that_states_terabytes_is_not_believed(path):
    # 2^62 bytes with the right checksum: TensorFlow would allocate them, and the process end.
    giant = struct.pack("<Q", 2**62) + bytes.fromhex("7f85f000")
    with open(path, "ab") as file:
        file.write(giant + b"x" * 100)
    found = InputReport()

    got = read(path, lambda *args: record_files.check_file(*args, found))

    assert [serialized for serialized, _, _ in got] == RECORDS
    assert found.names(report.BROKEN_FILE) == [path]
    scan = record_files.scan_record_file(path)
    assert f"a record of {2**62} bytes goes beyond the end" in scan.fault
    assert list(record_files.intact_records(path)) == RECORDS
    assert list(record_files.intact_records(path, 1)) == RECORDS[:1]


def test_a_cut_between_two_records_cannot_be_seen(path):
    change(path, length=72)
    assert record_files.scan_record_file(path) == RecordFile(2, None, 72)


def test_files_that_are_none(tmp_path):
    text = tmp_path / "a.record"
    text.write_bytes(b"This is no record file at all.")
    assert (
        "not a TFRecord file (it begins with b'This is "
        in record_files.scan_record_file(text).fault
    )
    packed = tmp_path / "b.record"
    packed.write_bytes(gzip.compress(b"some records"))
    assert "compressed with gzip; unpack it" in record_files.scan_record_file(packed).fault
    short = tmp_path / "c.record"
    short.write_bytes(b"abc")
    assert "ends within the header" in record_files.scan_record_file(short).fault


def test_an_empty_file_is_noted_though_it_has_no_fault(tmp_path):
    path = write(tmp_path / "none.record", [])
    found = InputReport()
    assert read(path, lambda *args: record_files.check_file(*args, found)) == []
    assert found.counts() == {report.EMPTY_FILE: 1}


def test_a_strict_run_names_file_and_offset(path):
    change(path, length=107)
    found = InputReport(strict=True)
    with pytest.raises(tf.errors.CancelledError):
        read(path, lambda *args: record_files.check_file(*args, found))
    assert path in found.fault
    assert "2 records are intact; at byte 72 of 107" in found.fault


def test_a_file_that_cannot_be_opened_is_named_and_has_no_record(path, caplog):
    found = InputReport()
    os.remove(path)
    got = read(
        path,
        lambda *args: record_files.check_file(*args, found),
        lambda path: record_files.readable_path(path, found, HeldFiles()),
    )
    assert got == []
    assert found.counts() == {report.UNREADABLE_FILE: 1}
    assert f"{path}: " in caplog.messages[0] and "No such file" in caplog.messages[0]


def test_a_file_that_goes_after_it_was_looked_at_is_read(path):
    held = HeldFiles()

    def begin(path):
        opened = record_files.readable_path(path, InputReport(), held)
        os.remove(path)
        return opened

    assert [record for record, *_ in read(path, begin=begin)] == RECORDS


def test_files_are_not_held_for_ever(path):
    def descriptors():
        links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return sum(os.path.realpath(link) == os.path.realpath(path) for link in links)

    held = HeldFiles()
    for _ in range(100):
        held.hold(path)
    assert descriptors() == 64
    with pytest.raises(IsADirectoryError):
        held.hold(os.path.dirname(path))
    del held
    assert descriptors() == 0


def test_counting_reads_headers_alone(path):
    assert record_files.count_records(path) == 3
    change(path, flip=26 + 15)
    assert record_files.count_records(path) == 3  # a checksum is not looked at
    change(path, length=107)
    assert record_files.count_records(path) == 2
    change(path, length=0)
    assert record_files.count_records(path) == 0


def test_globs_find_files_in_order(tmp_path):
    wanted = [write(tmp_path / f"t.record-0000{n}-of-00002", RECORDS) for n in (1, 0)]
    os.mkdir(tmp_path / "t.record-00002-of-00002")
    assert find_files(f"{tmp_path}/t.record-?????-of-00002", field="x") == wanted[::-1]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("PATH_TO_BE_CONFIGURED/a.record", "f still contains the placeholder: 'PATH_TO_BE"),
        ("{folder}/made.recordx", "no file matches .* The folder .* contains made.record, other."),
        ("{folder}/no/deep/*.record", "There is no folder .*/no; .* contains made.record, other."),
        ("{folder}/other/*", "The folder .*/other is empty."),
        ("nowhere-*.record", "Relative paths start at the folder the command runs in."),
        ("nowhere/a.record", "Relative paths start at the folder the command runs in."),
    ],
)
def test_paths_that_match_nothing_are_explained(path, tmp_path, pattern, said):
    os.mkdir(tmp_path / "other")
    with pytest.raises(RecordError) as caught:
        find_files(pattern.format(folder=tmp_path), field="f")
    assert re.search(said, str(caught.value)), caught.value


def test_files_without_a_byte_are_refused_only_if_all_are(tmp_path, path):
    empty = [write(tmp_path / f"{n}.record", []) for n in range(2)]
    record_files.refuse_all_empty([*empty, path], field="f")
    with pytest.raises(RecordError, match=r"f: all 2 record file\(s\) are empty.*0.record"):
        record_files.refuse_all_empty(empty, field="f")
