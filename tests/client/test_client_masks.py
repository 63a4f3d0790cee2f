"""Masks that clients unpack: TFOD's pasting, azoda's unmolding, COCO's run lengths."""

import numpy as np
import pytest
from pycocotools import mask as rle_codec

from object_detection.client import decode_rle, paste_mask, unmold_mask
from object_detection.ops import paste


@pytest.mark.parametrize("seed", range(20))
def test_pasting_is_that_of_the_package(seed):
    generator = np.random.default_rng(seed)
    mask = generator.uniform(0, 1, generator.integers(1, 20, 2))
    height, width = generator.integers(1, 60, 2)
    box = generator.uniform(-20, 80, 4)

    np.testing.assert_allclose(
        paste_mask(mask, box, height, width), paste.paste_mask(mask, box, height, width), atol=1e-6
    )


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_are_cocos(seed):
    generator = np.random.default_rng(seed)
    shape = generator.integers(1, 80, 2)
    mask = generator.uniform(0, 1, shape) > generator.uniform(0, 1)
    code = rle_codec.encode(np.asfortranarray(mask, np.uint8))

    np.testing.assert_array_equal(decode_rle(code), mask)
    text = {"size": code["size"], "counts": code["counts"].decode()}
    np.testing.assert_array_equal(decode_rle(text), mask)


def test_run_lengths_as_numbers():
    mask = decode_rle({"size": [2, 3], "counts": [1, 2, 3]})

    assert mask.astype(int).tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("counts", [[1, 2], [7], "", [8, -2]])
def test_run_lengths_of_another_size(counts):
    with pytest.raises(ValueError, match="2 x 3"):
        decode_rle({"size": [2, 3], "counts": counts})


def test_unmolding_by_hand():
    # Two tiles of 2 x 2 pixels each, seen half a tile further: 1 3/4 1/4 0 along x.
    mask = np.array([[1.0, 0.0]] * 2)
    full = unmold_mask(mask, (1, 2, 5, 6), (7, 9, 3))

    wanted = np.zeros([7, 9], bool)
    wanted[1:5, 2:4] = True  # 3/4 of 3/4 at the corners
    assert full.dtype == bool
    np.testing.assert_array_equal(full, wanted)


def test_boxes_beyond_the_image_are_cut():
    ones = np.ones([4, 4])

    full = unmold_mask(ones, (-4, -4, 4, 4), (6, 6))
    assert full[:3, :3].all() and not full[4:].any() and not full[:, 4:].any()
    assert not unmold_mask(ones, (10, 10, 12, 12), (6, 6)).any()
    assert not unmold_mask(ones, (-9, -9, -5, -5), (6, 6)).any()


def test_a_box_of_less_than_a_pixel_is_one():
    assert unmold_mask(np.ones([4, 4]), (2.2, 3.1, 2.8, 3.9), (6, 6)).nonzero() == (2, 3)
