"""Drawing: what is painted, where, and what is left alone."""

import io

import numpy as np
import pytest
from drawn_objects import INDEX, grey
from PIL import Image, ImageColor, ImageDraw

from object_detection.structures import drawing
from object_detection.utils import visualization_utils as draw

RED = (255, 0, 0)


def differing(image):
    """Rows and columns where the image is not the plain grey any more."""
    return np.argwhere((image != 100).any(axis=2))


def test_a_box_covers_exactly_its_pixels():
    image = draw.draw_objects(grey(), [[10, 20, 30, 50]], [""], ["red"], line_thickness=1)

    changed = differing(image)
    assert changed.min(axis=0).tolist() == [10, 20]
    assert changed.max(axis=0).tolist() == [29, 49]  # the last pixel inside ymax 30, xmax 50
    assert len(changed) == 2 * 30 + 2 * 20 - 4  # the rim only
    assert tuple(image[10, 20]) == RED


def test_masks_are_mixed_and_outlined():
    mask = np.zeros([60, 80], bool)
    mask[10:30, 20:50] = True
    image = draw.draw_objects(
        grey(), [[10, 20, 30, 50]], [""], ["red"], [mask], line_thickness=0, mask_alpha=0.4
    )

    assert image[20, 30].tolist() == [162, 60, 60]  # .6 * 100 + .4 * (255, 0, 0)
    assert tuple(image[10, 35]) == RED and tuple(image[29, 35]) == RED
    assert len(differing(image)) == 20 * 30
    same = draw.draw_objects(
        grey(), [[10, 20, 30, 50]], [""], ["red"], lambda k: mask, line_thickness=0
    )
    np.testing.assert_array_equal(same, image)


def test_outlines_end_at_the_image_border():
    mask = np.ones([60, 80], bool)
    image = draw.draw_objects(grey(), [[0, 0, 60, 80]], [""], ["red"], [mask], line_thickness=0)

    assert tuple(image[0, 0]) == RED and tuple(image[59, 79]) == RED
    assert image[30, 40].tolist() == [162, 60, 60]


def test_a_small_mask_stays_visible_on_a_large_one():
    small = np.zeros([60, 80], bool)
    small[20:40, 30:50] = True
    masks = [small, np.ones([60, 80], bool)]
    image = draw.draw_objects(
        grey(), [[20, 30, 40, 50], [0, 0, 60, 80]], ["", ""], ["blue", "red"], masks,
        line_thickness=0, mask_alpha=1.0,
    )  # fmt: skip

    assert image[30, 40].tolist() == [0, 0, 255]


def test_objects_without_mask_or_with_an_empty_one():
    masks = [None, np.zeros([60, 80], bool)]
    image = draw.draw_objects(
        grey(), np.zeros([2, 4]), [""] * 2, ["red"] * 2, masks, line_thickness=0
    )

    assert not len(differing(image))


def test_labels_stay_inside_and_apart():
    boxes = np.array([[0, 0, 40, 60]] * 2 + [[40, 30, 60, 80]] * 3, np.float32)
    taken = []
    picture = Image.fromarray(grey())
    pen = ImageDraw.Draw(picture)
    for box in boxes:
        drawing.write_label(pen, box, "cat 99%", "red", drawing.font_of(10), taken)

    for x, y, wide, high in taken:
        assert x >= 0 and y >= 0 and x + wide <= 80 and y + high <= 60
    assert not drawing._overlap(taken[0], taken[1])


def test_the_image_given_is_not_touched_by_draw_objects():
    image = grey()
    draw.draw_objects(image, [[10, 20, 30, 50]], ["cat"], ["red"], [np.ones([60, 80], bool)])

    assert not len(differing(image))


