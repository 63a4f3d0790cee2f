import gc
import re
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask, example, image_bytes, picture, record

from object_detection.data import report
from object_detection.data.decoder import Decoder, DecoderOptions
from object_detection.data.decoding import name_record, repair
from object_detection.data.mask_decoder import MaskDecodeOptions

BOX = (0.0, 0.0, 1.0, 1.0)


def decoder(**options):
    return Decoder(DecoderOptions(num_classes=3, class_ids={}, **options))


def features_of(serialized):
    return tf.train.Example.FromString(serialized).features.feature


def test_numbers_of_the_other_type_are_converted():
    serialized = record([BOX, BOX], xmin=[0, 0], ymin=[0, 0], label=[1.0, 2.0], crowd=[0.0, 1.0])
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoder()(serialized)

    repaired, reason, said = repair(serialized, decoder())

    assert reason == ""
    assert "image/object/bbox/xmin was a int64_list, not a float_list" in said
    got = decoder()(repaired).example
    np.testing.assert_array_equal(got.boxes_normalized, np.float32([BOX, BOX]))
    assert got.classes.numpy().tolist() == [1, 2]
    assert got.crowd.numpy().tolist() == [False, True]


def test_empty_lists_of_another_type_are_no_fault():
    message = tf.train.Example.FromString(record())
    message.features.feature["image/object/mask"].float_list.SetInParent()
    message.features.feature["image/object/class/text"].int64_list.SetInParent()
    serialized = message.SerializeToString()

    repaired, reason, _ = repair(serialized, decoder(load_masks=True))

    assert reason == ""
    assert decoder(load_masks=True)(repaired).example.masks.pixels.shape == (0, 8, 10)


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_images_that_only_pillow_reads_are_stored_anew(kind):
    rgb = picture()
    repaired, reason, said = repair(record(encoded=image_bytes(rgb, kind)), decoder())
    assert reason == ""
    assert kind in said
    np.testing.assert_array_equal(decoder()(repaired).example.image, rgb)


def truncated_jpeg():
    return image_bytes(picture(64, 64), "JPEG")[:-400]


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"encoded": b"neither"}, report.BAD_IMAGE, "Unknown image file format"),
        ({"encoded": truncated_jpeg()}, report.BAD_IMAGE, "JPEG"),
        ({"encoded": image_bytes(picture())[:60]}, report.BAD_IMAGE, "PNG"),
        ({"encoded": None}, report.NO_IMAGE, "missing"),
        ({"encoded": b"abc", "format": "raw"}, report.BAD_IMAGE, "reshape"),
        ({"label": [1.5]}, report.WRONG_TYPE, "class/label contains fractions"),
        ({"label": [float("inf")]}, report.WRONG_TYPE, "class/label contains fractions"),
        ({"label": [1e38]}, report.WRONG_TYPE, "class/label contains fractions"),
        ({"label": [float("nan")]}, report.WRONG_TYPE, "class/label contains fractions"),
        ({"label": ["1"]}, report.WRONG_TYPE, "class/label is a bytes_list, not a int64_list"),
        ({"xmin": ["0.1"]}, report.WRONG_TYPE, "xmin is a bytes_list, not a float_list"),
        ({"mask": [b"no mask"]}, report.BAD_MASK, "^Unknown image file format"),
        ({"mask": [0.0] * 80}, report.WRONG_TYPE, "float_list.*set mask_type: NUMERICAL_MASKS"),
    ],
)
def test_the_reason_is_found(changes, reason, said):
    serialized = record([BOX], masks=True, **changes)
    repaired, found, detail = repair(serialized, decoder(load_masks=True))
    assert (repaired, found) == (b"", reason)
    assert re.search(said, detail), detail


def test_png_masks_where_numbers_are_expected():
    serialized = record([BOX], masks=True)
    _, reason, detail = repair(serialized, decoder(load_masks=True, png_masks=False))
    assert reason == report.WRONG_TYPE
    assert "set mask_type: PNG_MASKS" in detail


