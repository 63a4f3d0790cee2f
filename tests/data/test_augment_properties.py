"""What every augmentation keeps: image, boxes and masks move together, and the seed decides."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from made_records import box_mask, picture

from object_detection.builders import preprocessor_builder
from object_detection.data.augment import geometry
from object_detection.data.augment.geometry import augment
from object_detection.data.example import Example
from object_detection.protos import preprocessor_pb2
from object_detection.structures.batch import CroppedMasks

HEIGHT, WIDTH, SEEDS = 80, 100, 12
EMPTY = 3  # images without objects
BOXES = ((10, 20, 30, 40), (0, 60, 50, 100), (44, 8, 76, 32))
COLORS = ((250, 20, 20), (20, 250, 20), (20, 20, 250))
# Each step with settings under which it does something.
STEPS = {
    "normalize_image": "original_maxval: 255",
    "random_horizontal_flip": "",
    "random_pixel_value_scale": "",
    "random_image_scale": "",
    "random_rgb_to_gray": "probability: 0.5",
    "random_adjust_brightness": "",
    "random_adjust_contrast": "",
    "random_adjust_hue": "max_delta: 0.2",
    "random_adjust_saturation": "",
    "random_distort_color": "color_ordering: 1",
    "random_jitter_boxes": "",
    "random_crop_image": "min_object_covered: 0.5",
    "random_pad_image": "",
    "random_crop_pad_image": "min_object_covered: 0.5 pad_color: [1, 2, 3]",
    "random_crop_to_aspect_ratio": "",
    "random_black_patches": "",
    "random_resize_method": "target_height: 60 target_width: 130",
    "resize_image": "new_height: 120 new_width: 60",
    "subtract_channel_mean": "means: [1, 2, 3]",
    "ssd_random_crop": "",
    "ssd_random_crop_pad": "",
    "ssd_random_crop_fixed_aspect_ratio": "",
    "ssd_random_crop_pad_fixed_aspect_ratio": "",
    "random_vertical_flip": "",
    "random_rotation90": "",
    "rgb_to_gray": "",
    "random_absolute_pad_image": "max_height_padding: 30 max_width_padding: 20",
    "random_self_concat_image": "concat_vertical_probability: 0.5",
    "autoaugment_image": "",
    "drop_label_probabilistically": "label: 2 drop_probability: 0.5",
    "remap_labels": "original_labels: [1, 3] new_label: 4",
    "random_jpeg_quality": "",
    "random_downscale_to_target_pixels": "min_target_pixels: 3000 max_target_pixels: 5000",
    "random_patch_gaussian": "max_patch_size: 50",
    "random_square_crop_by_scale": "max_border: 10",
    "random_scale_crop_and_pad_to_square": "output_size: 90 scale_min: 0.4",
    "adjust_gamma": "gamma: 2",
    "random_scale_crop_and_pad": "scale_min: 0.4",
}
OTHER_PIXELS = (
    "normalize_image random_pixel_value_scale random_rgb_to_gray random_adjust_brightness "
    "random_adjust_contrast random_adjust_hue random_adjust_saturation random_distort_color "
    "random_black_patches subtract_channel_mean rgb_to_gray random_jpeg_quality adjust_gamma "
    "random_patch_gaussian"
).split()
OTHER_SIZE = (
    "random_image_scale random_resize_method resize_image random_downscale_to_target_pixels"
).split()
# What these change is tested beside the steps themselves.
OTHER = "random_jitter_boxes drop_label_probabilistically remap_labels autoaugment_image".split()
MOVING = [name for name in STEPS if name not in (*OTHER_PIXELS, *OTHER_SIZE, *OTHER)]
FLOAT = ("normalize_image", "subtract_channel_mean")


def an_example(masks=True, scale=1):
    """Three rectangles of one colour each on noise; masks `scale` times as large as the image."""
    image = picture(HEIGHT, WIDTH) // 2 + 60
    for (ymin, xmin, ymax, xmax), color in zip(BOXES, COLORS, strict=True):
        image[ymin:ymax, xmin:xmax] = color
    size = (scale * HEIGHT, scale * WIDTH)
    stacked = np.stack([box_mask(*size, np.multiply(box, scale)) for box in BOXES])
    whole = np.array([HEIGHT, WIDTH] * 2, np.float32)
    return Example(
        id=tf.constant("a"),
        image=tf.constant(image),
        boxes_normalized=tf.constant(np.array(BOXES, np.float32) / whole),
        classes=tf.constant([1, 2, 3]),
        weights=tf.constant([1.0, 2.0, 3.0]),
        crowd=tf.constant([False, False, True]),
        difficult=tf.constant([True, False, False]),
        area=tf.constant([400.0, 2000.0, 768.0]),
        masks=CroppedMasks.from_whole(tf.constant(stacked)) if masks else None,
    )


def built(name, settings=None):
    text = f"{name} {{ {STEPS[name] if settings is None else settings} }}"
    step = text_format.Parse(text, preprocessor_pb2.PreprocessingStep())
    return preprocessor_builder.build(step)


def changed(step, example, count=SEEDS, without_objects=0):
    """A data set of the step's results, from a graph that knows no sizes and numbers.

    For seeds [5, 0], [5, 1], ...: `count` of the example, then those of it without its objects.
    """
    objects = [len(example.classes)] * count + [0] * without_objects
    numbers = tf.range(len(objects), dtype=tf.int64)

    def change(number, objects):
        kept = example.select(tf.range(objects))
        return augment(kept, [step], tf.stack([tf.constant(5, tf.int64), number]))

    return tf.data.Dataset.from_tensor_slices((numbers, objects)).map(change)


def results(step, example, count=SEEDS):
    return list(changed(step, example, count))


@functools.cache
def of_the_example(name):
    """The data set of a step's results for `an_example`, some without objects, and these."""
    found = changed(built(name), an_example(), without_objects=EMPTY)
    return found, list(found)


