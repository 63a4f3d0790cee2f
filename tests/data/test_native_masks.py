"""Masks decoded in C against TensorFlow's decoder, and what it refuses."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from made_records import image_bytes
from PIL import Image

from object_detection.data import mask_decoder, native, native_masks
from object_detection.datasets import mask_png

pytestmark = pytest.mark.skipif(native.load() is None, reason="no C compiler")


def chunk(kind, content):
    whole = kind + content
    return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))


def png(pixels, filters, *, level=6, strategy=zlib.Z_DEFAULT_STRATEGY, pieces=1):
    """A gray PNG written by hand: the filter of each row, the compression, the IDAT chunks."""
    height, width = pixels.shape
    raw, above = b"", np.zeros(width, int)
    for row, kind in zip(pixels.astype(int), filters, strict=True):
        left, corner = np.append(0, row[:-1]), np.append(0, above[:-1])
        guess = left + above - corner
        distances = np.abs(np.stack([left, above, corner]) - guess)
        paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
        base = [0, left, above, (left + above) // 2, paeth][kind]
        raw += bytes([kind]) + (row - base).astype(np.uint8).tobytes()
        above = row
    packer = zlib.compressobj(level, zlib.DEFLATED, 15, 8, strategy)
    packed = packer.compress(raw) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    cuts = np.linspace(0, len(packed), pieces + 1).astype(int)
    data = [chunk(b"IDAT", packed[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(data) + chunk(b"IEND", b"")


def shape_mask(rng, height, width):
    y, x = np.mgrid[:height, :width]
    centre, radius = rng.uniform(0, 1, 2) * (height, width), rng.uniform(0.1, 0.6) * height
    return ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2).astype(np.uint8)


def check(encoded, expected=None):
    found = native_masks.decode(np.array(encoded, object))
    tensorflows = mask_decoder.decode_png_masks(tf.constant(encoded), (1, 1)).pixels
    np.testing.assert_array_equal(found, tensorflows)
    if expected is not None:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(12))
def test_every_filter_and_compression(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 200, 2)
    masks, encoded = [], []
    strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED)
    for number in range(8):
        pixels = shape_mask(rng, height, width) * np.uint8(rng.choice([1, 255]))
        if number >= 6:
            pixels = rng.integers(0, 256, (height, width), np.uint8) * (rng.random() < 0.5)
        filters = rng.integers(0, 5, height) if number % 2 else np.full(height, number % 5)
        kind = {"level": int(rng.integers(0, 10)), "strategy": strategies[number % 4]}
        encoded.append(png(pixels, filters, pieces=int(rng.integers(1, 4)), **kind))
        masks.append(pixels > 0)
    check(encoded, masks)


def test_what_writers_of_records_make():
    rng = np.random.default_rng(0)
    masks = [shape_mask(rng, 240, 320) for _ in range(4)]
    check([image_bytes(mask) for mask in masks], masks)
    check([image_bytes(mask, optimize=True) for mask in masks], masks)
    check([mask_png.encode(mask) for mask in masks], masks)


def test_a_large_mask_of_noise():
    noise = (np.random.default_rng(0).random((1500, 2000)) < 0.5).astype(np.uint8)
    check([image_bytes(noise)], [noise])


MASK = shape_mask(np.random.default_rng(3), 40, 60)


@pytest.mark.parametrize(
    "encoded",
    [
        image_bytes(MASK.astype(bool)),
        image_bytes(MASK.astype(np.uint16)),
        image_bytes(np.dstack([MASK] * 3)),
        image_bytes(Image.fromarray(MASK).convert("P")),
        image_bytes(MASK, "JPEG"),
        b"",
        b"no image",
    ],
    ids=["1bit", "16bit", "colour", "palette", "jpeg", "empty", "text"],
)
def test_other_files_are_left_to_tensorflow(encoded):
    assert native_masks.decode(np.array([encoded], object)).size == 0


def test_masks_of_different_sizes_are_left_to_tensorflow():
    encoded = [image_bytes(MASK), image_bytes(MASK[:-1])]
    assert native_masks.decode(np.array(encoded, object)).size == 0


def test_broken_files_are_refused_or_right():
    """Every byte changed, and every length: a checksum tells, or it is outside of the pixels."""
    whole = image_bytes(MASK)
    rng = np.random.default_rng(0)
    accepted = 0
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= int(rng.integers(1, 256))
        found = native_masks.decode(np.array([bytes(changed)], object))
        accepted += found.size > 0
        assert native_masks.decode(np.array([whole[:at]], object)).size == 0
    assert accepted == 0
    assert native_masks.decode(np.array([whole], object)).size == MASK.size


def test_streams_that_lie_about_their_length_are_refused():
    start, stop = image_bytes(MASK)[:33], chunk(b"IEND", b"")
    raw = b"".join(b"\0" + row.tobytes() for row in MASK)
    for content in (raw, raw[:-1], raw + b"\0", b"", raw * 3):
        packed = zlib.compress(content)
        for data in (packed, packed[:-1], packed[:-4], packed + b"x"):
            found = native_masks.decode(np.array([start + chunk(b"IDAT", data) + stop], object))
            assert (found.size > 0) == (content == raw and packed in data)


def test_random_streams_do_no_harm():
    rng = np.random.default_rng(0)
    start, stop = image_bytes(MASK)[:33], chunk(b"IEND", b"")
    for _ in range(3000):
        data = b"\x78\x9c" + rng.bytes(int(rng.integers(1, 300)))
        found = native_masks.decode(np.array([start + chunk(b"IDAT", data) + stop], object))
        assert found.size == 0


def test_parts_go_to_their_places():
    parts = [MASK[5:9, 7:30], MASK[:, :1], MASK]
    corners = [(36, 37), (0, 59), (0, 0)]
    encoded = np.array([image_bytes(part) for part in parts], object)
    found = native_masks.decode(encoded, np.array(corners), (40, 60))
    for mask, part, (top, left) in zip(found, parts, corners, strict=True):
        expected = np.zeros_like(MASK)
        expected[top : top + part.shape[0], left : left + part.shape[1]] = part
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("corner", [(37, 0), (0, 38), (-1, 0), (0, -1), (2**62, 0)])
def test_parts_outside_of_their_frame_are_refused(corner):
    encoded = np.array([image_bytes(MASK[5:9, 7:30])], object)
    assert native_masks.decode(encoded, np.array([corner]), (40, 60)).size == 0


def test_without_a_compiler_tensorflow_decodes(monkeypatch, tmp_path):
    native.load.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        assert native.load() is None
        assert native_masks.decode(np.array([image_bytes(MASK)], object)).size == 0
        found = mask_decoder.decode_png_masks(
            tf.constant([image_bytes(MASK)]), (1, 1), mask_decoder.MaskDecodeOptions(native=True)
        )
        np.testing.assert_array_equal(found.pixels, MASK[np.newaxis])
    finally:
        native.load.cache_clear()


def test_a_cache_that_others_can_write_to_is_not_used(monkeypatch, tmp_path):
    native.load.cache_clear()
    (tmp_path / "object_detection").mkdir()
    (tmp_path / "object_detection").chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        assert native.load() is None
    finally:
        native.load.cache_clear()