def test_masks_of_several_sizes():
    masks = [
        image_bytes(box_mask(8, 10, (0, 0, 4, 5))),
        image_bytes(box_mask(16, 20, (0, 0, 4, 5))),
    ]
    _, reason, detail = repair(record([BOX, BOX], mask=masks), decoder(load_masks=True))
    assert reason == report.MASK_SIZE
    assert "differ in size" in detail


def png_stating(height, width):
    """A PNG file of a few bytes whose header states this size."""
    file = image_bytes(np.zeros((8, 10), np.uint8))
    header = b"IHDR" + struct.pack(">II", width, height) + file[24:29]
    return file[:12] + header + struct.pack(">I", zlib.crc32(header)) + file[33:]


@pytest.mark.parametrize(
    "mask_options", [MaskDecodeOptions(), MaskDecodeOptions(native=True, crop=True)]
)
def test_a_mask_whose_header_states_a_million_rows_is_named(mask_options):
    decode = decoder(load_masks=True, mask_options=mask_options)
    for side in (2**20, 2**31 - 1, 2**32 - 1):
        masks = [image_bytes(box_mask(8, 10, (0, 0, 4, 5))), png_stating(side, side)]
        serialized = record([BOX, BOX], mask=masks)

        with pytest.raises(tf.errors.InvalidArgumentError):
            decode.in_graph(serialized)
        _, reason, detail = repair(serialized, decode)

        assert reason == report.BAD_MASK
        assert f"mask 2: its header states {side} x {side} pixels (height x width)" in detail


def test_masks_that_are_large_all_together_are_named():
    masks = [png_stating(8000, 10000)] * 5  # each of them may be read: 8 * 10^7 pixels
    _, reason, detail = repair(record([BOX] * 5, mask=masks), decoder(load_masks=True))
    assert reason == report.BAD_MASK


def test_an_image_whose_header_states_a_million_rows_is_named():
    serialized = record([BOX], encoded=png_stating(2**20, 2**20))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoder().in_graph(serialized)
    _, reason, detail = repair(serialized, decoder())
    assert reason == report.BAD_IMAGE
    assert "states 1048576 x 1048576 pixels" in detail


def test_bytes_that_tensorflow_cannot_even_complain_about():
    # Protobuf takes these for an example with unknown fields. TensorFlow's parser does not, and
    # quotes them in a message that is no UTF-8.
    serialized = bytes.fromhex("15808182830a020a00")
    with pytest.raises(UnicodeDecodeError):
        decoder().in_graph(serialized)
    repaired, reason, detail = repair(serialized, decoder())
    assert repaired == b"" and detail
    assert reason in (report.NOT_AN_EXAMPLE, report.NO_IMAGE)  # as protobuf writes it anew


def test_a_broken_mask_is_named_without_noise(caplog):
    _, reason, detail = repair(record([BOX], mask=[b"no mask"]), decoder(load_masks=True))
    gc.collect()
    assert reason == report.BAD_MASK
    assert "TensorArray" not in caplog.text


def test_bytes_that_are_no_example():
    repaired, reason, detail = repair(b"\xff\xff\xff\xff", decoder())
    assert (repaired, reason) == (b"", report.NOT_AN_EXAMPLE)
    assert "4 bytes" in detail


def test_a_good_record_stays_as_it_is():
    serialized = record([BOX])
    repaired, reason, _ = repair(serialized, decoder())
    assert reason == ""
    assert features_of(repaired) == features_of(serialized)


def test_names():
    assert name_record(record(seed=4)) == "id-4"
    assert name_record(record(source_id="", filename="a.png")) == "a.png"
    assert name_record(example({"image/source_id": b"\xff"})) == "\ufffd"
    assert name_record(example({"image/source_id": 7})) == ""
    assert name_record(b"\xff\xff\xff\xff") == ""
