"""Records in shards that are whole or absent."""

import pytest
import tensorflow as tf

from object_detection.datasets.records import ShardedRecords, frame, read_json, write_json


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _contents(path):
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def _write(records, index, *contents):
    with records.open(index) as file:
        file.writelines(map(frame, contents))
    records.finish(index, {"contents": len(contents)})


def test_shards_appear_together_under_tfods_names(tmp_path):
    records = ShardedRecords(tmp_path / "new" / "x.record", 2)
    records.begin({})

    _write(records, 0, b"a", b"c")
    _write(records, 1, b"b")
    assert not tf.io.gfile.glob(str(tmp_path / "new" / "x.record*"))
    records.appear()
    records.forget()

    names = ["x.record-00000-of-00002", "x.record-00001-of-00002"]
    assert _names(tmp_path / "new") == names
    assert [_contents(tmp_path / "new" / name) for name in names] == [[b"a", b"c"], [b"b"]]
    assert records.pattern == str(tmp_path / "new" / "x.record-?????-of-00002")


def test_no_shards_is_one_file_of_the_very_name(tmp_path):
    records = ShardedRecords(tmp_path / "x.record", 0)
    records.begin({})
    _write(records, 0, b"a")
    records.appear()
    records.forget()

    assert _names(tmp_path) == ["x.record"]
    assert records.pattern == str(tmp_path / "x.record")


def test_what_was_finished_is_known_to_the_next_run(tmp_path):
    stopped = ShardedRecords(tmp_path / "x", 3)
    stopped.begin({"seed": 1})
    _write(stopped, 1, b"b")
    stopped.open(2).close()  # begun, not finished

    assert ShardedRecords(tmp_path / "x", 3).unfinished() == ({"seed": 1}, {1: {"contents": 1}})
    assert ShardedRecords(tmp_path / "y", 3).unfinished() == (None, {})


def test_a_shard_of_another_length_than_noted_is_not_finished(tmp_path):
    records = ShardedRecords(tmp_path / "x", 1)
    records.begin({})
    _write(records, 0, b"a")
    with records.open(0) as file:
        file.write(b"cut")

    assert records.unfinished() == ({}, {})


def test_a_run_stopped_among_the_names_goes_on_there(tmp_path):
    records = ShardedRecords(tmp_path / "x", 2)
    records.begin({})
    _write(records, 0, b"a")
    _write(records, 1, b"b")
    (records.folder / "00000").rename(records.paths[0])  # as if killed after the first name

    assert records.unfinished()[1].keys() == {0, 1}
    records.appear()

    assert [_contents(path) for path in records.paths] == [[b"a"], [b"b"]]


def test_a_new_beginning_forgets_the_old(tmp_path):
    records = ShardedRecords(tmp_path / "x", 1)
    records.begin({"seed": 1})
    _write(records, 0, b"a")

    records.begin({"seed": 2})

    assert records.unfinished() == ({"seed": 2}, {})


@pytest.mark.parametrize(
    ("num_shards", "strange"),
    [(1, ["x", "x-00000-of-00007"]), (0, ["x-00000-of-00001", "x-00000-of-00007"])],
)
def test_records_of_another_run_are_named(tmp_path, num_shards, strange):
    for name in ("x", "x-00000-of-00001", "x-00000-of-00007", "xy-00000-of-00007", "x-report"):
        (tmp_path / name).touch()

    assert [path.name for path in ShardedRecords(tmp_path / "x", num_shards).strangers()] == strange


def test_json_that_is_cut_off_is_none(tmp_path):
    write_json(tmp_path / "a.json", {"ü": [1, "\udc80"]})

    assert read_json(tmp_path / "a.json") == {"ü": [1, "\udc80"]}
    (tmp_path / "a.json").write_bytes((tmp_path / "a.json").read_bytes()[:9])
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path / "b.json") is None
