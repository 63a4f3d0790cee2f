"""From record files to batches: read, decode, augment, resize, pad.

One bad record does not end a run: it is left out, counted and named in the `InputReport`, unless
the run is strict. Order and augmentation depend on the seed alone.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import tensorflow as tf

from object_detection.data import reading, record_files, report
from object_detection.data.augment_copy_paste import augmented, number_before
from object_detection.data.augment_geometry import Augmentation, keep_crops
from object_detection.data.batching import batch_examples, to_element
from object_detection.data.decoder import Decoded, Decoder, DecoderOptions
from object_detection.data.example import Example
from object_detection.data.mask_decoder import Way
from object_detection.data.python_call import call
from object_detection.data.report import InputReport
from object_detection.data.rescue import name_of, rescue
from object_detection.ops.image import Resizer

_NOT_DECODED = "not decoded yet"  # stands where a fault stands
_END = "end of the data"  # stands where a fault stands, behind the last record


@dataclass(frozen=True)
class PipelineOptions:
    """What becomes of the records.

    Training cuts boxes at `max_boxes`, so that their shape is static; evaluation keeps all.
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


@dataclass(frozen=True)
class InputPipeline:
    """A tf.data pipeline and what it found.

    Attributes:
        dataset: tf.data.Dataset of `structures.Batch`.
        report: live counters; `report.log_summary()` says what was left out.
        files: paths of the record files.
    """

    dataset: tf.data.Dataset
    report: InputReport
    files: list[str] = field(default_factory=list)
    share: int = 1

    def count_examples(self):
        """Number of records of one epoch of this worker, good or bad, by their headers alone."""
        return -(-sum(record_files.count_records(path) for path in self.files) // self.share)

    def __iter__(self):
        """Batches; what the pipeline raises comes out as the plain `InputError`."""
        try:
            yield from self.dataset
        except tf.errors.OpError as error:
            if self.report.fault:
                raise report.InputError(self.report.fault) from error
            raise


class _Outcome(NamedTuple):
    """A record after decoding: its example, or the reason why there is none."""

    decoded: Decoded
    fault: tf.Tensor  # string scalar, '' for a good record
    detail: tf.Tensor  # string scalar
    repairs: tf.Tensor  # string scalar
    record: record_files.Record
    number: tf.Tensor


def build(
    sources: reading.Sources,
    decoder_options: DecoderOptions,
    options: PipelineOptions,
    input_report: InputReport,
):
    """Builds an `InputPipeline`; see the options for what it does."""
    decoder = Decoder(
        decoder_options._replace(
            max_boxes=options.max_boxes if options.training else 0,
            mask_way=Way(native=True, cut=_cuts_at_once(options)),
        )
    )
    read_options = sources.options
    stream = reading.read(sources, input_report)
    if options.known_bad:
        stream = stream.filter(_is_not_among(options.known_bad))
    skipped = options.skip_batches * options.batch_size
    lead = min(number_before(options.augmentations), skipped)
    stream = stream.skip(skipped - lead)
    outcomes = _decoded(stream, decoder)
    good = _leave_out_bad(outcomes, decoder, input_report)

    def begin(outcome):
        example = _with_notes(outcome, input_report)
        # Each worker has its own running numbers; together they are one row.
        number = outcome.number * read_options.num_shards + read_options.shard_index
        return example, tf.stack([tf.cast(read_options.seed, tf.int64), number])

    def finish(example):
        return to_element(example, options)

    elements = augmented(good, begin, options.augmentations, finish, lead=lead)
    dataset = batch_examples(elements, options, input_report).prefetch(options.prefetch)
    return InputPipeline(
        dataset.with_options(_tf_data_options()),
        input_report,
        files=sources.paths,
        share=read_options.num_shards * read_options.sample_1_of_n,
    )


def _cuts_at_once(options):
    """Whether masks are cut as soon as they are decoded, and not after the augmentations alone."""
    return options.crop_masks and options.training and keep_crops(options.augmentations)


def bad_records(input_report):
    """Places of the records that were left out whole, to give as `known_bad` when a run continues.

    Without them a continued run repeats as many examples as records were bad before it: batches can
    only be skipped by counting records.
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
    )


def _decoded(stream, decoder):
    """`_Outcome` of each `Numbered` record, in order.

    Every record goes by twice: it is decoded in the graph, which an error takes out of the stream,
    and then is a mark without an example. A mark whose record did not come through is decoded in
    the slow way, through Python. (A data set of one record with its own fallback would be plainer,
    but TensorFlow looks all its kernels up anew for each.)
    """
    # Traced once for both ways; not inlined: the way not taken is then one step, not hundreds.
    in_graph = tf.function(
        decoder,
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
        experimental_attributes={"_noinline": True},
    )
    nothing, none = tf.constant(""), tf.constant(-1, tf.int64)

    def twice(numbered):
        both = tf.nest.map_structure(lambda value: tf.stack([value, value]), numbered)
        return both, tf.constant([False, True])

    def attempt(numbered, is_mark):
        decoded = tf.cond(
            is_mark,
            lambda: _no_example(decoder),
            lambda: in_graph(numbered.record.serialized),
        )
        fault = tf.where(is_mark, _NOT_DECODED, nothing)
        return _Outcome(decoded, fault, nothing, nothing, *numbered)

    def look_back(last_good, outcome):
        is_good = outcome.fault == ""
        is_needed = is_good | (outcome.number != last_good)
        return tf.where(is_good, outcome.number, last_good), (outcome, is_needed)

    def settle(outcome, is_needed):
        del is_needed
        is_good = outcome.fault == ""
        return tf.cond(is_good, lambda: outcome, lambda: _rescued(outcome, decoder, in_graph))

    how = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    attempts = stream.map(twice).unbatch().map(attempt, **how).ignore_errors()
    return attempts.scan(none, look_back).filter(lambda _, is_needed: is_needed).map(settle)


def _rescued(outcome, decoder, in_graph):
    """The `_Outcome` of a record that the graph could not decode."""
    repaired, fault, detail = tf.numpy_function(
        lambda data: rescue(data, decoder), [outcome.record.serialized], [tf.string] * 3
    )
    for text in (repaired, fault, detail):
        text.set_shape([])
    decoded = tf.cond(fault == "", lambda: in_graph(repaired), lambda: _no_example(decoder))
    detail, repairs = tf.unstack(tf.where(fault == "", ["", detail], [detail, ""]))
    return outcome._replace(decoded=decoded, fault=fault, detail=detail, repairs=repairs)


def _leave_out_bad(outcomes, decoder, input_report):
    """Drops the bad ones after noting them; a data set without a good one is an error."""
    nothing = tf.constant("")
    zero = tf.constant(0, tf.int64)
    end = _Outcome(
        _no_example(decoder),
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
        name = f"{name_of(serialized)} ({where})".strip()
        input_report.note(fault.decode(), name, where=where, detail=detail.decode())
        times_seen[where] = times_seen.get(where, 0) + 1
        # In order: whoever comes again has seen the others of its data set pass. Once more, because
        # data sets may be mixed.
        if not good_so_far and times_seen[where] > 2:
            input_report.fail(_nothing_usable(input_report))
        return False

    def count(good, outcome):
        is_good = outcome.fault == ""
        return good + tf.cast(is_good, tf.int64), (outcome, good)

    def is_good_or_noted(outcome, good):
        return tf.cond(
            outcome.fault == "",
            lambda: True,
            lambda: call(note, [*outcome.record, outcome.fault, outcome.detail, good]),
        )

    marked = outcomes.concatenate(tf.data.Dataset.from_tensors(end))
    counted = marked.scan(zero, count).filter(is_good_or_noted)
    return counted.map(lambda outcome, good: outcome)


def _with_notes(outcome, input_report):
    """The example, after what was dropped or changed in it was noted; its id is never empty."""
    record, decoded = outcome.record, outcome.decoded
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

    arguments = [decoded.counts, decoded.unknown_texts, outcome.repairs, example.id]
    noted = tf.cond(
        tf.reduce_any(decoded.counts > 0) | (outcome.repairs != ""),
        lambda: call(note, [*arguments, record.path, record.index]),
        lambda: True,
    )
    with tf.control_dependencies([noted]):
        return example._replace(id=tf.identity(example.id))


def _no_example(decoder):
    """A `Decoded` without content, where a record is bad."""
    none = tf.zeros([0])
    masks = {}
    if decoder.options.load_masks:
        masks = {"masks": tf.zeros([0, 0, 0], tf.uint8)}
        if decoder.options.mask_way.cut:
            no_place = {"mask_origin": tf.zeros([0, 2], tf.int32)}
            masks |= no_place | {"mask_shape": tf.zeros([2], tf.int32)}
    example = Example(
        id=tf.constant(""),
        image=tf.zeros([0, 0, 3], tf.uint8),
        boxes_normalized=tf.zeros([0, 4]),
        classes=tf.zeros([0], tf.int32),
        weights=none,
        crowd=tf.zeros([0], tf.bool),
        difficult=tf.zeros([0], tf.bool),
        area=none,
        **masks,
        extras=decoder.empty_extras(),
        group_of=tf.zeros([0], tf.bool) if decoder.options.load_group_of else None,
    )
    return Decoded(example, tf.zeros([len(report.OBJECT_REASONS)], tf.int32), tf.constant(""))


def _nothing_usable(input_report):
    return f"{input_report.name}: not one record of the data can be used:\n{input_report.summary()}"


def _place(path, index):
    """Where a record lies, for people and for `known_bad`."""
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
