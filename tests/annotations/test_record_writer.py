"""Records in shards that are whole or absent."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.annotations.record_writer import ShardedWriter, example


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _numbers(path):
    """The `n` of each record of a shard."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [
        tf.train.Example.FromString(record).features.feature["n"].int64_list.value[0]
        for record in records
    ]


def _n(number):
    return {"n": np.array([number])}


def test_features_get_the_type_of_their_values():
    features = example(
        {"b": [b"x", b""], "i": np.array([1, 2]), "f": np.array([0.5]), "none": np.array([])}
    ).features.feature

    assert list(features["b"].bytes_list.value) == [b"x", b""]
    assert list(features["i"].int64_list.value) == [1, 2]
    assert list(features["f"].float_list.value) == [0.5]
    assert features["none"].WhichOneof("kind") == "float_list"


def test_records_go_to_the_shards_in_turn(tmp_path):
    with ShardedWriter(tmp_path / "new" / "x.record", 2) as writer:
        for number in range(5):
            writer.write(_n(number))

    names = ["x.record-00000-of-00002", "x.record-00001-of-00002"]
    assert _names(tmp_path / "new") == names
    assert [_numbers(tmp_path / "new" / name) for name in names] == [[0, 2, 4], [1, 3]]
    assert writer.pattern == str(tmp_path / "new" / "x.record-?????-of-00002")


def test_more_shards_than_records_are_empty_files(tmp_path):
    with ShardedWriter(tmp_path / "x", 3) as writer:
        writer.write(_n(1))

    assert [path.stat().st_size > 0 for path in writer.paths] == [True, False, False]


def test_nothing_looks_whole_before_the_end(tmp_path):
    with ShardedWriter(tmp_path / "x.record", 2) as writer:
        writer.write(_n(1))
        assert not tf.io.gfile.glob(str(tmp_path / "x.record*"))


def test_an_error_leaves_what_was_there_and_nothing_half(tmp_path):
    with ShardedWriter(tmp_path / "x", 1) as writer:
        writer.write(_n(1))

    def break_off():
        with ShardedWriter(tmp_path / "x", 1) as writer:
            writer.write(_n(2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert _names(tmp_path) == ["x-00000-of-00001"]
    assert _numbers(tmp_path / "x-00000-of-00001") == [1]


def test_shards_of_another_run_are_named(tmp_path):
    for name in ("x-00000-of-00007", "xy-00000-of-00007", "x-report"):
        (tmp_path / name).touch()

    with ShardedWriter(tmp_path / "x", 1) as writer:
        writer.write(_n(1))

    assert [path.name for path in writer.strangers()] == ["x-00000-of-00007"]
