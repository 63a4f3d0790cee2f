"""Reading and decoding on other machines: the servers of a tf.data service.

Nothing that runs there calls Python: what is found wrong comes along with the stream and is told
where training runs. Each server takes whole epochs, so that every epoch still holds every record
once; in which order they arrive depends on the servers, and a run that goes on after a stop begins
with an epoch of its own.
"""

import tensorflow as tf

from object_detection.data import record_files
from object_detection.data.decoder import Decoder
from object_detection.data.example import leave_out_none
from object_detection.data.outcomes import attempted
from object_detection.data.python_call import call
from object_detection.data.reading import Numbered, Sources, shuffled_paths, shuffled_records
from object_detection.errors import RecordError

_MISSING = -1  # the size of a file that a server cannot open


def outcomes(sources: Sources, decoder, address, input_report):
    """What `outcomes.attempted` gives, of records that servers read and decode.

    Args:
        sources: `Sources`; their files are looked for on the servers.
        decoder: the `Decoder`; the servers do without what it calls of Python.
        address: of the dispatcher, as "grpc://host:5050".
        input_report: `InputReport`, told of broken and missing files.

    Raises:
        RecordError: several data sets with weights, which cannot be shared out.
    """
    mask_options = decoder.options.mask_options._replace(native=False)
    plain = Decoder(decoder.options._replace(mask_options=mask_options))

    def without_bytes(outcome):
        """The bytes of a record that was decoded are not sent."""
        record = outcome.record
        is_needed = (outcome.fault != "") | (record.index < 0)
        kept = tf.where(is_needed, record.serialized, "")
        return outcome._replace(record=record._replace(serialized=kept))

    attempts = attempted(_read(sources), plain).map(without_bytes)
    policy = tf.data.experimental.service.ShardingPolicy.DYNAMIC
    distribute = tf.data.experimental.service.distribute(policy, address)
    flatten, unflatten = leave_out_none(attempts.element_spec)
    # The service can't have None for what an example lacks.
    found = attempts.map(lambda *members: flatten(members)).apply(distribute).map(unflatten)
    watch = _FileWatch(sources.paths, input_report)

    def is_record_or_told(outcome):
        record = outcome.record
        return tf.cond(record.index >= 0, lambda: True, lambda: call(watch.end_file, [*record]))

    numbered = found.filter(is_record_or_told).enumerate()  # each server counts for itself
    return numbered.map(lambda number, outcome: outcome._replace(number=number))


def _read(sources):
    """`Numbered` records as of `reading.read`, without Python.

    Behind the last record of each file stands a mark: its index is -1 - the number of records, and
    `serialized` the number of their bytes.
    """
    if sources.weights:
        raise RecordError(
            "sample_from_datasets_weights does not go with InputReader.data_service: epochs are "
            "shared out among the servers, and data sets drawn by weights have none. Leave one out."
        )
    options = sources.options
    number_of_epochs = options.num_epochs or tf.int64.max

    def one_epoch(epoch):
        paths = shuffled_paths(sources.paths, epoch, options)
        records = tf.data.Dataset.from_tensor_slices(paths).interleave(
            _records,
            cycle_length=max(1, min(options.num_readers, len(sources.paths))),
            block_length=max(1, options.read_block_length),
        )
        return shuffled_records(records, epoch, options)

    # A counter of its own as a source would be shared out too; `scan` is none.
    epochs = tf.data.Dataset.range(number_of_epochs).flat_map(one_epoch)
    return epochs.scan(tf.constant(0, tf.int64), lambda k, record: (k + 1, Numbered(record, k)))


def _records(path):
    """`Record`s of one file and its mark."""
    found = _openable(path)
    intact = tf.data.TFRecordDataset(found).ignore_errors()
    end = tf.data.Dataset.from_tensors(("", True))
    marked = intact.map(lambda serialized: (serialized, False)).concatenate(end)

    def count(state, element):
        records, size = state
        serialized, is_end = element
        length = tf.cast(tf.strings.length(serialized, unit="BYTE"), tf.int64)
        shown = tf.where(tf.size(found) > 0, size, _MISSING)
        record = record_files.Record(
            tf.where(is_end, tf.strings.as_string(shown), serialized),
            path,
            tf.where(is_end, -1 - records, records),
        )
        return (records + 1, size + length), record

    zero = tf.constant(0, tf.int64)
    return marked.scan((zero, zero), count)


def _openable(path):
    """A file that opens, else nothing (string [0 or 1]): another would be tried for ever."""
    content = tf.data.FixedLengthRecordDataset([path], 1).take(1)
    opened = content.concatenate(tf.data.Dataset.from_tensors(""))
    one_try = tf.data.Dataset.zip((opened, tf.data.Dataset.range(1))).ignore_errors()
    times = one_try.reduce(0, lambda count, _: count + 1)
    return tf.repeat(path, times)


class _FileWatch:
    """Told of each file's end; ends the run where all of them give no record."""

    def __init__(self, files, input_report):
        self._files = files
        self._report = input_report
        self._empty = 0  # files in a row that gave none

    def end_file(self, serialized, path, index):
        path, records, size = path.decode(), -1 - int(index), int(serialized)
        self._empty = 0 if records else self._empty + 1
        if size == _MISSING:
            record_files.note_unreadable(path, "the data service cannot open it", self._report)
        else:
            record_files.check_file(path, records, size, self._report)
        if self._empty > 2 * len(self._files):
            shown = ", ".join(self._files[:3]) + (", ..." if len(self._files) > 3 else "")
            self._report.fail(
                f"{self._report.name}: no record in {len(self._files)} file(s): {shown}"
            )
        return False
