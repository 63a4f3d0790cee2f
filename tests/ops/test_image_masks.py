"""Masks of whole images made in the graph equal those made in numpy, pixel for pixel."""

import numpy as np
import pytest
import tensorflow as tf
from pycocotools import mask as rle_codec

from object_detection.ops import image_masks, masks
from object_detection.structures.masks import CroppedMask

# Boxes inside, across the border on all sides, of the whole image, thin, and without area.
BOXES = np.array(
    [
        (0.1, 0.2, 0.7, 0.6), (-0.2, -0.3, 0.5, 0.4), (0.5, 0.6, 1.3, 1.2), (0, 0, 1, 1),
        (0.3, 0, 0.301, 1), (0, 0.3, 1, 0.302), (0.4, 0.4, 0.4, 0.4), (0, 0, 0.3, 1),
        (0, 0.25, 1, 0.75), (-1, -1, 2, 2),
    ],
    np.float32,
)  # fmt: skip


def _masks(kind):
    shape = [len(BOXES), 15, 9]
    if kind == "noise":
        return np.random.default_rng(3).random(shape, np.float32)
    return np.full(shape, float(kind), np.float32)


encode_rows, paste_rows = tf.function(image_masks.encode_rows), tf.function(image_masks.paste_rows)


@pytest.mark.parametrize("kind", ["noise", "0", "1"])
@pytest.mark.parametrize("size", [(37, 52), (1, 20), (20, 1), (200, 333)])
def test_codes_and_pixels_are_those_of_numpy(kind, size):
    values = _masks(kind)
    sizes = np.tile(np.int32([size]), [len(BOXES), 1])
    codes = encode_rows(values, BOXES, sizes).numpy()
    pixels = paste_rows(values, BOXES, sizes).numpy()

    whole = masks.paste(values, BOXES, *size).numpy() > 0.5
    assert pixels.shape == whole.shape and pixels.dtype == np.uint8
    assert (pixels != whole).sum() <= (values.size if kind == "noise" else 0) * 1e-3
    for code, pasted in zip(codes, pixels, strict=True):
        wanted = CroppedMask.from_image(pasted).to_rle(*size)["counts"]
        # Both may end with an empty run or not; what they mean is what counts.
        decoded = rle_codec.decode({"size": list(size), "counts": code})
        np.testing.assert_array_equal(decoded, pasted)
        assert code == wanted


def test_images_of_other_sizes_are_padded_below_and_on_the_right():
    sizes = np.int32([(4, 6), (8, 2)])
    pixels = paste_rows(np.ones([2, 3, 3], np.float32), np.float32([(0, 0, 1, 1)] * 2), sizes)

    assert pixels.shape == [2, 8, 6]
    assert [int(p.sum()) for p in pixels.numpy()] == [24, 16]
    assert pixels.numpy()[0, :4, :6].all() and pixels.numpy()[1, :8, :2].all()


def test_no_rows():
    none = np.zeros([0, 3, 3], np.float32), np.zeros([0, 4], np.float32), np.zeros([0, 2], np.int32)
    assert encode_rows(*none).shape == [0]
    assert paste_rows(*none).shape[0] == 0


def test_large_counts_have_enough_characters():
    counts = tf.constant([0, 400_000_000, 1, 7, 20_000, 3], tf.int64)
    code = image_masks._coco_string(counts).numpy()
    size = [1, int(sum(counts.numpy()))]
    wanted = rle_codec.frPyObjects({"size": size, "counts": counts.numpy().tolist()}, *size)
    assert code == wanted["counts"]
