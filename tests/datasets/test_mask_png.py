"""Masks as PNG."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.datasets import mask_png
from object_detection.structures.masks import CroppedMask


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (480, 641)])
@pytest.mark.parametrize("fill", [0.0, 0.001, 0.5, 1.0])
def test_a_mask_comes_back_from_every_decoder(shape, fill):
    mask = (np.random.default_rng(0).random(shape) < fill).astype(np.uint8)

    for order in (np.ascontiguousarray, np.asfortranarray):
        encoded = mask_png.encode(order(mask))
        np.testing.assert_array_equal(tf.io.decode_png(encoded).numpy()[..., 0], mask)
        with Image.open(io.BytesIO(encoded)) as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), mask)


def test_an_objects_mask_is_small():
    mask = np.zeros((480, 640), np.uint8)
    mask[100:300, 200:500] = 1

    assert len(mask_png.encode(mask)) < 1000  # of 307,200 pixels


@pytest.mark.parametrize(
    ("height", "width", "top", "left", "shape"),
    [
        (3, 4, 1, 2, (1, 1)),
        (480, 640, 0, 0, (480, 640)),
        (480, 640, 479, 639, (1, 1)),
        (480, 640, 0, 5, (2, 3)),
        (500, 333, 250, 0, (250, 333)),
        (1700, 1300, 900, 700, (300, 400)),  # stretches of zeros of many lengths on both sides
        (70_000, 3, 66_000, 0, (2, 2)),  # more zeros than Adler's sums take in one go
    ],
)
def test_a_placed_mask_is_the_whole_image_for_every_decoder(height, width, top, left, shape):
    pixels = np.random.default_rng(1).integers(0, 2, shape, np.uint8)
    whole = np.zeros((height, width), np.uint8)
    whole[top : top + shape[0], left : left + shape[1]] = pixels

    encoded = mask_png.encode_placed(CroppedMask(pixels, top, left), height, width)

    np.testing.assert_array_equal(tf.io.decode_png(encoded).numpy()[..., 0], whole)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded))), whole)
