"""Graphs for other runtimes compute what TensorFlow's own operations compute."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.export import portable
from object_detection.ops import boxes as box_ops
from object_detection.ops import image, roi_align

BOXES = [[0, 0, 31, 40], [3.3, 4.7, 21.2, 38.9], [-4, 10, 8, 50], [5, 5, 5, 5], [0, 0, 32, 40]]


def _maps(shapes):
    generator = np.random.default_rng(0)
    return [tf.constant(generator.normal(size=[2, *s, 3]), tf.float32) for s in shapes]


@pytest.mark.parametrize("fading", [False, True])
@pytest.mark.parametrize("size", [1, 5])
def test_crops_are_those_of_tensorflow(fading, size):
    (cells,) = _maps([(8, 10)])
    boxes, owner = tf.constant(BOXES, tf.float32), tf.constant([0, 1, 1, 0, 1])

    wanted = roi_align.crop_rows(cells, boxes, owner, (32, 40), size, matmul=fading)
    normalized = box_ops.to_normalized(boxes, 32, 40)
    got = portable.crop([cells], normalized, owner, tf.zeros([5], tf.int32), size, fading=fading)

    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_each_box_is_cropped_from_its_own_level():
    maps = _maps([(16, 20), (8, 10), (4, 5)])
    boxes, owner = tf.constant(BOXES, tf.float32), tf.constant([0, 1, 1, 0, 1])
    levels = tf.constant([2, 0, 1, 1, 0])
    normalized = box_ops.to_normalized(boxes, 32, 40)

    wanted = roi_align.crop_pyramid_rows(maps, boxes, owner, levels, (32, 40), 4)
    got = portable.crop(maps, normalized, owner, levels, 4, fading=False)

    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize(
    "resizer",
    [
        image.KeepAspectRatio(40, 60),
        image.KeepAspectRatio(12, 16, image.NEAREST_NEIGHBOR),
        image.KeepAspectRatio(20, 50, pad_to_max_dimension=True, pad_value=(9.0, 8.0, 7.0)),
        image.KeepAspectRatio(40, 60, grayscale=True),
        image.FixedShape(30, 17),
        image.ConditionalShape(20, shrink=True),
        image.ConditionalShape(50, shrink=False, method=image.NEAREST_NEIGHBOR),
        image.PadToMultiple(32),
        image.Identity(),
    ],
    ids=str,
)
def test_a_batch_is_resized_as_its_images(resizer):
    pixels = np.random.default_rng(1).integers(0, 256, [2, 25, 37, 3], np.uint8)

    got, shapes = portable.resize_batch(resizer, tf.constant(pixels))

    for k in range(2):
        wanted, true_shape = resizer(tf.constant(pixels[k]))
        np.testing.assert_allclose(got[k], wanted, atol=1e-4)
        np.testing.assert_array_equal(shapes[k], true_shape)


def test_a_method_without_counterpart_is_refused_by_name():
    with pytest.raises(ValueError, match="BICUBIC.*BILINEAR and NEAREST_NEIGHBOR"):
        portable.resize_batch(
            image.FixedShape(30, 17, image.BICUBIC), tf.zeros([1, 5, 5, 3], tf.uint8)
        )
