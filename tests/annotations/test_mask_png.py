"""Masks as PNG."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.annotations import mask_png


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
