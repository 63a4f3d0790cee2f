"""Masks that lie in image files: values of every kind, decoded once, faults as sentences."""

import numpy as np
import pytest
from PIL import Image

from object_detection.datasets import masks
from object_detection.datasets.annotations import MaskFile
from object_detection.errors import AnnotationError

# Two objects on an empty ground: 1 above, 2 below.
IDS = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [2, 2, 2, 0]], np.uint8)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def _save(folder, image, name="mask.png", **options):
    image.save(folder / name, **options)
    return folder / name


def _colored():
    colors = np.array([(0, 0, 0), RED, BLUE], np.uint8)[IDS]
    return Image.fromarray(colors)


def _palette():
    image = Image.fromarray(IDS)
    image.putpalette([0, 0, 0, *RED, *BLUE])  # the pixels stay; they are indices now
    return image


def _pixels(path, *values):
    return masks.rasterize(MaskFile(path, values or None), *IDS.shape).tolist()


ABOVE, BELOW = (IDS == 1).astype(int).tolist(), (IDS == 2).astype(int).tolist()
BOTH = (IDS > 0).astype(int).tolist()


@pytest.mark.parametrize(
    ("image", "above", "below"),
    [
        (Image.fromarray(IDS), 1, 2),
        (_palette(), 1, 2),
        (_palette(), RED, BLUE),
        (_colored(), RED, BLUE),
        (Image.fromarray(IDS.astype(np.uint16) * 26001), 26001, 52002),
        (Image.fromarray(IDS).convert("RGB"), 1, 2),  # a gray id image saved in color
        (Image.fromarray(IDS).convert("RGB"), (1, 1, 1), (2, 2, 2)),
    ],
    ids=["gray", "index", "palette color", "color", "16 bits", "gray in color", "gray triple"],
)
def test_values_of_every_kind(tmp_path, image, above, below):
    path = _save(tmp_path, image)

    assert _pixels(path, above) == ABOVE
    assert _pixels(path, below) == BELOW
    assert _pixels(path, above, below) == BOTH
    assert _pixels(path) == BOTH
    assert not np.any(_pixels(path, 77))


def test_ids_of_32_bits(tmp_path):
    path = _save(tmp_path, Image.fromarray(IDS.astype(np.int32) * 10_000_000), "ids.tif")

    assert _pixels(path, 20_000_000) == BELOW


def test_one_bit_is_white_by_either_name(tmp_path):
    path = _save(tmp_path, Image.fromarray(IDS > 0))

    assert _pixels(path, 1) == _pixels(path, 255) == _pixels(path) == BOTH
    assert np.array_equal(_pixels(path, 0), 1 - np.array(BOTH))


def test_without_values_transparency_decides_where_it_says_anything(tmp_path):
    cut_out = np.zeros((3, 4, 4), np.uint8)
    cut_out[..., 3] = (IDS == 1) * 255  # black, and seen only above
    opaque = np.dstack([np.asarray(_colored()), np.full(IDS.shape, 255, np.uint8)])

    assert _pixels(_save(tmp_path, Image.fromarray(cut_out), "a.png")) == ABOVE
    assert _pixels(_save(tmp_path, Image.fromarray(opaque), "b.png")) == BOTH


def test_a_palette_that_shows_nothing_still_has_its_indices(tmp_path):
    image = Image.fromarray(IDS)
    image.putpalette([0] * 9)

    assert _pixels(_save(tmp_path, image)) == BOTH


def test_a_jpeg_is_cut_at_half_brightness(tmp_path):
    pixels = np.zeros((32, 32), np.uint8)
    pixels[:16] = 255
    path = _save(tmp_path, Image.fromarray(pixels), "mask.jpg", quality=30)

    assert np.array_equal(masks.rasterize(MaskFile(path), 32, 32), pixels > 0)


def test_a_file_may_lie_anywhere_in_the_image(tmp_path):
    mask = MaskFile(_save(tmp_path, Image.fromarray(IDS)), (1,), top=2, left=-1)

    assert masks.extent(mask) == (2, 0, 3, 2)  # row 0, columns 1 and 2, moved by (2, -1)
    assert np.argwhere(masks.rasterize(mask, 5, 5)).tolist() == [[2, 0], [2, 1]]


def test_many_objects_of_one_file_decode_it_once_and_a_new_file_anew(tmp_path):
    path = _save(tmp_path, Image.fromarray(IDS))
    masks._decode_file.cache_clear()

    for value in (1, 2, 1, 2):
        masks.file_pixels(MaskFile(path, (value,)))
    assert masks._decode_file.cache_info().misses == 1

    _save(tmp_path, Image.fromarray(np.ones((6, 6), np.uint8)))
    assert masks.file_size(MaskFile(path)) == (6, 6)


@pytest.mark.parametrize(("content", "why"), [(None, "no mask file"), (b"text", "known format")])
def test_what_cannot_be_read_is_a_fault_with_its_name(tmp_path, content, why):
    path = tmp_path / "mask.png"
    if content:
        path.write_bytes(content)

    with pytest.raises(AnnotationError, match=f"{why}.*|mask.png.*{why}") as fault:
        masks.extent(MaskFile(path))
    assert "mask.png" in str(fault.value)


def test_a_cut_off_file_is_a_fault(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (50, 50), np.uint8)
    path = _save(tmp_path, Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:900])

    with pytest.raises(AnnotationError, match=r"mask\.png cannot be decoded"):
        masks.rasterize(MaskFile(path), 50, 50)