def pixels_of(boxes, shape):
    return np.asarray(boxes) * [*shape[:2], *shape[:2]]


def test_every_step_there_is_stands_here():
    assert STEPS.keys() | {"copy_paste"} == preprocessor_builder.AUGMENTATIONS.keys()


@pytest.mark.parametrize("name", STEPS)
def test_lists_stay_together_and_the_seed_decides(name):
    dataset, got = of_the_example(name)
    again = list(dataset)

    for one, other in zip(got, again, strict=True):
        for field in ("image", "boxes_normalized", "classes"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        np.testing.assert_array_equal(one.masks.pixels, other.masks.pixels)
        count = len(one.classes)
        for field in ("boxes_normalized", "weights", "crowd", "difficult", "area"):
            assert len(getattr(one, field)) == count
        assert len(one.masks.pixels) == count
        assert one.image.dtype == (tf.float32 if name in FLOAT else tf.uint8)
        assert one.masks.pixels.dtype == tf.uint8 and one.masks.pixels.numpy().max(initial=0) <= 1
        # What belongs to an object is still its own.
        of_class = {1: (1.0, 400.0), 2: (2.0, 2000.0), 3: (3.0, 768.0)}
        if name != "remap_labels":
            theirs = zip(one.weights.numpy(), one.area.numpy(), strict=True)
            assert [of_class[int(c)] for c in one.classes] == list(theirs)
    fixed = ("normalize_image", "rgb_to_gray", "resize_image", "subtract_channel_mean")
    if name not in (*fixed, "adjust_gamma", "remap_labels"):
        different = {
            tuple(map(bytes, (g.image.numpy(), g.boxes_normalized.numpy()))) for g in got[:SEEDS]
        }
        assert len(different) > 1


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("scale", [1, 2])
def test_masks_stay_inside_their_boxes_and_on_their_objects(name, scale):
    on_color = []
    if scale == 1:
        found = of_the_example(name)[1][:SEEDS]
    else:
        found = results(built(name), an_example(scale=scale))
    for got in found:
        shape, size = got.image.shape, got.masks.pixels.shape[1:]
        around = geometry.boxes_of_masks(got.masks.pixels).numpy()
        # Each border within one pixel of the mask, and one of the image it was rounded to.
        slack = np.array([1 / size[0] + 1 / shape[0], 1 / size[1] + 1 / shape[1]] * 2) + 1e-5
        filled = got.masks.pixels.numpy().any((1, 2))
        boxes = np.clip(got.boxes_normalized.numpy(), 0, 1)
        assert (np.abs(around - boxes)[filled] <= slack).all(), (name, around - boxes)
        for number, mask in zip(got.classes.numpy() - 1, got.masks.pixels.numpy(), strict=True):
            nearest = mask[(np.arange(shape[0]) + 0.5).astype(int) * size[0] // shape[0]][
                :, (np.arange(shape[1]) + 0.5).astype(int) * size[1] // shape[1]
            ]
            inner = nearest[1:-1, 1:-1] & nearest[:-2, :-2] & nearest[2:, 2:]
            inner &= nearest[:-2, 2:] & nearest[2:, :-2]
            under = got.image.numpy()[1:-1, 1:-1][inner == 1]
            if len(under):
                close = np.abs(under.astype(int) - COLORS[number]).max(1) < 60
                on_color.append(close.mean())
    assert len(on_color) > SEEDS / 2
    assert np.mean(on_color) > 0.95 and min(on_color) > 0.75, min(on_color)


@pytest.mark.parametrize("name", [*OTHER_PIXELS, *OTHER_SIZE])
def test_boxes_and_masks_stay_where_nothing_moves(name):
    example = an_example()
    for got in of_the_example(name)[1][:SEEDS]:
        np.testing.assert_array_equal(got.boxes_normalized, example.boxes_normalized)
        np.testing.assert_array_equal(got.masks.pixels, example.masks.pixels)
        assert got.image.shape == example.image.shape or name in OTHER_SIZE


@pytest.mark.parametrize("name", STEPS)
def test_without_masks_and_without_objects(name):
    found = list(changed(built(name), an_example(masks=False), EMPTY, without_objects=EMPTY))
    assert all(got.masks is None for got in found)
    for got in found[EMPTY:]:
        assert got.boxes_normalized.shape == (0, 4) and got.image.shape[2] == 3
    with_masks = of_the_example(name)[1][SEEDS:]
    assert len(with_masks) == EMPTY and all(got.masks.pixels.shape[0] == 0 for got in with_masks)
