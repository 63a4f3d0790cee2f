import numpy as np
import pytest
import tensorflow as tf
from test_augment_properties import HEIGHT, WIDTH, an_example, results

from object_detection.data.augment import color

GREY = an_example()._replace(image=tf.fill([HEIGHT, WIDTH, 3], tf.constant(100, tf.uint8)))


def images(step, example=GREY, count=20):
    return [got.image.numpy().astype(int) for got in results(step, example, count)]


def test_each_value_has_its_own_factor():
    for image in images(color.RandomPixelValueScale(0.9, 1.1), count=3):
        assert 89 <= image.min() < 92 and 108 < image.max() <= 111
        assert abs(image.mean() - 100) < 1
    bright = GREY._replace(image=GREY.image + 150)
    assert images(color.RandomPixelValueScale(1.5, 2), bright, 1)[0].max() == 255


def test_black_patches():
    """At most 4 squares of a quarter of 80 pixels; half of them on average."""
    found = images(color.RandomBlackPatches(4, 0.5, 0.25), count=40)
    black = [(image == 0).all(-1).sum() / 400 for image in found]
    assert max(black) <= 4 and 0 in black and 1 < np.mean(black) < 2.2
    single = images(color.RandomBlackPatches(1, 1.0, 0.25))
    for image in single:
        rows, columns = np.nonzero((image == 0).all(-1))
        assert np.ptp(rows) == np.ptp(columns) == 19 and len(rows) == 400
    assert len({tuple(np.argwhere((image == 0).all(-1))[0]) for image in single}) > 10


def test_noise_lies_in_a_square_around_a_pixel():
    for image in images(color.RandomPatchGaussian(0.0, 20, 21, (0.2, 0.3))):
        rows, columns = np.nonzero((image != 100).any(-1))
        assert np.ptp(rows) <= 19 and np.ptp(columns) <= 19 and len(rows) > 80
        inside = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert 0.15 * 255 < inside.std() < 0.35 * 255
    never = images(color.RandomPatchGaussian(1.0, 20, 21, (0.2, 0.3)), count=5)
    assert all((image == 100).all() for image in never)
    assert all((i == 100).all() for i in images(color.RandomPatchGaussian(0, 5, 6, (0, 0))))


def test_jpeg_of_low_quality_loses_more():
    example = an_example()
    original = example.image.numpy().astype(int)

    def lost(quality):
        (image,) = images(color.RandomJpegQuality(0.0, quality, quality), example, 1)
        return np.abs(image - original).mean()

    assert lost(5) > lost(50) > lost(95)
    never = images(color.RandomJpegQuality(1.0, 5, 6), example, 3)
    assert all((image == original).all() for image in never)


def test_float_images_pass_through_the_steps_after():
    example = color.NormalizeImage((0, 255), (0, 1))(GREY, None)
    assert example.image.dtype == tf.float32
    np.testing.assert_allclose(example.image, 100 / 255, atol=1e-6)
    for step in (
        color.RandomPixelValueScale(1.0, 1.0),
        color.RandomBlackPatches(1, 1.0, 0.25),
        color.RgbToGray(),
    ):
        (got,) = results(step, example, 1)
        assert got.image.dtype == tf.float32
        assert got.image.numpy().max() == pytest.approx(100 / 255, abs=1e-4)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (0.4, 0.4), (1.0, 1.0)])
def test_how_often_colours_go(probability, share):
    found = images(color.RandomRgbToGray(probability), an_example(), 60)
    gray = np.mean([np.ptp(image, axis=-1).max() == 0 for image in found])
    assert abs(gray - share) < 0.2


def test_the_luma_of_gray():
    red = GREY._replace(image=tf.constant(np.tile([200, 0, 0], (2, 2, 1)), tf.uint8))
    (image,) = images(color.RgbToGray(), red, 1)
    assert (image == 60).all()  # 0.2989 * 200


def test_gamma():
    """(100 / 255) ** 2 * 255 is 39.2; half of it 19.6."""
    assert (images(color.AdjustGamma(2.0, 1.0), count=1)[0] == 39).all()
    assert (images(color.AdjustGamma(2.0, 0.5), count=1)[0] == 20).all()
