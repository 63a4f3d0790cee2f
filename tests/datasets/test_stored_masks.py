"""The forms that records hold masks in: each gives back every bit."""

import io

import numpy as np
import pytest
from PIL import Image

from object_detection.datasets import examples
from object_detection.structures.masks import CroppedMask

# In an image of 4 x 6: two pixels of row 1 from column 2 on; a cross of 3 x 3 in the corner.
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
MASKS = [CroppedMask(np.ones((1, 2), np.uint8), 1, 2), CroppedMask(CROSS, 1, 3)]
WHOLE = np.zeros((2, 4, 6), np.uint8)
WHOLE[0, 1, 2:4] = 1
WHOLE[1, 1:4, 3:6] = CROSS


def _pixels(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)))


def test_png_is_the_whole_image():
    stored = examples.mask_features(MASKS, 4, 6, "png")

    assert stored.keys() == {"image/object/mask"}
    assert np.array_equal([_pixels(one) for one in stored["image/object/mask"]], WHOLE)


def test_numerical_is_a_float_a_pixel_object_after_object():
    stored = examples.mask_features(MASKS, 4, 6, "numerical")

    assert stored["image/object/mask"].dtype == np.float32
    assert np.array_equal(stored["image/object/mask"], WHOLE.ravel())


def test_a_box_holds_the_object_and_where_it_lies():
    stored = examples.mask_features(MASKS, 4, 6, "box")

    assert [_pixels(one).shape for one in stored["image/object/mask/box_png"]] == [(1, 2), (3, 3)]
    assert stored["image/object/mask/box_top"].tolist() == [1, 1]
    assert stored["image/object/mask/box_left"].tolist() == [2, 3]
    assert all(
        stored[f"image/object/mask/box_{side}"].dtype == np.int64 for side in ("top", "left")
    )
    back = np.zeros_like(WHOLE)
    for canvas, encoded, top, left in zip(back, *stored.values(), strict=True):
        pixels = _pixels(encoded)
        canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    assert np.array_equal(back, WHOLE)


@pytest.mark.parametrize("storage", examples.STORAGES)
def test_without_objects_the_lists_are_there_and_empty(storage):
    assert not any(len(value) for value in examples.mask_features([], 4, 6, storage).values())
