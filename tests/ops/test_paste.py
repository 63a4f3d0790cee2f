"""Masks pasted and encoded in numpy, against TensorFlow's crops and pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as rle_codec
from reference import blocks, needs_reference

from object_detection.ops import masks, paste

GOLDEN = blocks("reframe_masks")


def random_case(seed):
    """A mask, a box that may reach beyond the image or have no area, and the image's size."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 60, 2))
    mask = rng.random(rng.choice([1, 2, 15, 33], 2)).astype(np.float32)
    corners = np.sort(rng.uniform(-0.3, 1.3, (2, 2)), axis=0) * [height, width]
    if rng.random() < 0.3:
        corners = np.round(corners)
    if rng.random() < 0.2:  # from border to border: runs go on in the next column
        corners[:, 0] = [0, height]
    if rng.random() < 0.1:
        corners[1, 0] = corners[0, 0]
    return mask, corners.reshape(4).astype(np.float32), height, width


def plain_paste(mask, box, height, width):
    # As numpy divides: `to_normalized` multiplies by the reciprocal.
    normalized = box / np.float32([height, width, height, width])
    return masks.paste(mask[np.newaxis], normalized[np.newaxis], height, width)[0].numpy()


def test_pasted_masks_are_tensorflows():
    reached = 0
    for seed in range(300):
        case = random_case(seed)
        expected = plain_paste(*case)
        found = paste.paste_mask(*case)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=f"seed {seed}")
        reached += expected.any()
    assert reached > 200


def test_codes_are_those_of_pycocotools():
    filled = 0
    for seed in range(600):
        mask, box, height, width = random_case(seed)
        if seed % 3 == 0:
            mask = np.where(mask > 0.4, np.float32(0.9), np.float32(0.1))
        if seed % 3 == 1:
            mask = np.full_like(mask, 0.9)
        threshold = 0.5 if seed % 2 else 0.0
        whole = paste.paste_mask(mask, box, height, width) > threshold
        expected = rle_codec.encode(np.asfortranarray(whole, np.uint8))
        found = paste.encode_mask(mask, box, height, width, threshold)
        assert found == expected, f"seed {seed}"
        np.testing.assert_array_equal(rle_codec.decode(found).astype(bool), whole)
        filled += whole.any()
    assert filled > 400


def test_a_box_from_border_to_border_is_one_run():
    code = paste.encode_mask(np.ones((3, 3)), [0.0, 0.0, 6.0, 4.0], 6, 4)
    assert code == rle_codec.encode(np.ones((6, 4), np.uint8, order="F"))


def test_a_box_outside_is_empty():
    for box in ([-9.0, 0.0, -2.0, 4.0], [7.0, 0.0, 9.0, 4.0], [0.0, 20.0, 6.0, 30.0]):
        code = paste.encode_mask(np.ones((3, 3)), box, 6, 4)
        assert rle_codec.area(code) == 0 and code["size"] == [6, 4]
        assert not paste.paste_mask(np.ones((3, 3)), box, 6, 4).any()


def test_the_threshold_itself_is_outside():
    code = paste.encode_mask(np.full((3, 3), 0.5), [0.0, 0.0, 6.0, 4.0], 6, 4)
    assert rle_codec.area(code) == 0


def test_many_are_encoded_one_by_one():
    mask, box = np.ones((2, 3, 3)), np.array([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 6.0, 4.0]])
    codes = paste.encode_masks(mask, box, 6, 4)
    assert rle_codec.area(codes).tolist() == [4, 24]
    assert paste.encode_masks(mask[:0], box[:0], 6, 4) == []


def test_lists_are_masks_too():
    assert paste.paste_mask([[1.0, 1.0], [1.0, 1.0]], (0, 0, 2, 2), 2, 2).tolist() == [
        [1, 1],
        [1, 1],
    ]


@needs_reference
@pytest.mark.parametrize("index", range(5))
def test_pasted_masks_as_in_tfod(index):
    height, width = (int(side) for side in GOLDEN["image_hw"])
    box = GOLDEN["boxes"][index] * np.float32([height, width, height, width])
    found = paste.paste_mask(GOLDEN["box_masks"][index], box, height, width)
    np.testing.assert_allclose(found, GOLDEN["image_masks"][index], atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_a_bitmap_is_encoded_as_pycocotools_does(seed):
    draw = np.random.default_rng(seed)
    masks = (draw.random([6, 17, 23]) < 0.4).astype(np.uint8)
    masks[1] = 0
    masks[2] = 1
    masks[3, :, 4:] = 0  # touches three sides
    masks[4, :, :] = 0
    masks[4, 16, 22] = 7  # any number over 0 is object
    masks[5, :5] = masks[5, 9:] = 0
    whole = rle_codec.encode(np.asfortranarray((masks > 0).astype(np.uint8).transpose(1, 2, 0)))

    assert paste.encode_bitmaps(masks) == whole
    assert paste.encode_bitmaps(masks > 0) == whole
    assert paste.encode_bitmaps(masks[:0]) == []