def test_the_function_of_tfod_draws_in_place_what_scores_enough():
    image = grey()
    boxes = np.array([[0.2, 0.1, 0.9, 0.4], [0.2, 0.6, 0.9, 0.9]])
    result = draw.visualize_boxes_and_labels_on_image_array(
        image, boxes, np.array([1, 2]), np.array([0.9, 0.4]), INDEX,
        use_normalized_coordinates=True, line_thickness=1, skip_labels=True, skip_scores=True,
    )  # fmt: skip

    assert result is image
    changed = differing(image)
    assert changed.min(axis=0).tolist() == [12, 8] and changed.max(axis=0).tolist() == [53, 31]
    assert tuple(image[12, 8]) == ImageColor.getrgb(draw.color_of(1))


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [
        *[(kind, 1) for kind in ("int16", "uint16", "int32", "int64", "float32", "float64")],
        ("float32", 1 / 255),  # from 0 to 1, as matplotlib has them
        ("float64", 1 / 255),
    ],
)
def test_images_of_other_number_types_are_drawn_on_in_place(dtype, factor):
    """What TFOD draws on `np.uint8(image)`, put back into the array that was given."""
    masks = np.zeros([1, 60, 80], np.uint8)
    masks[0, 20:30, 10:30] = 1
    options = {
        "instance_masks": masks,
        "instance_boundaries": masks,
        "keypoints": [[[0.5, 0.5]]],
        "use_normalized_coordinates": True,
    }
    found = (np.array([[0.2, 0.1, 0.9, 0.4]]), np.array([1]), np.array([0.9]), INDEX)
    plain = grey()
    plain[0, 0] = 7, 200, 0
    image = (plain * factor).astype(dtype)
    draw.visualize_boxes_and_labels_on_image_array(plain, *found, **options)
    result = draw.visualize_boxes_and_labels_on_image_array(image, *found, **options)

    assert result is image and image.dtype == dtype
    np.testing.assert_allclose(image / factor, plain, atol=1)
    assert len(differing(plain))
    for function, arguments in (
        (draw.draw_bounding_box_on_image_array, (0.2, 0.1, 0.9, 0.4)),
        (draw.draw_bounding_boxes_on_image_array, ([[0.2, 0.1, 0.9, 0.4]],)),
        (draw.draw_keypoints_on_image_array, ([[0.5, 0.5]],)),
    ):
        image = (grey() * factor).astype(dtype)
        function(image, *arguments)
        assert len(differing(np.uint8(np.rint(image / factor)))), function


def test_numbers_outside_the_range_are_cut_and_untouched_ones_kept():
    image = np.full([40, 60, 3], 300.5, np.float32)
    image[:, 30:] = -7
    draw.draw_bounding_box_on_image_array(image, 0.1, 0.1, 0.9, 0.4)
    assert image[0, 0, 0] == 300.5 and image[0, 59, 0] == -7
    assert image[4, 10].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ([[1]], TypeError, "image is a list; give a numpy array"),
        (np.zeros([4, 4], np.uint8), ValueError, r"image must be \[h, w, 3\], got \[4, 4\]"),
        (np.zeros([4, 4, 4], np.uint8), ValueError, r"got \[4, 4, 4\]"),
        (np.zeros([4, 4, 3], bool), TypeError, "image is of bool"),
        (np.broadcast_to(np.uint8(3), [4, 4, 3]), ValueError, "cannot be written to"),
    ],
)
def test_images_that_cannot_be_drawn_on(image, error, message):
    with pytest.raises(error, match=message):
        draw.visualize_boxes_and_labels_on_image_array(image, [], [], [], INDEX)


