import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from reference import blocks, needs_reference

from object_detection.builders import image_resizer_builder
from object_detection.ops import image
from object_detection.protos import image_resizer_pb2

RESIZERS = (
    "keep keep_pad keep_pad_value keep_down fixed fixed_down keep_gray fixed_bicubic fixed_area "
    "fixed_nn cond_greater cond_smaller pad_multiple identity"
).split()
DYNAMIC = tf.TensorSpec([None, None, 3], tf.float32)


def gradient(height, width):
    """An image whose red is its row and whose green is its column."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1)


@needs_reference
@pytest.mark.parametrize("name", RESIZERS)
@pytest.mark.parametrize("picture", ["a", "b"])
def test_resizers_give_tfods_numbers(name, picture):
    golden = blocks("image_resizers")
    config = text_format.Parse(str(golden[f"{name}/config"]), image_resizer_pb2.ImageResizer())
    resizer = image_resizer_builder.build(config)
    wanted = golden[f"{name}/{picture}_image"]
    source = golden[f"image_{picture}"]

    resized, true_shape = resizer(tf.constant(source))
    dynamic, dynamic_shape = tf.function(resizer, input_signature=[DYNAMIC])(source)

    # TFOD's gray has one channel; ours has it three times.
    np.testing.assert_array_equal(resized, np.broadcast_to(wanted, resized.shape))
    np.testing.assert_array_equal(true_shape, golden[f"{name}/{picture}_shape"][:2])
    np.testing.assert_array_equal(dynamic, resized)
    np.testing.assert_array_equal(dynamic_shape, true_shape)
    assert dynamic.dtype == tf.float32 and dynamic_shape.dtype == tf.int32


@needs_reference
def test_keep_aspect_ratio_gives_tfods_sizes():
    rows = blocks("image_resizers")["keep_sizes_h_w_min_max_newh_neww"]
    assert len(rows) == 55
    for height, width, low, high, *wanted in rows.tolist():
        size = image.KeepAspectRatio(low, high).true_shape(height, width)
        assert [int(side) for side in size] == wanted, (height, width, low, high)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((480, 640), (800, 1067)),  # 800 / 480 = 1.667; 640 * 1.667 = 1066.7
        ((333, 1000), (444, 1333)),  # the long side is the bound: 1333 / 1000; 333 * 1.333 = 443.9
        ((640, 480), (1067, 800)),
        ((500, 500), (800, 800)),
        ((2, 4000), (1, 1333)),  # 2 * 0.333 = 0.67
        ((1, 4000), (1, 1333)),  # 0.33 would round to no row at all
    ],
)
def test_sizes_that_can_be_worked_by_hand(size, wanted):
    resizer = image.KeepAspectRatio(800, 1333)
    assert tuple(int(side) for side in resizer.true_shape(*size)) == wanted


def test_bilinear_takes_the_pixel_corner_as_origin():
    # Twice as wide without half-pixel centres: columns 0, 0.5, 1, 1.5, and the last one repeated.
    resized = image.resize(gradient(1, 3), (1, 6))
    np.testing.assert_array_equal(resized[0, :, 1], [0, 0.5, 1, 1.5, 2, 2])


def test_uint8_and_float32_give_the_same():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    for resizer in (
        image.KeepAspectRatio(11, 20),
        image.Identity(),
        image.PadToMultiple(4),
        image.FixedShape(5, 6, image.AREA),
    ):
        from_uint8, from_float = resizer(pixels), resizer(pixels.astype(np.float32))
        np.testing.assert_array_equal(from_uint8[0], from_float[0])


def test_padding_lies_below_and_on_the_right_and_is_not_part_of_the_true_shape():
    resizer = image.KeepAspectRatio(4, 8, pad_to_max_dimension=True, pad_value=(9.0, 0.0, 1.0))

    resized, true_shape = resizer(gradient(4, 6))

    assert true_shape.numpy().tolist() == [4, 6]
    np.testing.assert_array_equal(resized[:4, :6], gradient(4, 6))
    np.testing.assert_array_equal(resized[4:], np.broadcast_to([9, 0, 1], (4, 8, 3)))
    np.testing.assert_array_equal(resized[:, 6:], np.broadcast_to([9, 0, 1], (8, 2, 3)))


def test_gray_is_the_luma_in_three_channels():
    resized, _ = image.FixedShape(1, 1, grayscale=True)(np.float32([[[100, 50, 10]]]))
    # 29.89 + 29.35 + 1.14
    np.testing.assert_allclose(resized, np.full((1, 1, 3), 60.38), rtol=1e-6)


@pytest.mark.parametrize(
    ("resizer", "static"),
    [
        (image.FixedShape(30, 40), (30, 40)),
        (image.KeepAspectRatio(30, 40, pad_to_max_dimension=True), (40, 40)),
        (image.KeepAspectRatio(30, 40), (None, None)),
        (image.PadToMultiple(32), (None, None)),
        (image.ConditionalShape(30, shrink=True), (None, None)),
        (image.Identity(), (None, None)),
    ],
)
def test_static_shape_is_what_a_graph_knows(resizer, static):
    traced = tf.function(resizer).get_concrete_function(DYNAMIC).structured_outputs
    assert resizer.static_shape == static
    assert tuple(traced[0].shape) == (*static, 3)
    assert tuple(traced[1].shape) == (2,)


def test_conditional_shape_leaves_other_images_alone():
    source = gradient(4, 6)
    for resizer in (
        image.ConditionalShape(6, shrink=True),
        image.ConditionalShape(4, shrink=False),
    ):
        resized, true_shape = resizer(source)
        np.testing.assert_array_equal(resized, source)
        assert true_shape.numpy().tolist() == [4, 6]


@pytest.mark.parametrize(
    "resizer",
    [
        image.KeepAspectRatio(40, 70),
        image.KeepAspectRatio(40, 60, pad_to_max_dimension=True, pad_value=(9.0, 8.0, 7.0)),
        image.FixedShape(30, 50, image.BICUBIC, grayscale=True),
        image.ConditionalShape(24, shrink=True),
        image.PadToMultiple(32),
        image.Identity(),
    ],
    ids=lambda resizer: type(resizer).__name__,
)
def test_images_of_one_size_are_resized_at_once_to_the_same_numbers(resizer):
    images = np.random.default_rng(0).integers(0, 255, [3, 37, 52, 3], np.uint8)
    signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
    batch, true_shape = tf.function(resizer, input_signature=signature)(images)
    for k, one in enumerate(images):
        alone, shape = resizer(tf.constant(one))
        np.testing.assert_array_equal(batch[k], alone)
        np.testing.assert_array_equal(true_shape, shape)
