"""Reading and decoding on other machines: the servers of a tf.data service.

Nothing that runs there calls Python: faults travel with the stream and are reported where training
runs. Each server takes whole epochs, so that every epoch still contains every record once. The
order of arrival depends on the servers, and a run that continues after a stop begins with a new
epoch.
"""

import tensorflow as tf

from object_detection.data import record_files
from object_detection.data.decoder import Decoder
from object_detection.data.decoding import decode_in_graph
from object_detection.data.example import leave_out_none
from object_detection.data.reading import Numbered, Sources, shuffled_paths, shuffled_records
from object_detection.data.report import InputReport
from object_detection.errors import RecordError

_MISSING = -1  # the size of a file that a server cannot open


def decode_results(
    sources: Sources, decoder: Decoder, address: str, input_report: InputReport
) -> tf.data.Dataset:
    """Return what `decode_in_graph` returns, of records that servers read and decode.

    Args:
        sources: `Sources`; their files are looked for on the servers.
        decoder: the `Decoder`; the servers do without what it calls of Python.
        address: of the dispatcher, as "grpc://host:5050".
        input_report: for notes of broken and missing files.

    Raises:
        RecordError: several data sets with weights, which cannot be distributed.
    """
    mask_options = decoder.options.mask_options._replace(native=False)
    plain = Decoder(decoder.options._replace(mask_options=mask_options))

    def without_bytes(result):
        """The bytes of a decoded record are not sent."""
        record = result.record
        is_needed = (result.fault != "") | (record.index < 0)
        kept = tf.where(is_needed, record.serialized, "")
        return result._replace(record=record._replace(serialized=kept))

    results = decode_in_graph(_read(sources), plain).map(without_bytes)
    policy = tf.data.experimental.service.ShardingPolicy.DYNAMIC
    distribute = tf.data.experimental.service.distribute(policy, address)
    flatten, unflatten = leave_out_none(results.element_spec)
    tensors = results.map(lambda *members: flatten(members))
    received = tensors.apply(distribute).map(unflatten)
    watch = _FileWatch(sources.paths, input_report)

    def is_record_or_noted(result):
        record = result.record
        return tf.cond(
            record.index >= 0,
            lambda: True,
            lambda: record_files.call_python(watch.end_file, [*record]),
        )

    numbered = received.filter(is_record_or_noted).enumerate()  # each server has its own count
    return numbered.map(lambda number, result: result._replace(number=number))


def _read(sources):
    """`Numbered` records like those of `reading.read`, without Python.

    The last record of each file is followed by a mark: its index is -1 - the number of records, and
    `serialized` the number of their bytes.
    """
    if sources.weights:
        raise RecordError(
            "sample_from_datasets_weights cannot be combined with InputReader.data_service: epochs "
            "are distributed among the servers, and data sets drawn by weights have no epochs. "
            "Remove one of them."
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

    # A counter dataset as a source would be distributed too; `scan` is not a source.
    epochs = tf.data.Dataset.range(number_of_epochs).flat_map(one_epoch)
    return epochs.scan(tf.constant(0, tf.int64), lambda k, record: (k + 1, Numbered(record, k)))


def _records(path):
    """`Record`s of one file and its mark."""
    opened = _openable(path)
    intact = tf.data.TFRecordDataset(opened).ignore_errors()
    end = tf.data.Dataset.from_tensors(("", True))
    marked = intact.map(lambda serialized: (serialized, False)).concatenate(end)

    def count(state, element):
        records, size = state
        serialized, is_end = element
        length = tf.cast(tf.strings.length(serialized, unit="BYTE"), tf.int64)
        shown = tf.where(tf.size(opened) > 0, size, _MISSING)
        record = record_files.Record(
            tf.where(is_end, tf.strings.as_string(shown), serialized),
            path,
            tf.where(is_end, -1 - records, records),
        )
        return (records + 1, size + length), record

    zero = tf.constant(0, tf.int64)
    return marked.scan((zero, zero), count)


def _openable(path):
    """A file that opens, else nothing (string [0 or 1]): TensorFlow would try forever."""
    content = tf.data.FixedLengthRecordDataset([path], 1).take(1)
    opened = content.concatenate(tf.data.Dataset.from_tensors(""))
    one_try = tf.data.Dataset.zip((opened, tf.data.Dataset.range(1))).ignore_errors()
    times = one_try.reduce(0, lambda count, _: count + 1)
    return tf.repeat(path, times)


class _FileWatch:
    """Checks each file at its end; ends the run if all files have no record."""

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
