"""What becomes of each record: an example, or the reason why there is none.

Decoding runs in the graph alone, so that other machines can do it; what fails there is tried again
in the slow way, in Python, where training runs.
"""

from typing import NamedTuple

import tensorflow as tf

from object_detection.data import mask_decoder, record_files, report
from object_detection.data.decoder import Decoded
from object_detection.data.example import Example
from object_detection.data.rescue import rescue
from object_detection.structures.batch import ImageLabels

_NOT_DECODED = "not decoded yet"  # stands where a fault stands


class Outcome(NamedTuple):
    """A record after decoding: its example, or the reason why there is none."""

    decoded: Decoded
    fault: tf.Tensor  # string scalar, '' for a good record
    detail: tf.Tensor  # string scalar
    repairs: tf.Tensor  # string scalar
    record: record_files.Record
    number: tf.Tensor


def attempted(stream, decoder):
    """`Outcome` of each `Numbered` record, in order; those of bad ones are still to be settled.

    Every record goes by twice: it is decoded in the graph, which an error takes out of the stream,
    and then is a mark without an example; only a mark whose record did not come through is kept.
    (A data set of one record with its own fallback would be plainer, but TensorFlow looks all its
    kernels up anew for each.)
    """
    nothing, none = tf.constant(""), tf.constant(-1, tf.int64)

    def twice(numbered):
        both = tf.nest.map_structure(lambda value: tf.stack([value, value]), numbered)
        return both, tf.constant([False, True])

    def attempt(numbered, is_mark):
        decoded = tf.cond(
            is_mark,
            lambda: no_example(decoder),
            lambda: decoder.in_graph(numbered.record.serialized),
        )
        fault = tf.where(is_mark, _NOT_DECODED, nothing)
        return Outcome(decoded, fault, nothing, nothing, *numbered)

    def look_back(last_good, outcome):
        is_good = outcome.fault == ""
        is_needed = is_good | (outcome.number != last_good)
        return tf.where(is_good, outcome.number, last_good), (outcome, is_needed)

    how = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    attempts = stream.map(twice).unbatch().map(attempt, **how).ignore_errors()
    needed = attempts.scan(none, look_back).filter(lambda _, is_needed: is_needed)
    return needed.map(lambda outcome, is_needed: outcome)


def settled(attempts, decoder):
    """The `attempted` outcomes, where those not decoded were tried again or have their fault."""

    def settle(outcome):
        is_good = outcome.fault == ""
        return tf.cond(is_good, lambda: outcome, lambda: _rescued(outcome, decoder))

    return attempts.map(settle)


def _rescued(outcome, decoder):
    """The `Outcome` of a record that the graph could not decode."""
    repaired, fault, detail = tf.numpy_function(
        lambda data: rescue(data, decoder), [outcome.record.serialized], [tf.string] * 3
    )
    for text in (repaired, fault, detail):
        text.set_shape([])
    decoded = tf.cond(fault == "", lambda: decoder.in_graph(repaired), lambda: no_example(decoder))
    detail, repairs = tf.unstack(tf.where(fault == "", ["", detail], [detail, ""]))
    return outcome._replace(decoded=decoded, fault=fault, detail=detail, repairs=repairs)


def no_example(decoder):
    """A `Decoded` without content, where a record is bad."""
    none = tf.zeros([0])
    none_of_bool, no_ids, masks = tf.zeros([0], tf.bool), tf.zeros([0], tf.int32), None
    if decoder.options.load_masks:
        masks = mask_decoder.empty_masks(0, (0, 0), decoder.options.mask_options)
        masks = masks._replace(present=none_of_bool)
    example = Example(
        id=tf.constant(""),
        image=tf.zeros([0, 0, 3], tf.uint8),
        boxes_normalized=tf.zeros([0, 4]),
        classes=tf.zeros([0], tf.int32),
        weights=none,
        crowd=none_of_bool,
        difficult=none_of_bool,
        area=none,
        masks=masks,
        labels=ImageLabels(no_ids, no_ids, no_ids) if decoder.options.load_image_labels else None,
        group_of=none_of_bool if decoder.options.load_group_of else None,
        ignore=none_of_bool if decoder.options.ignore_texts else None,
    )
    return Decoded(example, tf.zeros([len(report.OBJECT_REASONS)], tf.int32), tf.constant(""))
