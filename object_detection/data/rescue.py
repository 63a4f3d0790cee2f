"""The slow way for records that the graph could not decode: repair them, or say what is wrong.

Runs in Python, for bad records only.
"""

import io

import tensorflow as tf
from PIL import Image

from object_detection.data import report
from object_detection.data.decoder import BadRecord

_KINDS = {tf.string: "bytes_list", tf.float32: "float_list", tf.int64: "int64_list"}


def rescue(serialized, decoder):
    """Repairs a record without changing what it says, or finds its fault.

    Repaired are: lists of whole numbers where fractions are expected and the reverse, empty lists
    of another type, and images in a format that Pillow reads and TensorFlow does not.

    Args:
        serialized: bytes of the record.
        decoder: the `Decoder` that refused it.

    Returns:
        (the repaired record, "", what was repaired), or (b"", reason, detail).
    """
    try:
        example = tf.train.Example.FromString(serialized)
    except Exception as error:  # protobuf's own error type differs between its implementations
        return b"", report.NOT_AN_EXAMPLE, f"{len(serialized)} bytes, {error}"
    try:
        repairs = _repair_types(example, decoder.features)
        repairs += _repair_image(example)
        repaired = example.SerializeToString()
        _try(decoder, repaired)
    except BadRecord as bad:
        return b"", bad.reason, bad.detail
    return repaired, "", "; ".join(repairs) or "decoded at the second try"


def name_of(serialized):
    """The record's source_id, else its filename, else ''."""
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
    """Decodes eagerly, stage by stage; raises `BadRecord` with the stage that failed."""
    parsed = decoder.parse(serialized)
    try:
        decoder.decode_image(parsed)
    except tf.errors.OpError as error:
        raise BadRecord(report.BAD_IMAGE, _sentence(error)) from error
    try:
        decoder(serialized)
    except tf.errors.OpError as error:
        raise BadRecord(report.BAD_MASK, _sentence(error)) from error
    except ValueError as error:  # eagerly, tf.map_fn says so that results differ in shape
        raise BadRecord(report.MASK_SIZE, "the masks of the record differ in size") from error


def _repair_types(example, features):
    """Brings the lists to the types that `features` asks for, where nothing is lost by it."""
    repairs = []
    for key, spec in features.items():
        feature = example.features.feature.get(key)
        found = feature.WhichOneof("kind") if feature is not None else None
        wanted = _KINDS[spec.dtype]
        if found is None or found == wanted:
            continue
        values = list(getattr(feature, found).value)
        if values and "bytes_list" in (found, wanted):
            hint = ""
            if key == "image/object/mask":
                kind = "PNG_MASKS" if found == "bytes_list" else "NUMERICAL_MASKS"
                hint = f"; set mask_type: {kind} in the input reader"
            detail = f"{key} holds a {found}, not a {wanted}{hint}"
            raise BadRecord(report.WRONG_TYPE, detail)
        if wanted == "int64_list" and any(value != int(value) for value in values):
            raise BadRecord(report.WRONG_TYPE, f"{key} holds fractions, not whole numbers")
        feature.ClearField(found)
        getattr(feature, wanted).value.extend(int(value) for value in values)  # whole, either way
        repairs.append(f"{key} was a {found}, not a {wanted}")
    return repairs


def _repair_image(example):
    """Stores an image that only Pillow can read as PNG."""
    feature = example.features.feature
    encoded = feature["image/encoded"].bytes_list.value if "image/encoded" in feature else ()
    if not encoded or not encoded[0]:
        return []
    try:
        tf.io.decode_image(encoded[0], channels=3, expand_animations=False)
        return []
    except tf.errors.OpError:
        pass
    try:
        with Image.open(io.BytesIO(encoded[0])) as image:
            if image.format in ("JPEG", "PNG", "GIF"):  # TensorFlow reads these: the file is broken
                return []
            found, stored = image.format, io.BytesIO()
            image.convert("RGB").save(stored, "PNG")
    except Exception:  # Pillow's plugins raise errors of many types; the decoder's own says more
        return []
    encoded[0] = stored.getvalue()
    feature["image/format"].bytes_list.value[:] = [b"png"]
    return [f"the image was {found}"]


def _sentence(error):
    """What TensorFlow's message says, without the names of nodes and files around it."""
    return error.message.split("}} ")[-1].split(" [Op:")[0].split("\n")[0]
