"""Features to the bytes of a tf.train.Example, without TensorFlow: worker processes stay light.

A protobuf message is a row of fields: a key (field number << 3 | kind), then the value; kind 2 is a
length and so many bytes, and a list of numbers is one such field. tf.train.Example nests them so,
each layer as field 1 of the one above it:

    Example > Features > (key = 1, Feature = 2) > BytesList = 1 | FloatList = 2 | Int64List = 3
"""

import numpy as np

_BYTES, _FLOATS, _INTS = 1, 2, 3


def encode(features):
    """The serialized example; the same features in the same order give the same bytes.

    Args:
        features: key -> list of bytes, or array of whole numbers (int64) or of others (float32).
    """
    entries = []
    for key, value in features.items():
        feature = _sized(2, _feature(value))
        entries.append(_sized(1, [*_sized(1, [key.encode()]), *feature]))
    content = [piece for entry in entries for piece in entry]
    return b"".join(_sized(1, content))


def _feature(value):
    """The content of a Feature, as pieces to be joined."""
    if isinstance(value, list):
        pieces = [piece for each in value for piece in _sized(1, [each])]
        return _sized(_BYTES, pieces)
    if np.issubdtype(value.dtype, np.integer):
        numbers = b"".join(_varint(number & 0xFFFFFFFFFFFFFFFF) for number in value.tolist())
        return _sized(_INTS, _sized(1, [numbers]) if numbers else [])
    numbers = value.astype("<f4").tobytes()
    return _sized(_FLOATS, _sized(1, [numbers]) if numbers else [])


def _sized(field, pieces):
    """A field of bytes: its key, the length, and the pieces."""
    length = sum(map(len, pieces))
    return [bytes([field << 3 | 2]), _varint(length), *pieces]


def _varint(number):
    """A number in groups of seven bits, lowest first; the top bit says that more follow."""
    if number < 0x80:
        return bytes([number])
    groups = []
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
