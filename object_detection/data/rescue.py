"""The slow way for records that the graph could not decode: repair them, or say what is wrong.

Runs in Python, for bad records only.
"""

import contextlib
import io

import tensorflow as tf
from PIL import Image

from object_detection.data import image_headers, mask_decoder, report
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
        return b"", report.NOT_AN_EXAMPLE, f"{len(serialized)} bytes, {_text(str(error))}"
    try:
        with _blamed_on(report.UNDECODABLE):
            repairs = _repair_types(example, decoder.features)
            repairs += _repair_image(example)
            repaired = example.SerializeToString()
            _try(decoder, repaired)
    except BadRecord as bad:
        return b"", bad.reason, _text(bad.detail)
    return repaired, "", _text("; ".join(repairs) or "decoded at the second try")


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
    cannot_parse = f"{len(serialized)} bytes that TensorFlow cannot parse"
    with _blamed_on(report.NOT_AN_EXAMPLE, cannot_parse):
        parsed = decoder.parse(serialized)
    with _blamed_on(report.BAD_IMAGE):
        decoder.decode_image(parsed)
    if decoder.options.load_masks:
        _try_masks(parsed, decoder.options.png_masks)
    with _blamed_on(report.UNDECODABLE):
        decoder(serialized)


@contextlib.contextmanager
def _blamed_on(reason, detail=""):
    """Around an eager call on foreign bytes, whose every error is the record's fault.

    TensorFlow quotes raw bytes in its messages. Where these are no UTF-8 the message itself fails,
    with an error that has nothing to do with decoding.
    """
    try:
        yield
    except BadRecord:
        raise
    except Exception as error:
        raise BadRecord(reason, detail or image_headers.sentence_of(error)) from error


def _try_masks(parsed, png_masks):
    """Decodes mask files one by one, so that the one at fault is known; `BadRecord` if one is.

    In a loop of TensorFlow's a broken file leaves a half-used array, of which it complains at
    length.
    """
    sizes = set()
    for key in ("image/object/mask", "image/object/mask/box_png"):
        if key == "image/object/mask" and not png_masks:
            continue
        for number, encoded in enumerate(parsed[key], 1):
            with _blamed_on(report.BAD_MASK):
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
        if wanted == "int64_list" and not all(map(_is_whole, values)):
            raise BadRecord(report.WRONG_TYPE, f"{key} holds fractions, not whole numbers")
        feature.ClearField(found)
        getattr(feature, wanted).value.extend(int(value) for value in values)  # whole, either way
        repairs.append(f"{key} was a {found}, not a {wanted}")
    return repairs


def _is_whole(value):
    """Whether a float is a whole number that an int64 holds; NaN and infinity are not."""
    return -(2.0**63) <= value < 2.0**63 and value == int(value)


def _repair_image(example):
    """Stores an image that only Pillow can read as PNG."""
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
            found, stored = image.format, io.BytesIO()
            image.convert("RGB").save(stored, "PNG")
    except Exception:  # Pillow's plugins raise errors of many types; the decoder's own says more
        return []
    encoded[0] = stored.getvalue()
    feature["image/format"].bytes_list.value[:] = [b"png"]
    return [f"the image was {found}"]


def _text(detail):
    """Text that can be sent through TensorFlow, which takes UTF-8 alone."""
    return detail.encode("utf-8", "backslashreplace").decode()
