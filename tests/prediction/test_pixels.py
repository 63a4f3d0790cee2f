"""Images of every kind become upright uint8 RGB."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from object_detection.errors import ImageError
from object_detection.prediction import pixels

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_arrays():
    color = np.stack([RAMP, RAMP + 1, RAMP + 2], -1)
    alpha = np.concatenate([color, np.full([3, 4, 1], 9, np.uint8)], -1)

    np.testing.assert_array_equal(pixels.read(color), color)
    np.testing.assert_array_equal(pixels.read(alpha), color)
    for grey in (RAMP, RAMP[..., np.newaxis]):
        np.testing.assert_array_equal(pixels.read(grey), np.stack([RAMP] * 3, -1))


@pytest.mark.parametrize(
    "same",
    [
        RAMP.astype(np.uint16) << 8,
        RAMP.astype(np.int32),
        RAMP.astype(np.int32) << 8,
        RAMP.astype(np.float32),
        RAMP.astype(np.float64) + 0.3,
    ],
)
def test_number_types(same):
    np.testing.assert_array_equal(pixels.read(same)[..., 0], RAMP)


def test_a_dark_16_bit_array_stays_dark():
    array = np.full([2, 2], 255, np.uint16)
    with pytest.warns(pixels.FewBitsWarning, match="--bit_depth=8"):
        assert pixels.read(array).max() == 0  # below the upper 8 bits
    assert pixels.read(array, bit_depth=8).max() == 255
    assert pixels.read(array, bit_depth=12).max() == 255 >> 4


def test_bool():
    assert pixels.read(np.array([[True, False]]))[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros([3, 4, 2], np.uint8), r"got \[3, 4, 2\]"),
        (np.zeros([4], np.uint8), r"got \[4\]"),
        (np.zeros([0, 4, 3], np.uint8), r"got \[0, 4, 3\]"),
        (RAMP / 255, "multiply by 255"),
        (RAMP.astype(int) - 5, "from -5"),
        (np.full([2, 2], np.nan), "from nan"),
    ],
)
def test_arrays_that_are_no_image(array, message):
    with pytest.raises(ImageError, match=message):
        pixels.read(array)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16"])
def test_files_of_every_mode(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(RAMP.astype(np.uint16) << 8)
    else:
        image = Image.fromarray(RAMP).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)

    read = pixels.read(path)

    assert read.shape == (3, 4, 3) and read.dtype == np.uint8
    if mode != "1":
        np.testing.assert_allclose(read, np.stack([RAMP] * 3, -1), atol=1)
    np.testing.assert_array_equal(pixels.read(image), read)


def test_photographs_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it
    Image.fromarray(RAMP).save(tmp_path / "a.png", exif=exif)

    np.testing.assert_array_equal(
        pixels.read(str(tmp_path / "a.png"))[..., 0], np.rot90(RAMP, k=-1)
    )


@pytest.mark.parametrize("content", [None, b"", b"no image at all", "cut"])
def test_files_that_are_no_image(tmp_path, content):
    path = tmp_path / "a.png"
    if content == "cut":
        noise = np.random.default_rng(0).integers(0, 255, [50, 50, 3], np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:3000])
    elif content is not None:
        path.write_bytes(content)

    with pytest.raises(ImageError, match=r"a\.png"):
        pixels.read(path)


def test_the_bytes_of_a_file(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    np.testing.assert_array_equal(pixels.read(content)[..., 0], RAMP)
    with pytest.raises(ImageError, match="image file of 4 bytes: not an image"):
        pixels.read(b"none")


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def test_more_pixels_than_memory_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    header = struct.pack(">II5B", 60_000, 60_000, 8, 2, 0, 0, 0)  # of 10 GB of pixels
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    with pytest.raises(ImageError, match=r"bomb.png: .*pixels"):
        pixels.read(path)
    monkeypatch.setattr(pixels, "MAX_PIXELS", 100)
    with pytest.raises(ImageError, match="20 x 10, 0 million pixels"):
        pixels.read(Image.new("RGB", (20, 10)))


def test_very_wide_and_very_small_images():
    assert pixels.read(Image.new("L", (20_000, 3))).shape == (3, 20_000, 3)
    assert pixels.read(np.zeros([1, 1], np.uint8)).shape == (1, 1, 3)
    with pytest.raises(ImageError, match="0 x 5: it has no pixel"):
        pixels.read(Image.new("RGB", (0, 5)))


def test_enlarging_keeps_the_aspect_ratio():
    assert pixels.enlarge(np.zeros([10, 25, 3], np.uint8), 40).shape == (40, 100, 3)
    assert pixels.enlarge(np.zeros([10, 25, 3], np.uint8), 4).shape == (10, 25, 3)
