"""The stream of serialized records: files, epochs, sharding, shuffling and mixing.

Its order depends only on the seed, so that an interrupted run can continue at the same record.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.data import record_files
from object_detection.data.files import HeldFiles, LocalCopies

_FILES_READ_AT_ONCE = 16  # of remote ones
_SHUFFLE_BYTES = 1 << 30
_SEED_STEP = 7919  # sets the seeds of mixed data sets apart


class ReadOptions(NamedTuple):
    """Options for reading records.

    `num_epochs` 0 reads forever. Of the records of an epoch every `sample_1_of_n`-th is kept, and
    worker `shard_index` of `num_shards` gets an equal part of them. Records are shuffled while they
    are serialized, and within their epoch, so that every epoch contains every record once (TFOD's
    buffer runs across epochs). With a `cache_folder` files are copied there and read from there.
    """

    shuffle: bool
    shuffle_buffer_size: int
    shuffle_files: bool
    num_readers: int
    read_block_length: int
    num_epochs: int
    sample_1_of_n: int = 1
    seed: int = 0
    num_shards: int = 1
    shard_index: int = 0
    cache_folder: str = ""


class Sources(NamedTuple):
    """Record files and how to read them.

    With `weights`, one for each list of paths, each list is a data set of its own and records are
    drawn from them in these proportions; without, all files are one data set.
    """

    files: list[list[str]]
    weights: list[float]
    options: ReadOptions

    @property
    def paths(self):
        """All paths in one list."""
        return [path for files in self.files for path in files]


class Numbered(NamedTuple):
    """A record and its running number in the stream, the same in every run with the same seed."""

    record: record_files.Record
    number: tf.Tensor  # int64 scalar


def read(sources, input_report):
    """Return a dataset of `Numbered` records.

    Args:
        sources: `Sources`.
        input_report: `InputReport` for notes of broken files. A data set without a record is an
            `RecordError`, raised when its first epoch ends.
    """
    options = sources.options
    if sources.weights:
        streams = [
            _epochs(files, options._replace(seed=options.seed + i * _SEED_STEP), input_report)
            for i, files in enumerate(sources.files)
        ]
        choice = tf.data.Dataset.counter().map(_draw(sources.weights, options.seed))
        stream = tf.data.Dataset.choose_from_datasets(streams, choice, stop_on_empty_dataset=False)
    else:
        stream = _epochs(sources.paths, options, input_report)
    return stream.enumerate().map(lambda number, record: Numbered(record, number))


def _draw(weights, seed):
    """A function record number -> number of the data set it is drawn from."""
    logits = np.log(np.maximum(weights, 1e-30), dtype=np.float32)[np.newaxis]

    def draw(number):
        return tf.random.stateless_categorical(logits, 1, seed=[seed, number])[0, 0]

    return draw


def limit_buffer(buffer_size: int, paths: list[str], limit: int = _SHUFFLE_BYTES) -> int:
    """Return at most `buffer_size`, and no more than about `limit` bytes of records.

    Masks as numbers make records of many megabytes, so that a usual buffer would fill the memory.
    Remote files are not inspected: counting their records takes a request for each.
    """
    if any("://" in path for path in paths):
        return buffer_size
    sizes = {path: tf.io.gfile.stat(path).length for path in paths}
    largest = max(sizes, key=sizes.get)
    records = record_files.count_records(largest)
    if not records:
        return buffer_size
    return max(2, min(buffer_size, limit // (sizes[largest] // records + 1)))


def _epochs(files, options, input_report):
    """All epochs of one data set, one after the other."""
    copies = LocalCopies(options.cache_folder) if options.cache_folder else None
    watch = _EpochWatch(files, input_report, copies)

    def one_epoch(epoch):
        with tf.control_dependencies([record_files.call_python(watch.begin_epoch, [epoch])]):
            epoch = tf.identity(epoch)
        return _one_epoch(files, epoch, options, watch)

    # One more epoch than requested, which is empty: its begin checks the last one.
    number_of_epochs = options.num_epochs + 1 if options.num_epochs else tf.int64.max
    return tf.data.Dataset.range(number_of_epochs).flat_map(one_epoch)


def _one_epoch(files, epoch, options, watch):
    """The records of one epoch, `epoch` being its number; none beyond the last one."""
    paths = shuffled_paths(files, epoch, options)
    if options.num_epochs:
        paths = paths[: tf.where(epoch < options.num_epochs, len(files), 0)]
    readers = max(1, min(options.num_readers, len(files)))
    # In parallel each reader keeps a whole block in memory: only where reading has to wait.
    is_remote = any("://" in path for path in files)
    records = tf.data.Dataset.from_tensor_slices(paths).interleave(
        lambda path: record_files.read_records(path, watch.begin_file, watch.end_file),
        cycle_length=readers,
        block_length=max(1, options.read_block_length),
        num_parallel_calls=min(readers, _FILES_READ_AT_ONCE) if is_remote else None,
        deterministic=True if is_remote else None,
    )
    return shuffled_records(records, epoch, options)


def shuffled_paths(files, epoch, options):
    """Return the files of an epoch in its order."""
    paths = tf.constant(files)
    if options.shuffle_files:
        paths = tf.random.experimental.stateless_shuffle(paths, seed=[options.seed, epoch])
    return paths


def shuffled_records(records, epoch, options):
    """Return the requested part of an epoch's records, in its order."""
    if options.sample_1_of_n > 1:
        records = records.shard(options.sample_1_of_n, 0)
    if options.num_shards > 1:
        records = records.shard(options.num_shards, options.shard_index)
    if options.shuffle and options.shuffle_buffer_size > 1:
        # A seed of this graph only, without which tf.random.set_seed influences the order.
        tf.compat.v1.set_random_seed(1)
        records = records.shuffle(
            options.shuffle_buffer_size,
            seed=epoch * _SEED_STEP + options.seed,
            reshuffle_each_iteration=False,
        )
    return records


class _EpochWatch:
    """Checks files as they begin and end; ends the run if an epoch has no record."""

    def __init__(self, files, input_report, copies):
        self._files = files
        self._report = input_report
        self._copies = copies
        self._held = HeldFiles()
        self._records = 0
        self._lost = set()  # files that cannot be opened any more

    def begin_file(self, path):
        opened = record_files.readable_path(path, self._report, self._held)
        (self._lost.discard if opened else self._lost.add)(path)
        if opened and self._copies:
            copy = self._copies.path_of(path)
            return record_files.readable_path(copy, self._report, self._held)
        return opened

    def end_file(self, path, records, size):
        self._records += records
        record_files.check_file(path, records, size, self._report)

    def begin_epoch(self, epoch):
        if epoch > 0 and (not self._records or len(self._lost) == len(set(self._files))):
            shown = ", ".join(self._files[:3]) + (", ..." if len(self._files) > 3 else "")
            self._report.fail(
                f"{self._report.name}: no record in {len(self._files)} file(s): {shown}"
            )
        if epoch == 0:
            self._records = 0
        return True
