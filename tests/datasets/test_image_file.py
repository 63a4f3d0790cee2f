"""Image files of every kind into records."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.datasets import image_file
from object_detection.datasets.image_file import prepare
from object_detection.errors import ImageError


def _picture(mode="RGB", size=(40, 30)):
    """A picture of smooth ramps, 40 wide and 30 high."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    pixels = np.stack([x * 6, y * 8, (x + y) * 3], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def _encode(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _decoded(stored):
    decode = {"jpeg": tf.io.decode_jpeg, "png": tf.io.decode_png}[stored.format]
    return decode(stored.encoded, channels=3).numpy()


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("RGB", "JPEG"), ("L", "JPEG")]
    + [(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
)
def test_what_readers_of_records_decode_is_kept_byte_for_byte(mode, file_format):
    encoded = _encode(_picture(mode), file_format)

    stored = prepare(encoded)

    assert stored.encoded == encoded
    assert (stored.format, stored.change) == (file_format.lower(), None)
    assert (stored.height, stored.width) == (30, 40)
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)
    # JPEG decoders differ by their rounding of the color transform.
    assert np.abs(_decoded(stored) - expected).max() <= (0 if file_format == "PNG" else 6)


@pytest.mark.parametrize("size", [(8, 2), (2, 8), (1, 1)])
def test_the_smallest_jpegs_are_kept_too(size):
    stored = prepare(_encode(_picture(size=size), "JPEG"))

    assert (stored.format, stored.width, stored.height) == ("jpeg", *size)


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("RGB", "BMP"), ("P", "BMP"), ("P", "GIF"), ("RGB", "TIFF"), ("CMYK", "TIFF"), ("L", "BMP")],
)
def test_other_formats_become_png_without_loss(mode, file_format):
    encoded = _encode(_picture(mode), file_format)

    stored = prepare(encoded)

    assert stored.format == "png"
    assert stored.change == f"{file_format} ({mode}) stored as 8-bit PNG"
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    np.testing.assert_array_equal(_decoded(stored), expected)


def test_webp_becomes_png():
    stored = prepare(_encode(_picture(), "WEBP", lossless=True))

    np.testing.assert_array_equal(_decoded(stored), np.asarray(_picture()))


def test_sixteen_bits_of_color_too_become_eight():
    values = np.array([[[255, 4095, 65535]]], np.uint16)  # >> 8: 0, 15, 255

    stored = prepare(tf.io.encode_png(values).numpy())

    assert stored.change == "PNG (RGB, 16 bits) stored as 8-bit PNG"
    assert _decoded(stored).tolist() == [[[0, 15, 255]]]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_high_byte(file_format):
    values = np.array([[0, 255, 256], [4095, 40000, 65535]], np.uint16)  # >> 8: 0 0 1, 15 156 255

    stored = prepare(_encode(Image.fromarray(values), file_format))

    assert _decoded(stored)[:, :, 0].tolist() == [[0, 0, 1], [15, 156, 255]]
    assert stored.change.endswith("the high byte of values up to 65535")


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("largest", "bits"), [(255, 8), (900, 10), (4095, 12), (16383, 14), (16384, None)]
)
def test_sixteen_bits_that_hold_fewer_are_named_and_scaled_as_declared(file_format, largest, bits):
    values = np.array([[0, largest // 2, largest]], np.uint16)
    encoded = _encode(Image.fromarray(values), file_format)

    stored = prepare(encoded)

    assert _decoded(stored)[0, :, 0].tolist() == [0, largest // 2 >> 8, largest >> 8]
    assert (stored.warning is None) == (bits is None)
    if bits is None:
        return
    assert f"--bit_depth={bits}" in stored.warning
    scaled = prepare(encoded, bit_depth=bits)
    assert scaled.warning is None
    assert _decoded(scaled)[0, :, 0].tolist() == [
        0,
        largest // 2 >> (bits - 8),
        largest >> (bits - 8),
    ]


def test_values_of_more_bits_than_declared_are_white_and_named():
    encoded = _encode(Image.fromarray(np.array([[100, 5000]], np.uint16)), "PNG")

    stored = prepare(encoded, bit_depth=12)

    assert _decoded(stored)[0, :, 0].tolist() == [100 >> 4, 255]
    assert "more than --bit_depth=12 bits" in stored.warning


def test_dark_color_of_sixteen_bits_is_named():
    dark, bright = (np.full((1, 1, 3), value, np.uint16) for value in (4095, 65535))

    assert "12 bits" in prepare(tf.io.encode_png(dark).numpy()).warning
    assert prepare(tf.io.encode_png(bright).numpy()).warning is None


def test_a_header_of_more_pixels_than_memory_is_a_fault_before_anything_is_decoded():
    sound = bytearray(SOUND_PNG)
    sound[16:24] = struct.pack(">II", 60000, 60000)  # width, height
    sound[29:33] = struct.pack(">I", zlib.crc32(sound[12:29]))

    with pytest.raises(ImageError, match="states more than 179 million pixels"):
        prepare(bytes(sound))
    assert image_file.sizes(bytes(sound)) == set()


SOUND_PNG = _encode(_picture(), "PNG")  # its last 12 bytes are the end chunk, before: a sum of 4


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (SOUND_PNG[:-12], "without its end"),
        (SOUND_PNG[:-2], "without its end"),
        (SOUND_PNG[:-16] + bytes(4) + SOUND_PNG[-12:], "with a wrong checksum"),
    ],
)
def test_a_png_that_only_pillow_forgives_is_stored_anew(broken, why):
    stored = prepare(broken)

    assert why in stored.change
    np.testing.assert_array_equal(_decoded(stored), np.asarray(_picture()))


def test_the_name_of_a_file_does_not_matter_its_bytes_do():
    assert prepare(_encode(_picture(), "PNG")).format == "png"


def test_of_several_frames_the_first_is_kept_and_reported():
    frames = [_picture("P"), _picture("P").transpose(Image.Transpose.ROTATE_180)]

    stored = prepare(_encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert stored.change.endswith("stored as 8-bit PNG, the first of 2 frames")


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "not an image"),
        (_encode(_picture(), "JPEG")[:-20], "cannot be decoded"),
        (_encode(_picture(), "PNG")[:80], "cannot be decoded"),
        (_encode(_picture("F"), "TIFF"), "floating-point"),
        (_encode(Image.fromarray(np.array([[70000]], np.int32)), "TIFF"), "neither 8 nor 16"),
    ],
)
def test_what_is_no_image_is_a_fault_with_its_reason(encoded, why):
    with pytest.raises(ImageError, match=why):
        prepare(encoded)
