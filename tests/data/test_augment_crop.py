import numpy as np
import pytest
import tensorflow as tf
import test_augment_properties as properties
from made_records import box_mask
from test_augment_geometry import an_example

from object_detection.data.augment import crop, geometry
from object_detection.structures.batch import CroppedMasks

CROP = crop.RandomSquareCropByScale(max_border=4, scale_min=0.5, scale_max=1.5, num_scales=5)


def cropped(corner, side, example=None):
    example = an_example() if example is None else example
    return crop.square_crop(example, tf.constant(corner), tf.constant(side))


@pytest.mark.parametrize(
    ("corner", "side", "box"),
    [
        ((0, 1), 6, (1, 1, 3, 3)),  # rows 1..3 stay, columns 2..4 move left by 1
        ((2, 3), 4, (0, 0, 1, 1)),  # rows 1..3 and columns 2..4 from (2, 3) on: one pixel
        ((-2, -3), 16, (3, 5, 5, 7)),  # the image lies 2 lower and 3 to the right
    ],
)
def test_image_box_and_mask_move_together(corner, side, box):
    got = cropped(corner, side)

    assert got.image.shape == (side, side, 3)
    np.testing.assert_allclose(got.boxes_normalized[0] * side, box, atol=1e-5)
    np.testing.assert_array_equal(got.masks.pixels[0], box_mask(side, side, box))
    assert (got.image.numpy()[got.masks.pixels.numpy()[0] == 1] == 255).all()


def test_beyond_the_image_is_nothing():
    got = cropped((-2, -3), 16)
    inside = np.zeros((16, 16), bool)
    inside[2:10, 3:13] = True  # the image is 8 x 10
    assert not got.image.numpy()[~inside].any()
    np.testing.assert_array_equal(got.image[2:10, 3:13], an_example().image)
    assert not cropped((40, 40), 5).image.numpy().any()


def test_objects_outside_are_dropped_with_all_that_is_theirs():
    got = cropped((4, 5), 4)
    for field in (got.boxes_normalized, got.classes, got.weights, got.masks.pixels, got.area):
        assert field.shape[0] == 0


def test_masks_of_another_size_than_the_image():
    """16 x 20, twice the image: the same crop in their own pixels."""
    masks = CroppedMasks.from_whole(tf.constant(box_mask(16, 20, (2, 4, 6, 8))[np.newaxis]))
    example = an_example()._replace(masks=masks)
    got = cropped((0, 1), 6, example)
    np.testing.assert_array_equal(got.masks.pixels[0], box_mask(12, 12, (2, 2, 6, 6)))


def test_no_masks():
    assert cropped((0, 0), 4, an_example(masks=False)).masks is None


def test_sides_and_centres_are_drawn_from_their_ranges():
    example = an_example()._replace(image=tf.ones([8, 10, 3], tf.uint8))
    sides = set()
    for number in range(40):
        got = CROP(example, tf.constant([1, number], tf.int64))
        again = CROP(example, tf.constant([1, number], tf.int64))
        np.testing.assert_array_equal(got.image, again.image)
        side = got.image.shape[0]
        sides.add(side)
        if len(got.boxes_normalized):
            ymin, xmin, ymax, xmax = got.boxes_normalized.numpy()[0] * side
            filled = np.argwhere(got.masks.pixels.numpy()[0])
            assert filled.min(0).tolist() == pytest.approx([ymin, xmin], abs=1e-3)
            assert (filled.max(0) + 1).tolist() == pytest.approx([ymax, xmax], abs=1e-3)
        assert got.image.numpy().any(), "the centre lies in the image"
    assert sides == {5, 7, 10, 12, 15}  # 0.5, 0.75, 1, 1.25 and 1.5 times 10


@pytest.mark.parametrize(
    ("length", "border"),
    [(1000, 128), (256, 128), (255, 64), (100, 32), (10, 4)],  # halved until 2 * border <= length
)
def test_the_border_is_halved_until_it_leaves_a_centre(length, border):
    step = crop.RandomSquareCropByScale(128, 0.6, 1.3, 8)
    assert int(step._border(tf.constant(length))) == border


def test_inside_a_graph_with_unknown_sizes():
    shapes = tf.data.Dataset.from_tensors(an_example()).repeat(3)
    got = shapes.map(lambda example: CROP(example, tf.constant([0, 1], tf.int64)))
    assert len(list(got)) == 3


RULE = crop.CropRule


def test_a_crop_follows_its_rule():
    """Windows of half the area to all of it, twice as wide as high to square."""
    rule = RULE(0.5, (1.0, 2.0), (0.5, 1.0), 0.3)
    shapes = set()
    for got in properties.results(crop.RandomCrop((rule,)), properties.an_example(), 40):
        height, width = got.image.shape[:2]
        assert 0.95 <= width / height <= 2.05 and height * width >= 0.48 * 80 * 100
        shapes.add((height, width))
    assert len(shapes) > 20


@pytest.mark.parametrize(
    ("share", "clip", "classes", "first"),
    [
        (0.0, True, [1, 2, 3], (0, 0, 10, 20)),
        (0.3, True, [1, 2], (0, 0, 10, 20)),  # 0.5 of the first, 0.4 of the second, 0.21 of it
        (0.3, False, [1, 2], (-10, 0, 10, 20)),
        (0.45, True, [1], (0, 0, 10, 20)),
        (0.51, True, [], None),
    ],
)
def test_what_is_cut_goes_by_the_share_of_its_box(share, clip, classes, first):
    """From (20, 20) on 32 x 66: of 20 x 20, 50 x 40 and 32 x 24 are 10 x 20, 30 x 26, 8 x 12."""
    window = tf.constant([20, 20]), tf.constant([32, 66])
    got = geometry.crop_example(properties.an_example(), *window, share, clip)

    assert got.classes.numpy().tolist() == classes
    assert got.image.shape == (32, 66, 3) and got.masks.pixels.shape == (len(classes), 32, 66)
    if first:
        boxes = properties.pixels_of(got.boxes_normalized, (32, 66))
        np.testing.assert_allclose(boxes[0], first, atol=1e-4)
        np.testing.assert_array_equal(got.masks.pixels[0], box_mask(32, 66, (0, 0, 10, 20)))


def test_the_probability_of_no_crop():
    rules = (RULE(0.0, (1, 1), (0.1, 0.2), random_coef=0.7),)
    got = properties.results(crop.RandomCrop(rules), properties.an_example(), 60)
    whole = [one.image.shape == (80, 100, 3) for one in got]
    assert 0.5 < np.mean(whole) < 0.9
    assert all(len(one.classes) == 3 for one, left in zip(got, whole, strict=True) if left)


def test_all_rules_are_drawn():
    rules = tuple(RULE(0.0, (1, 1.01), (area, area + 0.04)) for area in (0.1, 0.3, 0.6))
    got = properties.results(crop.RandomCrop(rules), properties.an_example(), 30)
    sides = sorted({round(one.image.shape[0] / 10) for one in got})
    assert sides == [3, 5, 7]  # the roots of 800, 2400 and 4800: 28, 49, 69


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.25, 3.0])
def test_crops_to_an_aspect_ratio_are_as_large_as_can_be(ratio):
    step = crop.RandomCropToAspectRatio(ratio)
    for got in properties.results(step, properties.an_example(), 10):
        height, width = got.image.shape[:2]
        assert width / height == pytest.approx(ratio, rel=0.03)
        assert height == 80 or width == 100
