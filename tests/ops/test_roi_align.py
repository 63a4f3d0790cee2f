"""Crops of features: by hand, against the wasteful way, gradients, and TFOD's."""

import crops_by_image
import numpy as np
import pytest
import tensorflow as tf
from random_boxes import random_boxes
from reference import blocks, needs_reference

from object_detection.ops import roi_align

GOLDEN = blocks("crop_and_resize")
COORDINATES = blocks("coordinates")
RAMP = tf.reshape(tf.range(20.0), [1, 4, 5, 1])  # 5 a row


def whole(image_height, image_width):
    return tf.constant([[[0.0, 0.0, image_height, image_width]]])


@pytest.mark.parametrize("crop", [crops_by_image.crop, crops_by_image.crop_matmul])
def test_the_corners_of_the_grid_lie_on_the_corners_of_the_box(crop):
    # The box is the whole image, so the corners read the corners of the 4 x 5 map, 0 4 15 19;
    # the middle is their mean.
    found = crop(RAMP, whole(64, 80), (64, 80), 3)
    assert found.shape == (1, 1, 3, 3, 1)
    np.testing.assert_allclose(
        found[0, 0, :, :, 0], [[0, 2, 4], [7.5, 9.5, 11.5], [15, 17, 19]], rtol=1e-6
    )


@pytest.mark.parametrize("crop", [crops_by_image.crop, crops_by_image.crop_matmul])
def test_a_crop_of_one_point_reads_the_middle(crop):
    found = crop(RAMP, whole(64, 80), (64, 80), 1)
    np.testing.assert_allclose(found, [[[[[9.5]]]]], rtol=1e-6)


def test_outside_the_map_native_reads_zero_and_matmul_fades():
    # Points at rows -.75, .75 of the map along column 0, whose value is 5 a row.
    column = tf.ones([1, 4, 5, 1])
    boxes = tf.constant([[[-16.0, 0.0, 16.0, 0.0]]])
    native = crops_by_image.crop(column, boxes, (64, 80), 2)[0, 0, :, 0, 0]
    fading = crops_by_image.crop_matmul(column, boxes, (64, 80), 2)[0, 0, :, 0, 0]
    assert native.numpy().tolist() == [0.0, 1.0]
    np.testing.assert_allclose(fading, [0.25, 1.0])


def wasteful(features, boxes, levels, image_shape, size, matmul):
    """Every box from every level, then the right one: as TFOD."""
    crop = crops_by_image.crop_matmul if matmul else crops_by_image.crop
    total = 0.0
    for index, level in enumerate(features):
        mine = tf.cast(levels == index, tf.float32)[..., tf.newaxis, tf.newaxis, tf.newaxis]
        total += crop(level, boxes, image_shape, size) * mine
    return total


def pyramid(seed, batch=2):
    rng = np.random.default_rng(seed)
    return [
        tf.constant(rng.normal(size=(batch, 16 >> i, 20 >> i, 3)).astype(np.float32))
        for i in range(4)
    ]


@pytest.mark.parametrize("matmul", [False, True])
def test_a_pyramid_is_cropped_as_the_wasteful_way_with_its_gradient(matmul):
    boxes = tf.constant(random_boxes(0, 2, 30, side=120.0) - 10)
    # No box on level 3, to have an empty one.
    levels = tf.constant(np.random.default_rng(1).integers(0, 3, (2, 30)).astype(np.int32))
    weight = tf.random.stateless_normal([2, 30, 5, 5, 3], [0, 0])
    features = pyramid(2)

    def run(function):
        with tf.GradientTape() as tape:
            tape.watch([*features, boxes])
            crops = function(features, boxes, levels, (100, 120), 5, matmul)
            loss = tf.reduce_sum(crops * weight)
        return crops, tape.gradient(loss, [*features, boxes])

    crops, gradients = run(crops_by_image.crop_pyramid)
    expected, expected_gradients = run(wasteful)
    assert crops.shape == (2, 30, 5, 5, 3)
    np.testing.assert_array_equal(crops, expected)
    for found, wanted in zip(gradients[:-1], expected_gradients[:-1], strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(found), tf.convert_to_tensor(wanted), rtol=1e-5, atol=1e-5
        )
    assert gradients[-1] is None  # boxes are taken as fixed


