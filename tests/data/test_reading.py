import itertools
import os

import pytest
import tensorflow as tf
from made_records import write

from object_detection.data import reading, report
from object_detection.data.report import InputReport

DEFAULTS = reading.ReadOptions(
    shuffle=False,
    shuffle_buffer_size=100,
    shuffle_files=False,
    num_readers=64,
    read_block_length=32,
    num_epochs=1,
)
SHUFFLED = DEFAULTS._replace(shuffle=True, shuffle_files=True)


@pytest.fixture
def files(tmp_path):
    """Four files of 5 records: b"0.0", b"0.1" ... b"3.4"."""
    return [
        write(tmp_path / f"{file}.record", [b"%d.%d" % (file, n) for n in range(5)])
        for file in range(4)
    ]


ALL = [f"{file}.{n}" for file in range(4) for n in range(5)]


def read_names(files, options, input_report):
    """Yields the records of one data set, as text."""
    for one in reading.read(reading.Sources([files], [], options), input_report):
        yield one.record.serialized.numpy().decode()


def names(files, options, *, take=None, weights=(), input_report=None):
    """The records read, as text."""
    sources = reading.Sources(
        [[path] for path in files] if weights else [files], list(weights), options
    )
    dataset = reading.read(sources, input_report or InputReport())
    dataset = dataset if take is None else dataset.take(take)
    return [one.record.serialized.numpy().decode() for one in dataset]


def test_in_order(files):
    assert names(files, DEFAULTS) == ALL
    assert names(files, DEFAULTS._replace(num_epochs=3)) == ALL * 3
    # Two files at a time, two records of each in turn.
    got = names(files[:2], DEFAULTS._replace(read_block_length=2))
    assert got == ["0.0", "0.1", "1.0", "1.1", "0.2", "0.3", "1.2", "1.3", "0.4", "1.4"]
    assert names(files[:2], DEFAULTS._replace(num_readers=1)) == ALL[:10]


def test_records_are_numbered_and_know_their_place(files):
    dataset = reading.read(
        reading.Sources([files], [], DEFAULTS._replace(num_epochs=2)), InputReport()
    )
    got = [(int(one.number), int(one.record.index)) for one in dataset]
    assert got == [(number, number % 5) for number in range(40)]


def test_every_epoch_holds_every_record_once_in_another_order(files):
    got = names(files, SHUFFLED._replace(num_epochs=4))
    epochs = [got[start : start + 20] for start in range(0, 80, 20)]
    assert all(sorted(epoch) == ALL for epoch in epochs)
    assert all(a != b for a, b in itertools.combinations([*epochs, ALL], 2))


def test_files_are_shuffled_too(files):
    one_record_at_a_time = SHUFFLED._replace(shuffle_buffer_size=1, num_readers=1, num_epochs=8)
    got = names(files, one_record_at_a_time)
    orders = {tuple(name[0] for name in got[at : at + 20 : 5]) for at in range(0, 160, 20)}
    assert len(orders) > 2
    assert all(sorted(order) == ["0", "1", "2", "3"] for order in orders)


def test_the_seed_alone_makes_the_order(files):
    endless = SHUFFLED._replace(num_epochs=0, seed=3)
    first = names(files, endless, take=70)
    tf.random.set_seed(99)
    assert names(files, endless, take=70) == first
    assert names(files, endless._replace(seed=4), take=70) != first
    dataset = reading.read(reading.Sources([files], [], endless), InputReport()).take(30)
    once, again = ([one.record.serialized.numpy() for one in dataset] for _ in range(2))
    assert once == again


def test_a_small_buffer_shuffles_near_by(files):
    got = names(files, DEFAULTS._replace(shuffle=True, shuffle_buffer_size=3))
    assert sorted(got) == ALL
    assert got != ALL
    # The n-th record to leave a buffer of 3 is among the first n + 2.
    assert all(ALL.index(name) <= place + 2 for place, name in enumerate(got))


@pytest.mark.parametrize("options", [DEFAULTS, SHUFFLED])
def test_workers_share_the_records(files, options):
    shares = [names(files, options._replace(num_shards=3, shard_index=shard)) for shard in range(3)]
    assert sorted(itertools.chain(*shares)) == ALL
    assert [len(share) for share in shares] == [7, 7, 6]


def test_one_of_n(files):
    assert names(files, DEFAULTS._replace(sample_1_of_n=4)) == ALL[::4]
    got = names(files, DEFAULTS._replace(sample_1_of_n=2, num_shards=2, shard_index=1))
    assert got == ALL[2::4]


def test_the_shuffle_buffer_is_bound_by_memory(files):
    # Frames of 16 + 3 bytes, counted as 20.
    assert reading.limit_buffer(2048, files) == 2048
    assert reading.limit_buffer(2048, files, limit=200) == 10
    assert reading.limit_buffer(2048, files, limit=1) == 2
    assert reading.limit_buffer(7, files, limit=200) == 7


def test_weights_mix_data_sets(files):
    options = SHUFFLED._replace(num_epochs=0)
    got = names(files[:2], options, take=2000, weights=[1, 3])
    assert sum(name[0] == "1" for name in got) / 2000 == pytest.approx(0.75, abs=0.04)
    assert names(files[:2], options, take=50, weights=[1, 3]) == got[:50]
    # Each data set has its own order and all of its records.
    of_second = [name for name in got if name[0] == "1"][:20]
    assert sorted(of_second[:5]) == sorted(of_second[5:10]) == ALL[5:10]
    assert names(files[:3], options, take=30, weights=[0, 1, 0])[0][0] == "1"


def test_a_data_set_without_a_record_ends_the_run(tmp_path):
    empty = [write(tmp_path / f"{n}.record", []) for n in range(2)]
    for num_epochs in (0, 1, 5):
        found = InputReport(name="train")
        with pytest.raises(tf.errors.CancelledError):
            names(empty, DEFAULTS._replace(num_epochs=num_epochs), input_report=found)
        assert "train: no record in 2 file(s): " in found.fault
        assert empty[0] in found.fault
        assert found.counts() == {report.EMPTY_FILE: 2}


def test_a_broken_file_does_not_end_the_others(files):
    with open(files[1], "r+b") as file:
        file.truncate(2 * 19 + 7)  # frames of 16 + 3 bytes: two records are whole
    found = InputReport()
    got = names(files, DEFAULTS._replace(num_epochs=2), input_report=found)
    assert got == [name for name in ALL if name not in ("1.2", "1.3", "1.4")] * 2
    assert found.counts() == {report.BROKEN_FILE: 1}


def test_files_that_go_away_during_a_run_do_not_stop_it(files):
    found = InputReport(name="train")
    records = iter(read_names(files, DEFAULTS._replace(num_epochs=0), found))
    assert [next(records) for _ in ALL] == ALL
    os.remove(files[1])
    rest = [name for name in ALL if not name.startswith("1.")]
    assert [next(records) for _ in rest * 3] == rest * 3
    assert found.counts() == {report.UNREADABLE_FILE: 1}


@pytest.mark.parametrize("num_epochs", [0, 3])
def test_a_run_whose_files_are_all_gone_ends(files, num_epochs):
    found = InputReport(name="train")
    records = iter(read_names(files, DEFAULTS._replace(num_epochs=num_epochs), found))
    assert [next(records) for _ in ALL] == ALL
    for path in files:
        os.remove(path)
    with pytest.raises(tf.errors.CancelledError):
        list(records)
    assert "train: no record in 4 file(s): " in found.fault
