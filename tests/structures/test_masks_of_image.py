"""Masks of an image: pasted, encoded and converted, against TensorFlow and pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as rle_codec
from reference import blocks, needs_reference

import object_detection.client
import object_detection.prediction.prediction
from object_detection.errors import MaskError
from object_detection.ops import masks
from object_detection.structures.masks import CroppedMask, Masks, crop_mask, paste_mask, unmold_mask

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
        found = paste_mask(*case)
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
        whole = paste_mask(mask, box, height, width) > threshold
        expected = rle_codec.encode(np.asfortranarray(whole, np.uint8))
        found = crop_mask(mask, box, height, width, threshold).to_rle(height, width)
        assert found == expected, f"seed {seed}"
        np.testing.assert_array_equal(rle_codec.decode(found).astype(bool), whole)
        filled += whole.any()
    assert filled > 400


def test_a_box_from_border_to_border_is_one_run():
    code = crop_mask(np.ones((3, 3)), [0.0, 0.0, 6.0, 4.0], 6, 4).to_rle(6, 4)
    assert code == rle_codec.encode(np.ones((6, 4), np.uint8, order="F"))


def test_a_box_outside_is_empty():
    for box in ([-9.0, 0.0, -2.0, 4.0], [7.0, 0.0, 9.0, 4.0], [0.0, 20.0, 6.0, 30.0]):
        code = crop_mask(np.ones((3, 3)), box, 6, 4).to_rle(6, 4)
        assert rle_codec.area(code) == 0 and code["size"] == [6, 4]
        assert not paste_mask(np.ones((3, 3)), box, 6, 4).any()


def test_the_threshold_itself_is_outside():
    code = crop_mask(np.full((3, 3), 0.5), [0.0, 0.0, 6.0, 4.0], 6, 4).to_rle(6, 4)
    assert rle_codec.area(code) == 0


def test_many_are_encoded_one_by_one():
    mask, box = np.ones((2, 3, 3)), np.array([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 6.0, 4.0]])
    codes = Masks.from_box_masks(mask, box, 6, 4).to_rle()
    assert rle_codec.area(codes).tolist() == [4, 24]
    assert Masks.from_box_masks(mask[:0], box[:0], 6, 4).to_rle() == []


def test_lists_are_masks_too():
    assert paste_mask([[1.0, 1.0], [1.0, 1.0]], (0, 0, 2, 2), 2, 2).tolist() == [
        [1, 1],
        [1, 1],
    ]


@needs_reference
@pytest.mark.parametrize("index", range(5))
def test_pasted_masks_as_in_tfod(index):
    height, width = (int(side) for side in GOLDEN["image_hw"])
    box = GOLDEN["boxes"][index] * np.float32([height, width, height, width])
    found = paste_mask(GOLDEN["box_masks"][index], box, height, width)
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

    assert Masks.from_dense(masks).to_rle() == whole
    assert Masks.from_dense(masks > 0).to_rle() == whole
    assert Masks.from_dense(masks[:0]).to_rle() == []


def matterport(mask, box, shape):
    return unmold_mask(mask, box, shape, convention="matterport")


def test_matterports_convention_by_hand():
    # Two tiles of 2 x 2 pixels each, seen half a tile further: 1 3/4 1/4 0 along x.
    full = matterport(np.array([[1.0, 0.0]] * 2), (1, 2, 5, 6), (7, 9, 3))

    expected = np.zeros([7, 9], bool)
    expected[1:5, 2:4] = True  # 3/4 of 3/4 at the corners
    assert full.dtype == bool
    np.testing.assert_array_equal(full, expected)
    # There the threshold itself is object, and fractions of a box are cut off.
    assert matterport(np.full([4, 4], 0.5), (0.9, 0.9, 4.9, 4.9), (5, 5))[1:3, 1:3].all()


def test_matterports_boxes_beyond_the_image_are_clipped():
    ones = np.ones([4, 4])

    full = matterport(ones, (-4, -4, 4, 4), (6, 6))
    assert full[:3, :3].all() and not full[4:].any() and not full[:, 4:].any()
    assert not matterport(ones, (10, 10, 12, 12), (6, 6)).any()
    assert not matterport(ones, (-9, -9, -5, -5), (6, 6)).any()
    assert matterport(ones, (2.2, 3.1, 2.8, 3.9), (6, 6)).nonzero() == (2, 3)


def test_there_is_one_unmold_mask():
    assert object_detection.client.unmold_mask is unmold_mask
    assert object_detection.prediction.prediction.unmold_mask is unmold_mask
    with pytest.raises(ValueError, match="'tfood'; choose one of: tfod, matterport"):
        unmold_mask(np.ones([2, 2]), (0, 0, 2, 2), (4, 4), convention="tfood")


def all_forms():
    dense = np.zeros([3, 9, 12], np.uint8)
    dense[0, 2:7, 3:9] = 1
    dense[0, 4, 5] = 0
    dense[2, 8, 11] = 1
    crops = [CroppedMask.from_image(mask) for mask in dense]
    rles = rle_codec.encode(np.asfortranarray(dense.transpose(1, 2, 0)))
    as_text = [{"size": [9, 12], "counts": rle["counts"].decode()} for rle in rles]
    forms = {
        "dense": Masks.from_dense(dense),
        "crops": Masks(crops, 9, 12),
        "rle": Masks.from_rle(rles, 9, 12),
        "text": Masks.from_rle(as_text, 9, 12),
    }
    return dense, rles, forms


@pytest.mark.parametrize("form", ["dense", "crops", "rle", "text"])
def test_every_form_converts_to_every_other(form):
    dense, rles, forms = all_forms()
    masks = forms[form]

    assert len(masks) == 3 and (masks.height, masks.width) == (9, 12)
    assert masks.to_rle() == rles and masks.encoded().to_rle() == rles
    np.testing.assert_array_equal(masks.to_dense(), dense)
    np.testing.assert_array_equal(masks.full(0), dense[0] > 0)
    assert masks.areas().tolist() == [29, 0, 1]
    assert masks.boxes().tolist() == [[2, 3, 7, 9], [0, 0, 0, 0], [8, 11, 9, 12]]
    assert masks.to_polygons()[1:] == [[], [[12, 8, 12, 9, 11, 9, 11, 8]]]
    assert len(masks.outlines(0)[0].holes) == 1
    for index in ([2, 0], np.array([True, False, True])):
        chosen = masks.select(index)
        np.testing.assert_array_equal(chosen.to_dense(), dense[index])


def test_box_masks_are_kept_small():
    values = np.ones([2, 4, 4], np.float32) * [[[0.4]], [[0.9]]]
    boxes = np.float32([[1, 1, 5, 5], [np.nan, 0, 3, 3]])
    masks = Masks.from_box_masks(values, boxes, 9, 12)

    assert masks.areas().tolist() == [0, 0]  # below the threshold; not finite
    assert masks.crop(0, threshold=0.3).pixels.sum() == 16
    assert masks.probabilities(0).max() == np.float32(0.4) and masks.box_masks is values
    assert masks.select([1]).box_masks.shape == (1, 4, 4)


def test_polygons_are_filled_as_coco_does():
    masks = Masks.from_polygons([[[1, 1, 5, 1, 5, 4, 1, 4]]], 9, 12)
    assert masks.areas().tolist() == [12]
    with pytest.raises(ValueError, match="no polygon of three points"):
        Masks.from_polygons([[[1, 1, 5, 1]]], 9, 12)


def test_run_lengths_of_another_image_are_refused():
    with pytest.raises(MaskError, match="^mask 1: .*the image is 2 x 3"):
        Masks.from_rle([{"size": [2, 3], "counts": [6]}, {"size": [3, 3], "counts": [9]}], 2, 3)


def test_crops_may_reach_beyond_the_image():
    crop = CroppedMask(np.ones([4, 4], np.uint8), -2, 9)
    assert crop.full(9, 12).sum() == 6 and not crop.full(9, 9).any()
