"""What becomes of each record: an example, or the reason why there is none.

Decoding runs in the graph alone, so that other machines can do it; what fails there is tried again
in the slow way, in Python, where training runs.
"""

from typing import NamedTuple

import tensorflow as tf

from object_detection.data import record_files, report
from object_detection.data.decoder import Decoded
from object_detection.data.example import Example
from object_detection.data.rescue import rescue

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
    masks = {}
    if decoder.options.load_masks:
        masks = {"masks": tf.zeros([0, 0, 0], tf.uint8), "has_mask": tf.zeros([0], tf.bool)}
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
