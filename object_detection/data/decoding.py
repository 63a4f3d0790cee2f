"""Decodes a stream of records: in the graph, and in Python with repairs where that fails.

The result of a record is its example, or the reason why it has none.
"""

import contextlib
import io
from typing import NamedTuple

import tensorflow as tf
from PIL import Image

from object_detection.data import image_headers, mask_decoder, record_files, report
from object_detection.data.decoder import BadRecord, Decoded, Decoder
from object_detection.data.example import Example
from object_detection.structures.batch import ImageLabels

_KINDS = {tf.string: "bytes_list", tf.float32: "float_list", tf.int64: "int64_list"}
_NOT_DECODED = "not decoded yet"  # in the place of a fault


class DecodeResult(NamedTuple):
    """A record after decoding: its example, or the reason why it has none."""

    decoded: Decoded
    fault: tf.Tensor  # string scalar, '' for a good record
    detail: tf.Tensor  # string scalar
    repairs: tf.Tensor  # string scalar
    record: record_files.Record
    number: tf.Tensor


def decode_in_graph(stream: tf.data.Dataset, decoder: Decoder) -> tf.data.Dataset:
    """Return the `DecodeResult` of each `Numbered` record, in order, undecided for bad records.

    This runs only in the graph, so that other machines can do it; `decode_failed` is the second
    part. Every record passes twice: first it is decoded, where an error removes it from the stream,
    then it is a mark without an example; only a mark whose record was removed is kept. (A dataset
    of one record with its own fallback would be simpler, but TensorFlow looks up all its kernels
    again for each.)
    """
    nothing, none = tf.constant(""), tf.constant(-1, tf.int64)

    def twice(numbered):
        both = tf.nest.map_structure(lambda value: tf.stack([value, value]), numbered)
        return both, tf.constant([False, True])

    def decode(numbered, is_mark):
        decoded = tf.cond(
            is_mark,
            lambda: no_example(decoder),
            lambda: decoder.in_graph(numbered.record.serialized),
        )
        fault = tf.where(is_mark, _NOT_DECODED, nothing)
        return DecodeResult(decoded, fault, nothing, nothing, *numbered)

    def find_failed(last_good, result):
        is_good = result.fault == ""
        is_needed = is_good | (result.number != last_good)
        return tf.where(is_good, result.number, last_good), (result, is_needed)

    how = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    results = stream.map(twice).unbatch().map(decode, **how).ignore_errors()
    needed = results.scan(none, find_failed).filter(lambda _, is_needed: is_needed)
    return needed.map(lambda result, is_needed: result)


def decode_failed(results: tf.data.Dataset, decoder: Decoder) -> tf.data.Dataset:
    """Return the results of `decode_in_graph`, those not decoded repaired or with their fault."""

    def decide(result):
        is_good = result.fault == ""
        return tf.cond(is_good, lambda: result, lambda: _decode_repaired(result, decoder))

    return results.map(decide)


def decode_with_fallback(stream: tf.data.Dataset, decoder: Decoder) -> tf.data.Dataset:
    """Return the `DecodeResult` of each `Numbered` record, in order."""
    return decode_failed(decode_in_graph(stream, decoder), decoder)


def _decode_repaired(result, decoder):
    """The `DecodeResult` of a record that the graph could not decode."""
    repaired, fault, detail = tf.numpy_function(
        lambda serialized: repair(serialized, decoder), [result.record.serialized], [tf.string] * 3
    )
    for text in (repaired, fault, detail):
        text.set_shape([])
    decoded = tf.cond(fault == "", lambda: decoder.in_graph(repaired), lambda: no_example(decoder))
    detail, repairs = tf.unstack(tf.where(fault == "", ["", detail], [detail, ""]))
    return result._replace(decoded=decoded, fault=fault, detail=detail, repairs=repairs)


def no_example(decoder):
    """Return a `Decoded` without content, for a bad record."""
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


def repair(serialized: bytes, decoder: Decoder) -> tuple[bytes, str, str]:
    """Repair a record without changing its meaning, or find its fault.

    This is slow, in Python, and only for records that the graph could not decode. Repaired are:
    lists of integers where floats are expected and the reverse, empty lists of another type, and
    images in a format that Pillow reads and TensorFlow does not.

    Args:
        serialized: bytes of the record.
        decoder: the `Decoder` that failed.

    Returns:
        (the repaired record, "", what was repaired), or (b"", reason, detail).
    """
    try:
        example = tf.train.Example.FromString(serialized)
    except Exception as error:  # protobuf's own error type differs between its implementations
        return b"", report.NOT_AN_EXAMPLE, f"{len(serialized)} bytes, {_text(str(error))}"
    try:
        with _blame(report.UNDECODABLE):
            repairs = _repair_types(example, decoder.features)
            repairs += _repair_image(example)
            repaired = example.SerializeToString()
            _try(decoder, repaired)
    except BadRecord as bad:
        return b"", bad.reason, _text(bad.detail)
    return repaired, "", _text("; ".join(repairs) or "decoded at the second try")


