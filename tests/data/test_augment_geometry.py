import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask, picture

from object_detection.data.augment import geometry
from object_detection.data.example import Example
from object_detection.structures.batch import CroppedMasks

FLIPS = (
    geometry.RandomHorizontalFlip,
    geometry.RandomVerticalFlip,
    geometry.RandomRotation90,
)
SEED = tf.constant([1, 2], tf.int64)


def an_example(masks=True):
    """8 x 10 with one object on rows 1..3 and columns 2..4, white where it is."""
    image = picture()
    image[1:3, 2:4] = 255
    mask = box_mask(8, 10, (1, 2, 3, 4))[np.newaxis]
    return Example(
        id=tf.constant("a"),
        image=tf.constant(image),
        boxes_normalized=tf.constant([[1 / 8, 2 / 10, 3 / 8, 4 / 10]]),
        classes=tf.constant([1]),
        weights=tf.constant([1.0]),
        crowd=tf.constant([False]),
        difficult=tf.constant([False]),
        area=tf.constant([4.0]),
        masks=CroppedMasks.from_whole(tf.constant(mask)) if masks else None,
    )


@pytest.mark.parametrize(
    ("kind", "box", "size"),
    [
        (geometry.RandomHorizontalFlip, (1, 6, 3, 8), (8, 10)),  # 10 - 4, 10 - 2
        (geometry.RandomVerticalFlip, (5, 2, 7, 4), (8, 10)),  # 8 - 3, 8 - 1
        (geometry.RandomRotation90, (6, 1, 8, 3), (10, 8)),  # y = 10 - x, x = y
    ],
)
def test_image_box_and_mask_move_together(kind, box, size):
    got = kind(1.0)(an_example(), SEED)

    assert got.image.shape == (*size, 3)
    np.testing.assert_allclose(got.boxes_normalized[0] * [*size, *size], box, atol=1e-5)
    np.testing.assert_array_equal(got.masks.pixels[0], box_mask(*size, box))
    assert (got.image.numpy()[got.masks.pixels.numpy()[0] == 1] == 255).all()


@pytest.mark.parametrize(("kind", "turns"), list(zip(FLIPS, (2, 2, 4), strict=True)))
def test_enough_turns_lead_back(kind, turns):
    start = turned = an_example()
    for _ in range(turns):
        turned = kind(1.0)(turned, SEED)
    np.testing.assert_array_equal(turned.image, start.image)
    np.testing.assert_array_equal(turned.masks.pixels, start.masks.pixels)
    np.testing.assert_allclose(turned.boxes_normalized, start.boxes_normalized, atol=1e-6)


def test_rotation_is_tensorflows():
    got = geometry.RandomRotation90(1.0)(an_example(), SEED)
    np.testing.assert_array_equal(got.image, tf.image.rot90(an_example().image))


@pytest.mark.parametrize("kind", FLIPS)
def test_probability(kind):
    def moved(probability, seed):
        got = kind(probability)(an_example(), tf.constant([0, seed], tf.int64))
        return not np.allclose(got.boxes_normalized, an_example().boxes_normalized)

    assert not any(moved(0.0, seed) for seed in range(10))
    assert all(moved(1.0, seed) for seed in range(10))
    assert 10 <= sum(moved(0.3, seed) for seed in range(60)) <= 27  # 18 +- 2.5 deviations


def test_the_seed_decides_and_each_step_has_its_own():
    steps = [geometry.RandomHorizontalFlip(0.5), geometry.RandomVerticalFlip(0.5)]
    start = an_example().boxes_normalized.numpy()
    results = []
    for number in range(40):
        seed = tf.constant([7, number], tf.int64)
        boxes = geometry.augment(an_example(), steps, seed).boxes_normalized.numpy()
        again = geometry.augment(an_example(), steps, seed).boxes_normalized.numpy()
        np.testing.assert_array_equal(boxes, again)
        results.append((boxes[0, 1] != start[0, 1], boxes[0, 0] != start[0, 0]))
    assert {(bool(a), bool(b)) for a, b in results} == {(a, b) for a in (0, 1) for b in (0, 1)}


def test_examples_without_masks_or_objects():
    for kind in FLIPS:
        assert kind(1.0)(an_example(masks=False), SEED).masks is None
        empty = an_example().select(tf.zeros([0], tf.int64))
        got = kind(1.0)(empty, SEED)
        assert got.boxes_normalized.shape == (0, 4)
        assert got.masks.pixels.shape[0] == 0
