"""Examples written without TensorFlow are those it reads."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.datasets.examples import encode_example


def example(features):
    """The example that TensorFlow makes of features."""

    def feature(value):
        if isinstance(value, list):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
        if np.issubdtype(value.dtype, np.integer):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=value.tolist()))
        return tf.train.Feature(float_list=tf.train.FloatList(value=value.tolist()))

    features = {key: feature(value) for key, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def test_the_bytes_of_one_number_by_hand():
    # Example{1: Features{1: {1: "n", 2: Feature{3: Int64List{1: [5]}}}}}, from the inside:
    numbers = b"\x0a\x01\x05"
    feature = b"\x1a" + bytes([len(numbers)]) + numbers
    entry = b"\x0a\x01n" + b"\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry)]) + entry

    assert encode_example({"n": np.array([5])}) == b"\x0a" + bytes([len(features)]) + features


@pytest.mark.parametrize(
    "value",
    [
        [],
        [b""],
        [b"x", b"", b"y" * 127, b"z" * 128, bytes(70_000)],
        np.array([], np.int64),
        np.array([0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)]),
        np.array([7], np.int32),
        np.array([], np.float32),
        np.array([0.1, -2.5, np.inf, 1e-30]),
        np.zeros(20_000, np.float32),
    ],
    ids=lambda value: f"{type(value).__name__} {len(value)}",
)
def test_any_value_comes_back(value):
    features = {"image/ünder": value, "other": [b"1"]}

    back = tf.train.Example.FromString(encode_example(features))

    assert back == example(features)
    assert back.features.feature["image/ünder"].WhichOneof("kind")


def test_no_features():
    assert tf.train.Example.FromString(encode_example({})) == tf.train.Example(
        features=tf.train.Features()
    )