@pytest.mark.parametrize(
    ("options", "labels", "color"),
    [
        ({}, ["cat: 90%", "N/A: 80%"], draw.color_of(1)),
        ({"skip_labels": True}, ["90%", "80%"], draw.color_of(1)),
        ({"skip_scores": True}, ["cat", "N/A"], draw.color_of(1)),
        ({"agnostic_mode": True}, ["90%", "80%"], "darkorange"),
        ({"track_ids": [4, 5]}, ["cat: 90%: ID 4", "N/A: 80%: ID 5"], draw.color_of(28)),
        ({"max_boxes_to_draw": 1}, ["cat: 90%"], draw.color_of(1)),
        ({"max_boxes_to_draw": None}, ["cat: 90%", "N/A: 80%"], draw.color_of(1)),
    ],
)
def test_labels_and_colors_of_the_function_of_tfod(monkeypatch, options, labels, color):
    seen = {}

    def note(image, boxes, labels, colors, masks, **_):
        seen.update(labels=labels, colors=colors)
        return image

    monkeypatch.setattr(draw, "draw_objects", note)
    draw.visualize_boxes_and_labels_on_image_array(
        grey(), np.zeros([2, 4]), np.array([1, 77]), np.array([0.9, 0.8]), INDEX, **options
    )

    assert seen["labels"] == labels and seen["colors"][0] == color


def test_ground_truth_masks_boundaries_and_keypoints():
    image = grey()
    mask = np.zeros([1, 60, 80], np.uint8)
    mask[0, 20:40, 20:40] = 1
    rim = np.zeros([1, 60, 80], np.uint8)
    rim[0, 50, 5:10] = 1
    draw.visualize_boxes_and_labels_on_image_array(
        image, np.array([[10, 10, 50, 60]]), np.array([1]), None, INDEX, instance_masks=mask,
        instance_boundaries=rim, keypoints=np.array([[[12, 70], [12, 76], [50, 70], [np.nan, 1]]]),
        keypoint_scores=np.array([[0.9, 0.9, 0.1, 0.9]]), keypoint_edges=[(0, 1), (0, 2), (0, 3)],
        line_thickness=2,
    )  # fmt: skip

    assert image[10, 10].tolist() == [0, 0, 0]  # black, as TFOD draws ground truth
    assert image[30, 30].tolist() == [60, 60, 60]  # .6 * 100
    assert tuple(image[50, 7]) == RED
    assert image[12, 70].tolist() == [0, 0, 0] and image[12, 73].tolist() == [0, 0, 0]
    assert image[30, 70].tolist() == [100, 100, 100]  # no line to the point that scored .1


def test_box_functions_of_tfod():
    one, many = grey(), grey()
    draw.draw_bounding_box_on_image_array(one, 0.5, 0.25, 0.9, 0.75, "blue", 1, ["a", "b"])
    draw.draw_bounding_boxes_on_image_array(
        many, np.array([[0.5, 0.25, 0.9, 0.75]]), "blue", 1, [["a", "b"]]
    )

    assert one[53, 20].tolist() == [0, 0, 255]  # ymax .9 * 60 - 1, xmin .25 * 80
    np.testing.assert_array_equal(one, many)
    pixels = grey()
    draw.draw_bounding_box_on_image_array(
        pixels, 30, 20, 54, 60, "blue", 1, ["a", "b"], use_normalized_coordinates=False
    )
    np.testing.assert_array_equal(one, pixels)
    with pytest.raises(ValueError, match=r"must be \[n, 4\], got \[4\]"):
        draw.draw_bounding_boxes_on_image_array(one, np.zeros(4))


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (grey().astype(np.float32), np.ones([60, 80], np.uint8), "image must be uint8"),
        (grey(), np.ones([60, 81], np.uint8), r"\(60, 80\) but its mask is \(60, 81\)"),
        (grey(), np.full([60, 80], 0.7), "0 and 1 only"),
    ],
)
def test_masks_that_cannot_be_drawn(image, mask, message):
    with pytest.raises(ValueError, match=message):
        draw.draw_mask_on_image_array(image, mask)


def test_png_files(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, [6, 7, 3], np.uint8)
    draw.save_image_array_as_png(image, tmp_path / "a.png")

    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "a.png")), image)
    again = Image.open(io.BytesIO(draw.encode_image_array_as_png_str(image)))
    np.testing.assert_array_equal(np.array(again), image)
