"""Augmentations against TFOD's own, where the draws are given: boxes to 1e-6, pixels to a rounding.

augmentation_goldens/steps.npz is made by make_augmentation_goldens.py.
"""

from pathlib import Path

import make_augmentation_goldens as given
import numpy as np
import pytest
import tensorflow as tf

from object_detection.data.augment import color, crop, geometry, objects, scale
from object_detection.data.example import Example
from object_detection.structures.batch import CroppedMasks

GOLDENS = np.load(Path(__file__).parent / "augmentation_goldens" / "steps.npz")
SEED = tf.constant([0, 0], tf.int64)


@pytest.fixture
def draws(monkeypatch):
    """A list: the values that the next draws give, in turn."""
    values = []
    monkeypatch.setattr(tf.random, "stateless_uniform", lambda *_, **__: tf.constant(values.pop(0)))
    return values


def example():
    return Example(
        id=tf.constant("a"),
        image=tf.constant(given.IMAGE.astype(np.uint8)),
        boxes_normalized=tf.constant(given.BOXES),
        classes=tf.constant(given.CLASSES),
        weights=tf.ones([4]),
        crowd=tf.zeros([4], tf.bool),
        difficult=tf.zeros([4], tf.bool),
        area=tf.zeros([4]),
        masks=CroppedMasks.from_whole(tf.constant(given.masks())),
    )


def assert_as_tfod(got, case, pixels=0.51):
    """Compares what the golden has of a case; uint8 images are rounded, TFOD's are not."""
    parts = {"boxes": got.boxes_normalized, "classes": got.classes, "weights": got.weights}
    for name, value in parts.items():
        if f"{case}/{name}" in GOLDENS:
            np.testing.assert_allclose(value, GOLDENS[f"{case}/{name}"], atol=1e-6, err_msg=name)
    if f"{case}/masks" in GOLDENS:
        np.testing.assert_array_equal(got.masks.pixels, GOLDENS[f"{case}/masks"])
    if f"{case}/image" in GOLDENS:
        wanted = GOLDENS[f"{case}/image"]
        if got.image.dtype == tf.uint8:
            wanted = np.clip(wanted, 0, 255)
        np.testing.assert_allclose(tf.cast(got.image, tf.float32), wanted, atol=pixels)


@pytest.mark.parametrize("number", range(len(given.CROPS)))
def test_crops(number):
    y, x, height, width, share, clip = given.CROPS[number]
    window = tf.constant([y, x]), tf.constant([height, width])
    assert_as_tfod(geometry.crop_example(example(), *window, share, clip), f"crop{number}")


@pytest.mark.parametrize("number", range(len(given.RATIOS)))
def test_crops_to_an_aspect_ratio(number, draws):
    ratio, *draws[:] = given.RATIOS[number]
    assert_as_tfod(crop.RandomCropToAspectRatio(ratio)(example(), SEED), f"ratio{number}")


@pytest.mark.parametrize("number", range(len(given.FRAMES)))
def test_frames(number, draws):
    draws[:] = given.FRAMES[number]
    step = crop.RandomPadImage(given.FRAMES[number][:2], (99, 99), given.COLOR)
    assert_as_tfod(step(example(), SEED), f"frame{number}")


@pytest.mark.parametrize("number", range(len(given.PADS)))
def test_padding_to_an_aspect_ratio(number, draws):
    ratio, draws[:] = given.PADS[number][0], given.PADS[number][1:]
    assert_as_tfod(crop.RandomPadToAspectRatio(ratio)(example(), SEED), f"pad{number}")


@pytest.mark.parametrize("mode", given.MODES)
def test_jitter(mode):
    step = objects.RandomJitterBoxes(0.3, mode.upper())
    got = step.stretch(tf.constant(given.BOXES), tf.constant(given.GROWTH))
    np.testing.assert_allclose(got, GOLDENS[f"jitter_{mode}/boxes"], atol=1e-6)


@pytest.mark.parametrize("ordering", [0, 1])
def test_colours(ordering, draws):
    draws[:] = [given.COLORS[place] for place in given.ORDERS[ordering]]
    got = color.RandomDistortColor(ordering)(example(), SEED)
    assert_as_tfod(got, f"color{ordering}")
    assert not draws


@pytest.mark.parametrize("number", range(len(given.SQUARES)))
def test_scale_crop_and_pad_to_a_square(number, draws):
    side, factor, *place = given.SQUARES[number]
    draws[:] = [factor, place]
    step = scale.RandomScaleCropAndPadToSquare(side, 0.1, 2.0)
    assert_as_tfod(step(example(), SEED), f"square{number}")


def test_scale(draws):
    draws[:] = [given.SCALE]
    assert_as_tfod(scale.RandomImageScale(0.5, 2.0)(example(), SEED), "scale")


@pytest.mark.parametrize("method", given.METHODS)
def test_resize(method):
    got = scale.ResizeImage(*given.SIZE, method)(example(), SEED)
    assert_as_tfod(got, f"resize_{method}")


def test_twice():
    got = objects.RandomSelfConcatImage(1.0, 1.0)(example(), SEED)
    assert_as_tfod(got, "concat")


@pytest.mark.parametrize(
    ("step", "case"),
    [
        (color.AdjustGamma(1.7, 0.9), "gamma"),
        (color.RgbToGray(), "gray"),
        (color.NormalizeImage((0, 255), (-1, 1)), "normalized"),
        (color.SubtractChannelMean(given.COLOR), "mean"),
        (objects.RemapLabels((1, 3), 2), "remapped"),
    ],
)
def test_steps_without_draws(step, case):
    got = step(example(), SEED)
    assert_as_tfod(got, case, pixels=1e-5 if got.image.dtype == tf.float32 else 0.51)
