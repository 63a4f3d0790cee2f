import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask
from test_augment_properties import BOXES, HEIGHT, WIDTH, an_example, pixels_of, results

from object_detection.data.augment import objects

SIZE = (HEIGHT, WIDTH)


def test_dropping_takes_one_class_with_its_probability():
    step = objects.DropLabelProbabilistically(label=2, drop_probability=0.25)
    left = [set(got.classes.numpy()) for got in results(step, an_example(), 100)]
    assert all({1, 3} <= classes for classes in left)
    assert 0.6 < np.mean([2 in classes for classes in left]) < 0.9  # 1 - 0.25
    always = objects.DropLabelProbabilistically(2, 1.0)
    assert all(2 not in got.classes.numpy() for got in results(always, an_example(), 5))


def test_remapping():
    (got,) = results(objects.RemapLabels((1, 3), 7), an_example(), 1)
    assert got.classes.numpy().tolist() == [7, 2, 7]


@pytest.mark.parametrize(
    ("mode", "low", "high", "equal"),
    [
        ("DEFAULT", -0.1, 0.1, ()),
        ("EXPAND", 0.0, 0.1, ()),
        ("SHRINK", -0.1, 0.0, ()),
        ("EXPAND_SYMMETRIC", 0.0, 0.1, ((0, 2), (1, 3))),
        ("SHRINK_SYMMETRIC", -0.1, 0.0, ((0, 2), (1, 3))),
        ("SHRINK_SYMMETRIC_XY", -0.1, 0.0, ((0, 2), (1, 3), (0, 1))),
    ],
)
def test_jitter_moves_borders_by_its_mode(mode, low, high, equal):
    """Of a 20 x 20 box a border moves out by at most ratio / 2 * 20."""
    example = an_example().select(tf.constant([0]))
    outward = np.array([-1, -1, 1, 1])
    moves = []
    for got in results(objects.RandomJitterBoxes(0.2, mode), example, 40):
        moved = (pixels_of(got.boxes_normalized, SIZE)[0] - BOXES[0]) * outward / 20
        moves.append(moved)
        for one, other in equal:
            assert moved[one] == pytest.approx(moved[other], abs=1e-4)
        np.testing.assert_array_equal(got.masks.pixels, example.masks.pixels)
    assert np.min(moves) >= low - 1e-4 and np.max(moves) <= high + 1e-4
    assert np.ptp(moves) > 0.05


def test_jittered_boxes_stay_in_the_image():
    for got in results(objects.RandomJitterBoxes(1.0, "EXPAND"), an_example()):
        assert (got.boxes_normalized.numpy() >= 0).all()
        assert (got.boxes_normalized.numpy() <= 1).all()


@pytest.mark.parametrize(("axis", "size"), [(0, (2 * HEIGHT, WIDTH)), (1, (HEIGHT, 2 * WIDTH))])
def test_twice(axis, size):
    example = an_example()
    got = objects.repeat_along(example, axis)

    assert got.image.shape == (*size, 3)
    shift = [HEIGHT, 0, HEIGHT, 0] if axis == 0 else [0, WIDTH, 0, WIDTH]
    boxes = [*BOXES, *np.add(BOXES, shift)]
    np.testing.assert_allclose(pixels_of(got.boxes_normalized, size), boxes, atol=1e-4)
    np.testing.assert_array_equal(got.masks.pixels, [box_mask(*size, box) for box in boxes])
    assert got.classes.numpy().tolist() == [1, 2, 3, 1, 2, 3]
    half = tf.split(got.image, 2, axis=axis)
    np.testing.assert_array_equal(half[0], example.image)
    np.testing.assert_array_equal(half[1], example.image)


def test_doubling_has_its_probabilities():
    step = objects.RandomSelfConcatImage(1.0, 0.3)
    shapes = [got.image.shape[:2] for got in results(step, an_example(), 60)]
    assert {height for height, _ in shapes} == {2 * HEIGHT}
    assert 0.1 < np.mean([width > WIDTH for _, width in shapes]) < 0.5


def test_the_first_objects_are_kept():
    (two,) = results(objects.KeepAtMost(2), an_example(), 1)
    assert two.classes.numpy().tolist() == [1, 2] and len(two.masks.pixels) == 2
    (three,) = results(objects.KeepAtMost(3), an_example(), 1)
    assert len(three.classes) == 3


def test_steps_in_turn_have_their_own_draws():
    jitter = objects.RandomJitterBoxes(0.2)
    both = objects.InTurn((jitter, jitter))
    (once,), (got,) = (results(step, an_example(), 1) for step in (jitter, both))
    assert (once.boxes_normalized.numpy() != got.boxes_normalized.numpy()).any()
