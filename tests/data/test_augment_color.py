import numpy as np
import pytest
import tensorflow as tf
from test_augment_geometry import an_example

from object_detection.data.augment import color

KINDS = (
    color.RandomAdjustBrightness(0.3),
    color.RandomAdjustContrast(0.5, 0.6),
    color.RandomAdjustHue(0.2),
    color.RandomAdjustSaturation(0.2, 0.4),
)


def of_pixels(pixels):
    return an_example()._replace(image=tf.constant(pixels, tf.uint8))


def seed(number):
    return tf.constant([3, number], tf.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_image_changes_and_the_seed_decides(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, 3))
    example = of_pixels(pixels)
    got, again, other = (kind(example, seed(number)) for number in (1, 1, 2))

    assert got.image.dtype == tf.uint8 and got.image.shape == (6, 7, 3)
    np.testing.assert_array_equal(got.image, again.image)
    assert (got.image.numpy() != other.image.numpy()).any()
    np.testing.assert_array_equal(got.boxes_normalized, example.boxes_normalized)
    np.testing.assert_array_equal(got.masks.pixels, example.masks.pixels)


def test_brightness_adds_the_same_everywhere_and_is_clipped():
    pixels = np.tile(np.array([100, 120, 140]), (2, 2, 1))
    for number in range(10):
        got = color.RandomAdjustBrightness(0.2)(of_pixels(pixels), seed(number))
        added = got.image.numpy().astype(int) - pixels
        assert np.ptp(added) <= 1 and abs(added).max() <= 51  # 0.2 * 255, rounded
    bright = color.RandomAdjustBrightness(0.9)
    ends = [bright(of_pixels(pixels), seed(number)).image.numpy() for number in range(10)]
    assert max(end.max() for end in ends) == 255 and min(end.min() for end in ends) == 0


def test_contrast_keeps_each_channels_mean():
    pixels = np.array([[[0, 10, 20], [200, 30, 20]]])  # means 100, 20, 20
    got = color.RandomAdjustContrast(0.5, 0.5)(of_pixels(pixels), seed(0)).image
    assert got.numpy().tolist() == [[[50, 15, 20], [150, 25, 20]]]


def test_saturation_of_nothing_is_grey_and_of_one_changes_nothing():
    pixels = np.array([[[200, 100, 50]]])
    grey = color.RandomAdjustSaturation(0.0, 0.0)(of_pixels(pixels), seed(0)).image
    assert grey.numpy().tolist() == [[[200, 200, 200]]]
    same = color.RandomAdjustSaturation(1.0, 1.0)(of_pixels(pixels), seed(0)).image
    assert same.numpy().tolist() == pixels.tolist()


def test_hue_turns_colours_and_leaves_grey():
    pixels = np.array([[[200, 100, 50], [90, 90, 90]]])
    hues = [color.RandomAdjustHue(0.5)(of_pixels(pixels), seed(k)).image for k in range(5)]
    assert all(hue.numpy()[0, 1].tolist() == [90, 90, 90] for hue in hues)
    # The largest and the smallest value of a colour stay, whatever its hue.
    assert all((hue.numpy()[0, 0].max(), hue.numpy()[0, 0].min()) == (200, 50) for hue in hues)
    assert len({tuple(hue.numpy()[0, 0]) for hue in hues}) > 1