def dense_gradient(upstream, boxes, owner, shape):
    """The gradient of a crop of normalized boxes, as the transposed product of its definition.

    Column p of the matrix is the crop of an image that is 1 at pixel p alone.
    """
    pixels = int(np.prod(shape[:3]))
    units = np.eye(pixels, dtype=np.float32).reshape(pixels, *shape[:3]).transpose(1, 2, 3, 0)
    crops = tf.image.crop_and_resize(units, boxes, owner, upstream.shape[1:3]).numpy()
    matrix = crops.reshape(-1, pixels).astype(np.float64)
    return (matrix.T @ upstream.reshape(-1, shape[3])).reshape(shape)


def gradient_of_crop(features, boxes, owner, upstream):
    """Through `crop_rows`; boxes are pixels of an image of 1 x 1, so normalized."""
    with tf.GradientTape() as tape:
        tape.watch(features)
        crops = roi_align.crop_rows(features, boxes, owner, (1, 1), upstream.shape[1])
    return tape.gradient(crops, features, upstream)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_gradient_of_a_crop_is_its_transpose(size):
    # Boxes that reach outside, turned ones, points, and the whole map with points on its cells.
    rng = np.random.default_rng(size)
    boxes = rng.uniform(-0.3, 1.3, (40, 4)).astype(np.float32)
    boxes[0], boxes[1], boxes[2], boxes[3] = 0, 0.5, (0, 0, 1, 1), (2, 2, 3, 3)
    owner = rng.integers(0, 2, 40).astype(np.int32)
    upstream = rng.normal(size=(40, size, size, 3)).astype(np.float32)
    features = tf.zeros([2, 7, 9, 3])

    found = gradient_of_crop(features, boxes, owner, upstream)

    wanted = dense_gradient(upstream, boxes, owner, (2, 7, 9, 3))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        gradient_of_crop(features[:, :1, :1], boxes, owner, upstream),
        dense_gradient(upstream, boxes, owner, (2, 1, 1, 3)),
        rtol=1e-5,
        atol=1e-5,
    )


def test_the_gradient_of_a_crop_is_the_same_to_the_bit_each_time():
    # 60 boxes on 12 x 12 cells: TensorFlow's own gradient loses additions here.
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.uniform(0, 1, (60, 2, 2)), 1).reshape(60, 4).astype(np.float32)
    upstream = rng.normal(size=(60, 14, 14, 64)).astype(np.float32)
    run = tf.function(gradient_of_crop)
    arguments = tf.zeros([1, 12, 12, 64]), boxes, np.zeros(60, np.int32), upstream

    first = run(*arguments).numpy()

    for _ in range(10):
        np.testing.assert_array_equal(run(*arguments), first)


def test_the_gradient_of_no_crops_is_zero():
    features = tf.ones([2, 5, 6, 3])
    found = gradient_of_crop(
        features, tf.zeros([0, 4]), tf.zeros([0], tf.int32), tf.zeros([0, 7, 7, 3])
    )
    assert found.numpy().tolist() == np.zeros((2, 5, 6, 3)).tolist()


def test_rows_are_crops_of_their_image():
    features, boxes = pyramid(0)[0], tf.constant(random_boxes(1, 2, 6))
    owner = tf.constant([1, 0, 1])
    rows = tf.stack([boxes[1, 4], boxes[0, 2], boxes[1, 0]])
    found = roi_align.crop_rows(features, rows, owner, (100, 100), 4)
    expected = crops_by_image.crop(features, boxes, (100, 100), 4)
    np.testing.assert_array_equal(found, tf.stack([expected[1, 4], expected[0, 2], expected[1, 0]]))


