import numpy as np
import pytest
import tensorflow as tf
from test_augment_properties import BOXES, COLORS, HEIGHT, WIDTH, an_example, pixels_of

from object_detection.data.augment import auto, geometry
from object_detection.structures.batch import CroppedMasks

NAMES = sorted(
    {name for policy in auto.POLICIES for s in auto.sub_policies(policy) for name, *_ in s}
)
MOVING = [name for name in NAMES if name.partition("_")[0][:5] in ("Trans", "Shear", "Rotat")]
SEEDS = 6


def results(name, level, example=None, probability=1.0):
    """What becomes of the example for some seeds, and last of it without its objects."""
    example = an_example() if example is None else example
    inside = name.endswith("_Only_BBoxes")  # which are done a third as often
    objects = [len(example.classes)] * SEEDS + [0]

    def change(number, objects):
        seed = tf.stack([tf.constant(2, tf.int64), number])
        kept = example.select(tf.range(objects))
        return auto.apply(name, probability * (3 if inside else 1), level, kept, seed)

    numbers = tf.range(SEEDS + 1, dtype=tf.int64)
    found = list(tf.data.Dataset.from_tensor_slices((numbers, objects)).map(change))
    assert len(found.pop().classes) == 0
    return found


def test_the_policies_have_their_steps():
    counts = {name: len(auto.sub_policies(name)) for name in auto.POLICIES}
    assert counts == {"test": 1, "v0": 5, "v1": 20, "v2": 15, "v3": 15}
    assert len(NAMES) == 22
    assert auto.sub_policies("v0")[1] == [
        ("TranslateY_Only_BBoxes", 0.2, 2.0),
        ("Cutout", 0.8, 8.0),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_boxes_are_around_their_masks_and_masks_on_their_objects(name):
    for got in results(name, 1.0 if name.startswith("Translate") else 6.0):
        assert got.image.shape == (HEIGHT, WIDTH, 3) and got.image.dtype == tf.uint8
        around = geometry.boxes_of_masks(got.masks.pixels)
        np.testing.assert_allclose(got.boxes_normalized, around, atol=1e-5)
        if name in MOVING:
            for number, mask in zip(got.classes.numpy() - 1, got.masks.pixels.numpy(), strict=True):
                assert (got.image.numpy()[mask == 1] == COLORS[number]).mean() > 0.95


def test_a_translation_by_its_level():
    """Level 1 of 10 is 25 pixels, either way; what leaves the image is cut."""
    boxes = {"left": [(10, 0, 30, 15), (0, 35, 50, 75), (44, 0, 76, 7)]}
    boxes["right"] = [(10, 45, 30, 65), (0, 85, 50, 100), (44, 33, 76, 57)]
    bare = {"left": np.s_[:, -25:], "right": np.s_[:, :25]}
    seen = set()
    for got in results("TranslateX_BBox", 1.0):
        moved = pixels_of(got.boxes_normalized, (HEIGHT, WIDTH)).round()
        way = "left" if moved[0][1] == 0 else "right"
        np.testing.assert_array_equal(moved, boxes[way])
        assert (got.image.numpy()[bare[way]] == 128).all()
        seen.add(way)
    assert seen == {"left", "right"}


def test_a_rotation_keeps_the_size_of_masks():
    for got in results("Rotate_BBox", 5.0, an_example().select(tf.constant([0]))):
        assert got.masks.pixels.numpy().sum() == pytest.approx(400, abs=12)


def test_what_lies_inside_a_box_is_flipped_or_shifted_with_its_mask():
    example = an_example().select(tf.constant([0]))
    half = example.masks.pixels.numpy().copy()
    half[:, :, 30:] = 0  # the left half of columns 20..39
    example = example._replace(masks=CroppedMasks.from_whole(tf.constant(half)))
    (got, *_) = results("Flip_Only_BBoxes", 5.0, example)
    ymin, xmin, ymax, xmax = pixels_of(got.boxes_normalized, (HEIGHT, WIDTH))[0].round()
    assert (ymin, ymax) == (10, 30) and (xmin, xmax) == (31, 41)  # TFOD counts one pixel more
    (got, *_) = results("TranslateY_Only_BBoxes", 0.5)  # 6 pixels of the boxes' own
    outside = np.ones((HEIGHT, WIDTH), bool)
    for ymin, xmin, ymax, xmax in BOXES:
        outside[ymin : ymax + 1, xmin : xmax + 1] = False
    np.testing.assert_array_equal(got.image[outside], an_example().image[outside])


@pytest.mark.parametrize(
    ("name", "level", "value", "wanted"),
    [
        ("Brightness", 10.0, 100, 190),  # 1.9 times
        ("Brightness", 0.0, 100, 10),
        ("Solarize", 2.0, 100, 155),  # from 51 on
        ("Solarize", 5.0, 100, 100),  # from 128 on
        ("SolarizeAdd", 10.0, 100, 210),
        ("SolarizeAdd", 10.0, 200, 200),
        ("Posterize", 5.0, 100, 64),  # 2 bits
        ("Posterize", 10.0, 100, 96),  # 4 bits
        ("Equalize", 5.0, 100, 100),
        ("AutoContrast", 5.0, 100, 100),
        ("Contrast", 9.0, 100, 100),
        ("Color", 9.0, 100, 100),
        ("Sharpness", 9.0, 100, 100),
    ],
)
def test_values_of_one_grey(name, level, value, wanted):
    example = an_example()._replace(image=tf.fill([HEIGHT, WIDTH, 3], tf.constant(value, tf.uint8)))
    image = results(name, level, example)[0].image.numpy().astype(int)
    assert np.abs(image - wanted).max() <= 1


def test_cutouts():
    for got in results("Cutout", 1.0):  # 10 pixels to each side
        grey = (got.image.numpy() == 128).all(-1)
        assert 100 <= grey.sum() <= 410
    for got in results("BBox_Cutout", 10.0):
        assert (got.image.numpy() == 128).all(-1).sum() > 30


def test_an_unlikely_step_is_left_out():
    for got in results("Rotate_BBox", 10.0, probability=0.0):
        np.testing.assert_array_equal(got.image, an_example().image)
