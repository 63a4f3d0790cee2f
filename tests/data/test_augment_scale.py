import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask
from test_augment_properties import BOXES, HEIGHT, WIDTH, an_example, pixels_of, results

from object_detection.data.augment import scale
from object_detection.structures.batch import CroppedMasks

CENTRE = tf.constant([0.5, 0.5])


def test_scales_come_from_their_range():
    sizes = [got.image.shape for got in results(scale.RandomImageScale(0.5, 1.5), an_example(), 40)]
    heights = [height for height, _, _ in sizes]
    assert min(heights) >= HEIGHT // 2 and max(heights) <= 1.5 * HEIGHT
    assert max(heights) - min(heights) > HEIGHT / 2
    assert all(abs(width - height * WIDTH / HEIGHT) <= 2 for height, width, _ in sizes)


def test_downscaling_only_makes_smaller():
    step = scale.RandomDownscaleToTargetPixels(0.0, 2000, 4000)
    for got in results(step, an_example()):
        assert 0.95 * 2000 <= got.image.shape[0] * got.image.shape[1] < 4000
    larger = scale.RandomDownscaleToTargetPixels(0.0, 9000, 9001)  # it has 8000 pixels
    assert all(got.image.shape == (HEIGHT, WIDTH, 3) for got in results(larger, an_example(), 3))
    never = scale.RandomDownscaleToTargetPixels(1.0, 2000, 4000)
    assert all(got.image.shape == (HEIGHT, WIDTH, 3) for got in results(never, an_example(), 3))


def test_all_ways_of_sampling_are_drawn():
    got = results(scale.RandomResizeMethod(50, 60), an_example(), 40)
    ways = {
        scale.ResizeImage(50, 60, method)(an_example(), None).image.numpy().tobytes()
        for method in ("BILINEAR", "NEAREST_NEIGHBOR", "BICUBIC", "AREA")
    }
    assert {one.image.numpy().tobytes() for one in got} == ways and len(ways) == 4


def test_zooming_in_shows_a_part_in_its_own_pixels():
    """Twice as large: 40 x 50 of 80 x 100, from (20, 25) on."""
    got = scale.LargeScaleJitter().zoom(an_example(), tf.constant(2.0), CENTRE)

    np.testing.assert_array_equal(got.image, an_example().image[20:60, 25:75])
    # (10, 20, 30, 40) -> (0, 0, 10, 15); (0, 60, 50, 100) -> (0, 35, 30, 50); (44, 8, 76, 32) ->
    # (24, 0, 40, 7)
    boxes = [(0, 0, 10, 15), (0, 35, 30, 50), (24, 0, 40, 7)]
    np.testing.assert_allclose(pixels_of(got.boxes_normalized, (40, 50)), boxes, atol=1e-4)
    np.testing.assert_array_equal(got.masks.pixels, [box_mask(40, 50, box) for box in boxes])


def test_zooming_out_keeps_the_size_and_all_objects():
    """Half as large: 40 x 50 from (20, 25) on; the room's 41 and 51 places, halved."""
    jitter = scale.LargeScaleJitter(color=(1.0, 2.0, 3.0))
    got = jitter.zoom(an_example(), tf.constant(0.5), CENTRE)

    assert got.image.shape == (HEIGHT, WIDTH, 3) and got.masks.pixels.shape == (3, HEIGHT, WIDTH)
    assert got.image[0, 0].numpy().tolist() == [1, 2, 3]
    moved = np.divide(BOXES, 2) + [20, 25, 20, 25]
    np.testing.assert_allclose(pixels_of(got.boxes_normalized, (HEIGHT, WIDTH)), moved, atol=1e-4)
    np.testing.assert_array_equal(
        got.masks.pixels, [box_mask(HEIGHT, WIDTH, box.astype(int)) for box in moved]
    )


@pytest.mark.parametrize(("least", "left"), [(0.0, [1, 2, 3]), (0.5, [2])])
def test_of_what_is_cut_off_the_rest_counts(least, left):
    """As above: 150 of 400, 450 of 2000 and 112 of 768 pixels are seen; at 0.2 the first two."""
    jitter = scale.LargeScaleJitter(min_visible=least)
    got = jitter.zoom(an_example(), tf.constant(2.0), CENTRE)
    if least:
        assert got.classes.numpy().tolist() == []
        jitter = scale.LargeScaleJitter(min_visible=0.2)
        left, got = [1, 2], jitter.zoom(an_example(), tf.constant(2.0), CENTRE)
    assert got.classes.numpy().tolist() == left


def test_a_box_fits_what_is_seen_of_a_round_mask():
    """Of a triangle's lower half the box is as wide as it is there."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    triangle = ((columns >= 20) & (columns < 20 + rows - 20) & (rows >= 20) & (rows < 60)) * 1
    example = an_example().select(tf.constant([0]))
    example = example._replace(
        masks=CroppedMasks.from_whole(tf.constant(triangle[np.newaxis], tf.uint8)),
        boxes_normalized=tf.constant([[21 / 80, 0.2, 60 / 80, 0.59]]),
    )
    place = tf.constant([0.0, 0.0])  # rows 0..39 of it: a triangle of 19 columns
    got = scale.LargeScaleJitter().zoom(example, tf.constant(2.0), place)
    np.testing.assert_allclose(
        pixels_of(got.boxes_normalized, (40, 50))[0], (21, 20, 40, 39), atol=1e-4
    )


def test_jitter_may_be_left_out_and_never_enlarges():
    never = scale.LargeScaleJitter(random_coef=1.0)
    for got in results(never, an_example(), 3):
        np.testing.assert_array_equal(got.image, an_example().image)
    for got in results(scale.LargeScaleJitter(), an_example(), 40):
        assert got.image.shape[0] <= HEIGHT and got.masks.pixels.shape[2] <= WIDTH


def test_masks_shrink_with_a_picture_on_a_larger_canvas():
    step = scale.RandomScaleCropAndPadToSquare(100, 0.1, 0.1)  # 8 x 10 of 100 x 100
    (got,) = results(step, an_example(), 1)
    assert got.image.shape == (100, 100, 3) and got.masks.pixels.shape[1:] == (100, 100)
    assert not got.image.numpy()[8:].any() and not got.masks.pixels.numpy()[:, 8:].any()
    np.testing.assert_allclose(got.boxes_normalized.numpy() * 100, np.divide(BOXES, 10), atol=1e-4)