def test_crops_keep_the_type_of_the_features():
    features = tf.cast(pyramid(0)[0], tf.bfloat16)
    boxes = tf.constant(random_boxes(1, 2, 6))
    for crop in (crops_by_image.crop, crops_by_image.crop_matmul):
        found = crop(features, boxes, (100, 100), 4)
        assert found.dtype == tf.bfloat16
        exact = crop(tf.cast(features, tf.float32), boxes, (100, 100), 4)
        np.testing.assert_allclose(tf.cast(found, tf.float32), exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("matmul", [False, True])
def test_unknown_shapes_and_no_boxes(matmul):
    @tf.function(
        input_signature=[
            [tf.TensorSpec([None, None, None, 3])] * 4,
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([2], tf.int32),
        ]
    )
    def run(features, boxes, image_shape):
        levels = roi_align.tfod_levels(boxes, image_shape, 4)
        crops = crops_by_image.crop_pyramid(features, boxes, levels, image_shape, 6, matmul)
        assert crops.shape[2:] == (6, 6, 3)
        return roi_align.max_pool(crops, 2, 2), tf.gradients(crops, features)

    for count in (7, 0):
        crops, gradients = run(pyramid(0), tf.constant(random_boxes(1, 2, count)), [100, 100])
        assert crops.shape == (2, count, 3, 3, 3)
        assert all(np.isfinite(x).all() for x in gradients)


@pytest.mark.parametrize("batch", [2, None])
def test_known_shapes_stay_known(batch):
    @tf.function(
        input_signature=[
            [tf.TensorSpec([batch, None, None, 3])] * 4,
            tf.TensorSpec([batch, 7, 4]),
        ]
    )
    def run(features, boxes):
        levels = roi_align.tfod_levels(boxes, (100, 100), 4)
        crops = crops_by_image.crop_pyramid(features, boxes, levels, (100, 100), 6)
        assert crops.shape.as_list() == [batch, 7, 6, 6, 3]
        return roi_align.max_pool(crops, 2, 2)

    assert run(pyramid(0), tf.constant(random_boxes(1, 2, 7))).shape == (2, 7, 3, 3, 3)


def test_max_pool():
    crops = tf.reshape(tf.range(25.0), [1, 1, 5, 5, 1])
    # The fifth row and column have no partner and are left out.
    np.testing.assert_array_equal(
        roi_align.max_pool(crops, 2, 2)[0, 0, :, :, 0], [[6, 8], [16, 18]]
    )
    assert roi_align.max_pool(crops, 1, 1) is crops
    assert roi_align.max_pool(crops, 3, 1).shape == (1, 1, 3, 3, 1)


def test_levels_of_the_paper_by_hand():
    # 224 belongs to level 4; half of it and less than twice; below half; without area; huge.
    sides = [224.0, 447.9, 448.0, 112.0, 111.9, 0.0, 1e5]
    boxes = tf.constant([[[5.0, 7.0, 5.0 + side, 7.0 + side] for side in sides]])
    found = roi_align.paper_levels(boxes, min_level=2, max_level=5)
    assert found.numpy().tolist() == [[4, 4, 5, 3, 2, 2, 5]]
    assert found.dtype == tf.int32


def test_levels_of_tfod_by_hand():
    # Five levels P2..P6: 300 pixels read index 3, P5, where the paper says P4.
    sides = [300.0, 150.0, 75.0, 37.0, 20.0, 0.0, 512.0]
    boxes = tf.constant([[[0.0, 0.0, side, side] for side in sides]])
    found = roi_align.tfod_levels(boxes, (512, 512), 5)
    assert found.numpy().tolist() == [[3, 2, 1, 0, 0, 0, 4]]


@needs_reference
def test_levels_as_in_tfod():
    # The golden boxes are normalized: give them as pixels of images of its two sizes.
    for name, image_shape, num_levels in (
        ("fpn_levels", (800, 1333), 4),
        ("fpn_levels_5", (256, 320), 5),
    ):
        height, width = image_shape
        boxes = COORDINATES["fpn_boxes"] * np.float32([height, width, height, width])
        found = roi_align.tfod_levels(boxes, image_shape, num_levels)
        np.testing.assert_array_equal(found, COORDINATES[name])
        assert len(np.unique(found)) > 1


@needs_reference
@pytest.mark.parametrize("size", [1, 7, 14])
def test_crops_as_in_tfod(size):
    # Golden boxes are normalized: pixels of an image of 1 x 1.
    image, boxes = GOLDEN["image"], GOLDEN["boxes"]
    native = crops_by_image.crop(image, boxes, (1, 1), size)
    np.testing.assert_allclose(native, GOLDEN[f"native_{size}"], rtol=1e-5, atol=1e-6)
    fading = crops_by_image.crop_matmul(image, boxes, (1, 1), size)
    np.testing.assert_allclose(fading, GOLDEN[f"matmul_{size}"], rtol=1e-5, atol=1e-5)
    if size > 1:
        np.testing.assert_allclose(
            roi_align.max_pool(native, 2, 2), GOLDEN[f"maxpool2_of_native_{size}"], atol=1e-6
        )


@needs_reference
def test_crops_of_a_pyramid_as_in_tfod():
    levels = [GOLDEN[f"level{i}"] for i in range(3)]
    boxes, box_levels = GOLDEN["boxes"], GOLDEN["box_levels"]
    for name, matmul in (("native", False), ("matmul", True)):
        found = crops_by_image.crop_pyramid(levels, boxes, box_levels, (1, 1), 5, matmul=matmul)
        np.testing.assert_allclose(found, GOLDEN[f"multi_{name}_5"], rtol=1e-5, atol=1e-5)
