"""Records framed without TensorFlow are those it reads and writes."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.datasets.records import crc32c, frame


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # of RFC 3720, B.4, and the usual check value
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
        (b"", 0),
        (b"a", 0xC1D04330),
    ],
)
def test_known_checksums(data, crc):
    assert crc32c(data) == crc


def _records():
    random = np.random.default_rng(0)
    lengths = [*range(40), 255, 256, 257, 1000, 4095, 65537, 300_001]
    return [random.bytes(length) for length in lengths]


def test_the_file_is_the_one_tensorflow_writes_and_reads(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in _records():
            writer.write(record)
    (tmp_path / "ours").write_bytes(b"".join(map(frame, _records())))

    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    read = tf.data.TFRecordDataset(str(tmp_path / "ours")).as_numpy_iterator()
    assert list(read) == _records()