def name_record(serialized: bytes) -> str:
    """Return the record's source_id, else its filename, else ''."""
    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's own error type differs between its implementations
        return ""
    for key in ("image/source_id", "image/filename"):
        values = feature[key].bytes_list.value if key in feature else ()
        if values and values[0]:
            return values[0].decode("utf-8", "replace")
    return ""


def _try(decoder, serialized):
    """Decode eagerly, stage by stage; raise `BadRecord` with the stage that failed."""
    cannot_parse = f"{len(serialized)} bytes that TensorFlow cannot parse"
    with _blame(report.NOT_AN_EXAMPLE, cannot_parse):
        parsed = decoder.parse(serialized)
    with _blame(report.BAD_IMAGE):
        decoder.decode_image(parsed)
    if decoder.options.load_masks:
        _try_masks(parsed, decoder.options.png_masks)
    with _blame(report.UNDECODABLE):
        decoder(serialized)


@contextlib.contextmanager
def _blame(reason, detail=""):
    """Turn every error of an eager call on foreign bytes into a `BadRecord`.

    TensorFlow quotes raw bytes in its messages. If these are not UTF-8, the message itself fails,
    with an error that has nothing to do with decoding.
    """
    try:
        yield
    except BadRecord:
        raise
    except Exception as error:
        raise BadRecord(reason, detail or image_headers.sentence_of(error)) from error


def _try_masks(parsed, png_masks):
    """Decode mask files one by one, so that the broken one is known; raise `BadRecord` for it.

    In a loop of TensorFlow's a broken file leaves a half-used array, with long complaints.
    """
    sizes = set()
    for key in ("image/object/mask", "image/object/mask/box_png"):
        if key == "image/object/mask" and not png_masks:
            continue
        for number, encoded in enumerate(parsed[key], 1):
            with _blame(report.BAD_MASK):
                if image_headers.is_jpeg_xl(encoded):
                    raise BadRecord(report.BAD_MASK, f"mask {number}: {image_headers.JPEG_XL}")
                size = image_headers.stated_size(encoded)
                if image_headers.has_too_many_pixels(size):
                    detail = image_headers.TOO_MANY_PIXELS.format(*size.numpy())
                    raise BadRecord(report.BAD_MASK, f"mask {number}: {detail}")
                mask = mask_decoder.decode_file(encoded)
            if key == "image/object/mask":
                sizes.add(tuple(mask.shape))
    if len(sizes) > 1:
        raise BadRecord(report.MASK_SIZE, "the masks of the record differ in size")


def _repair_types(example, features):
    """Convert the lists to the types that `features` requires, where nothing is lost by it."""
    repairs = []
    for key, spec in features.items():
        feature = example.features.feature.get(key)
        stored = feature.WhichOneof("kind") if feature is not None else None
        expected = _KINDS[spec.dtype]
        if stored is None or stored == expected:
            continue
        values = list(getattr(feature, stored).value)
        if values and "bytes_list" in (stored, expected):
            hint = ""
            if key == "image/object/mask":
                kind = "PNG_MASKS" if stored == "bytes_list" else "NUMERICAL_MASKS"
                hint = f"; set mask_type: {kind} in the input reader"
            detail = f"{key} is a {stored}, not a {expected}{hint}"
            raise BadRecord(report.WRONG_TYPE, detail)
        if expected == "int64_list" and not all(map(_is_whole, values)):
            raise BadRecord(report.WRONG_TYPE, f"{key} contains fractions, not integers")
        feature.ClearField(stored)
        getattr(feature, expected).value.extend(int(value) for value in values)  # whole numbers
        repairs.append(f"{key} was a {stored}, not a {expected}")
    return repairs


def _is_whole(value):
    """Whether a float is a whole number that an int64 holds; NaN and infinity are not."""
    return -(2.0**63) <= value < 2.0**63 and value == int(value)


def _repair_image(example):
    """Store an image that only Pillow can read as PNG."""
    feature = example.features.feature
    encoded = feature["image/encoded"].bytes_list.value if "image/encoded" in feature else ()
    if not encoded or not encoded[0]:
        return []
    try:
        image_headers.decode_image(encoded[0])
        return []
    except ValueError:
        pass
    try:
        with Image.open(io.BytesIO(encoded[0])) as image:
            # TensorFlow reads these: the file is broken, or too large.
            if image.format in ("JPEG", "PNG", "GIF", "BMP", "WEBP"):
                return []
            if image_headers.has_too_many_pixels(tf.constant(image.size, tf.int64)):
                return []
            kind, stored = image.format, io.BytesIO()
            image.convert("RGB").save(stored, "PNG")
    except Exception:  # Pillow's plugins raise errors of many types; the decoder's own says more
        return []
    encoded[0] = stored.getvalue()
    feature["image/format"].bytes_list.value[:] = [b"png"]
    return [f"the image was {kind}"]


def _text(detail):
    """Text that can be sent through TensorFlow, which takes only UTF-8."""
    return detail.encode("utf-8", "backslashreplace").decode()
