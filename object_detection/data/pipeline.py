"""From record files to batches: read, decode, augment, resize, pad.

One bad record does not end a run: it is skipped, counted and named in the `InputReport`, unless
the run is strict. Order and augmentation depend only on the seed.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from object_detection.data import decoding, reading, record_files, report, service
from object_detection.data.augment.geometry import Augmentation, accept_cropped_masks
from object_detection.data.augment.objects import augment_stream, examples_ahead
from object_detection.data.batching import batch_examples, to_element
from object_detection.data.decoder import Decoder, DecoderOptions
from object_detection.data.mask_decoder import MaskDecodeOptions
from object_detection.data.report import InputReport
from object_detection.errors import RecordError
from object_detection.ops.image import Resizer

_END = "end of the data"  # in the place of a fault, after the last record


@dataclass(frozen=True)
class PipelineOptions:
    """Options for processing records.

    Training cuts boxes at `max_boxes`, so that their shape is static; evaluation keeps all. With a
    `data_service` (the address of its dispatcher) records are read and decoded there, in an order
    that is not repeatable: `skip_batches` and `known_bad` have no effect then.
    """

    batch_size: int
    max_boxes: int
    resizer: Resizer
    augmentations: Sequence[Augmentation] = ()
    training: bool = True
    drop_remainder: bool = True
    prefetch: int = 2
    skip_batches: int = 0
    keep_source_pixels: bool = False
    known_bad: Sequence[str] = ()
    crop_masks: bool = False
    data_service: str = ""


@dataclass(frozen=True)
class InputPipeline:
    """A tf.data pipeline and its report.

    Attributes:
        dataset: tf.data.Dataset of `structures.Batch`.
        report: live counters; `report.log_summary()` logs what was skipped.
        files: paths of the record files.
    """

    dataset: tf.data.Dataset
    report: InputReport
    files: list[str] = field(default_factory=list)
    share: int = 1

    def count_examples(self):
        """Count the records of one epoch of this worker, good or bad, by their headers."""
        return -(-sum(record_files.count_records(path) for path in self.files) // self.share)

    def __iter__(self):
        """Iterate over batches; errors of the pipeline are raised as the plain `RecordError`."""
        return iter(self.dataset)


def build(
    sources: reading.Sources,
    decoder_options: DecoderOptions,
    options: PipelineOptions,
    input_report: InputReport,
):
    """Build an `InputPipeline`; see the options for what it does."""
    decoder = Decoder(
        decoder_options._replace(
            max_boxes=options.max_boxes if options.training else 0,
            mask_options=MaskDecodeOptions(native=True, crop=_crops_at_once(options)),
        )
    )
    read_options = sources.options
    lead = 0
    if options.data_service:
        results = service.decode_results(sources, decoder, options.data_service, input_report)
    else:
        stream = reading.read(sources, input_report)
        if options.known_bad:
            stream = stream.filter(_is_not_among(options.known_bad))
        skipped = options.skip_batches * options.batch_size
        lead = min(examples_ahead(options.augmentations), skipped)
        results = decoding.decode_in_graph(stream.skip(skipped - lead), decoder)
    good = _drop_bad(decoding.decode_failed(results, decoder), decoder, input_report)

    def begin(result):
        example = _with_notes(result, input_report)
        # Each worker has its own running numbers; together they are one sequence.
        number = result.number * read_options.num_shards + read_options.shard_index
        return example, tf.stack([tf.cast(read_options.seed, tf.int64), number])

    def finish(example):
        return to_element(example, options)

    elements = augment_stream(good, begin, options.augmentations, finish, lead=lead)
    dataset = batch_examples(elements, options, input_report).prefetch(options.prefetch)
    return InputPipeline(
        _with_plain_errors(dataset.with_options(_tf_data_options()), input_report),
        input_report,
        files=sources.paths,
        share=read_options.num_shards * read_options.sample_1_of_n,
    )


def _with_plain_errors(dataset, input_report):
    """The dataset, whose iteration in Python raises the pipeline's own errors unchanged.

    TensorFlow turns errors inside of a pipeline into one without meaning ("queue is closed").
    Inside of a graph it still does, see `training.inputs`.
    """

    class PlainErrors(type(dataset)):
        def __iter__(self):
            iterator = super().__iter__()

            class PlainIterator(type(iterator)):
                def __next__(self):
                    try:
                        return super().__next__()
                    except tf.errors.OpError as error:
                        if input_report.fault and not isinstance(error, tf.errors.OutOfRangeError):
                            raise RecordError(input_report.fault) from error
                        raise

            # Both stay what TensorFlow made them: functions and strategies take nothing else.
            iterator.__class__ = PlainIterator
            return iterator

    dataset.__class__ = PlainErrors
    return dataset


def _crops_at_once(options):
    """Whether masks are cropped as soon as they are decoded, and not after the augmentations."""
    return options.crop_masks and options.training and accept_cropped_masks(options.augmentations)


def bad_records(input_report):
    """Return the places of skipped records, to pass as `known_bad` when a run continues.

    Without them a continued run repeats one example for each bad record before it: batches can only
    be skipped by counting records.
    """
    return input_report.places(
        report.NOT_AN_EXAMPLE,
        report.WRONG_TYPE,
        report.NO_IMAGE,
        report.BAD_IMAGE,
        report.UNEQUAL_LENGTHS,
        report.NO_CLASSES,
        report.PIXEL_BOXES,
        report.MASK_COUNT,
        report.BAD_MASK,
        report.MASK_SIZE,
        report.UNDECODABLE,
    )


def _drop_bad(results, decoder, input_report):
    """Drop the bad results after noting them; a data set without a good one is an error."""
    nothing = tf.constant("")
    zero = tf.constant(0, tf.int64)
    end = decoding.DecodeResult(
        decoding.no_example(decoder),
        tf.constant(_END),
        nothing,
        nothing,
        record_files.Record(nothing, nothing, zero),
        zero,
    )
    times_seen = {}

    def note(serialized, path, index, fault, detail, good_so_far):
        if fault.decode() == _END:
            if times_seen and not good_so_far:
                input_report.fail(_nothing_usable(input_report))
            return False
        where = _place(path.decode(), index)
        name = f"{decoding.name_record(serialized)} ({where})".strip()
        input_report.note(fault.decode(), name, where=where, detail=detail.decode())
        times_seen[where] = times_seen.get(where, 0) + 1
        # Records come in order: before one comes again, all others of its data set have passed.
        # Once more, because data sets may be mixed.
        if not good_so_far and times_seen[where] > 2:
            input_report.fail(_nothing_usable(input_report))
        return False

    def count(good, result):
        is_good = result.fault == ""
        return good + tf.cast(is_good, tf.int64), (result, good)

    def is_good_or_noted(result, good):
        arguments = [*result.record, result.fault, result.detail, good]
        return tf.cond(
            result.fault == "", lambda: True, lambda: record_files.call_python(note, arguments)
        )

    marked = results.concatenate(tf.data.Dataset.from_tensors(end))
    counted = marked.scan(zero, count).filter(is_good_or_noted)
    return counted.map(lambda result, good: result)


def _with_notes(result, input_report):
    """The example, after noting what was dropped or changed in it; its id is never empty."""
    record, decoded = result.record, result.decoded
    where = tf.strings.join(
        [
            tf.strings.split(record.path, os.sep)[-1],
            tf.strings.as_string(record.index),
        ],
        separator=", record ",
    )
    example = decoded.example
    example = example._replace(id=tf.where(example.id != "", example.id, where))

    def note(counts, unknown_texts, repairs, identity, path, index):
        where = _place(path.decode(), index)
        name = f"{identity.decode('utf-8', 'replace')} ({where})"
        if repairs:
            input_report.note(report.REPAIRED, name, where=where, detail=repairs.decode())
        for reason, count in zip(report.OBJECT_REASONS, counts, strict=True):
            if count:
                texts = unknown_texts.decode("utf-8", "replace")
                detail = texts if reason == report.UNKNOWN_CLASS_TEXT else f"{count} of them"
                input_report.note(reason, name, where=where, count=int(count), detail=detail)
        return True

    arguments = [decoded.counts, decoded.unknown_texts, result.repairs, example.id]
    noted = tf.cond(
        tf.reduce_any(decoded.counts > 0) | (result.repairs != ""),
        lambda: record_files.call_python(note, [*arguments, record.path, record.index]),
        lambda: True,
    )
    with tf.control_dependencies([noted]):
        return example._replace(id=tf.identity(example.id))


def _nothing_usable(input_report):
    return f"{input_report.name}: no record can be used:\n{input_report.summary()}"


def _place(path, index):
    """The place of a record, for people and for `known_bad`."""
    return f"{path}, record {int(index)}"


def _is_not_among(places):
    known = tf.constant(list(places))

    def is_good(numbered):
        place = tf.strings.join(
            [numbered.record.path, tf.strings.as_string(numbered.record.index)],
            separator=", record ",
        )
        return tf.reduce_all(known != place)

    return is_good


def _tf_data_options():
    options = tf.data.Options()
    options.deterministic = True
    # The work is shared out by examples, not within an operation.
    options.threading.max_intra_op_parallelism = 1
    # Threads of its own: those of the model wait for work by turning round and round.
    options.threading.private_threadpool_size = os.cpu_count()
    # What is to run in parallel says so; handing a trifle to another thread costs more than it.
    options.experimental_optimization.map_parallelization = False
    # Workers are given their shards by `ReadOptions`.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
