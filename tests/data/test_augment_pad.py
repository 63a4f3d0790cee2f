import numpy as np
import pytest
import tensorflow as tf
from test_augment_properties import BOXES, HEIGHT, WIDTH, an_example, pixels_of, results

from object_detection.data.augment import crop
from object_detection.data.augment.crop import CropRule

COLOR = (10.0, 20.0, 30.0)


def place_of(got):
    """(y, x) of the image's first pixel in a frame of one colour."""
    inside = (got.image.numpy() != np.array(COLOR)).any(-1)
    return np.argwhere(inside).min(0)


def test_sizes_and_places_of_frames():
    step = crop.RandomPadImage((90, 10), (120, 130), COLOR)
    shapes = set()
    for got in results(step, an_example(), 60):
        height, width = got.image.shape[:2]
        assert 90 <= height < 120 and WIDTH <= width < 130  # the least is never below the image
        shapes.add((height, width))
        y, x = place_of(got)
        np.testing.assert_array_equal(got.image[y : y + HEIGHT, x : x + WIDTH], an_example().image)
        moved = np.add(BOXES, [y, x, y, x])
        np.testing.assert_allclose(
            pixels_of(got.boxes_normalized, (height, width)), moved, atol=1e-3
        )
    assert len(shapes) > 20


def test_without_sizes_it_is_at_most_twice_the_image_in_its_mean_colour():
    for got in results(crop.RandomPadImage(), an_example()):
        height, width = got.image.shape[:2]
        assert HEIGHT <= height < 2 * HEIGHT and WIDTH <= width < 2 * WIDTH
        mean = np.round(an_example().image.numpy().reshape(-1, 3).mean(0))
        corners = got.image.numpy()[[0, 0, -1, -1], [0, -1, 0, -1]]
        if height > HEIGHT + 1:
            assert (np.abs(corners - mean) <= 1).all(1).any()


def test_absolute_padding_is_less_than_so_many_pixels():
    shapes = {
        got.image.shape[:2] for got in results(crop.RandomAbsolutePadImage(3, 1), an_example(), 30)
    }
    assert shapes == {(HEIGHT + more, WIDTH) for more in range(3)}


def test_a_crop_is_framed_by_the_image_it_was_cut_from():
    """Half of the area at most, then 1.5 to 2 times the height and width from before."""
    pad = crop.PadRule((1.5, 1.5), (2.0, 2.0), COLOR)
    rule = CropRule(0.1, (0.9, 1.1), (0.3, 0.5), 0.0)
    for got in results(crop.RandomCropPad(((rule, pad),)), an_example(), 30):
        height, width = got.image.shape[:2]
        assert 1.5 * HEIGHT <= height < 2 * HEIGHT and 1.5 * WIDTH <= width < 2 * WIDTH
        inside = (got.image.numpy() != np.array(COLOR)).any(-1).mean() * height * width
        assert inside <= 0.51 * HEIGHT * WIDTH


def test_each_rule_has_its_own_frame():
    never = CropRule(random_coef=1.0)
    rules = (
        (never, crop.PadRule((1.5, 1.5), (1.5, 1.5), COLOR)),
        (never, crop.PadRule((2.0, 2.0), (2.0, 2.0))),
    )
    sizes = {got.image.shape[0] for got in results(crop.RandomCropPad(rules), an_example(), 20)}
    assert sizes == {120, 160}


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_padding_to_an_aspect_ratio(ratio):
    sizes = []
    for got in results(crop.RandomPadToAspectRatio(ratio), an_example(), 30):
        height, width = got.image.shape[:2]
        assert width / height == pytest.approx(ratio, rel=0.02)
        sizes.append(height)
        np.testing.assert_array_equal(got.image[:HEIGHT, :WIDTH], an_example().image)
        assert not got.image.numpy()[HEIGHT:].any() and not got.image.numpy()[:, WIDTH:].any()
    target, low, high = crop.RandomPadToAspectRatio(ratio).sizes(tf.constant([HEIGHT, WIDTH]))
    assert min(sizes) >= np.round(low * target[0]) and max(sizes) <= np.round(high * target[0])
