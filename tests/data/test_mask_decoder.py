import functools

import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask, image_bytes, picture, record
from PIL import Image

from object_detection.data import report
from object_detection.data.decoder import BadRecord, Decoder, DecoderOptions
from object_detection.data.mask_decoder import (
    MaskDecodeOptions,
    decode_numerical_masks,
    decode_png_masks,
)

BOXES = [(0, 0, 0.5, 0.5), (0.25, 0.2, 1.0, 1.0)]
MASKS = [box_mask(8, 10, (0, 0, 4, 5)), box_mask(8, 10, (2, 2, 8, 10))]


def color(mask, rgb):
    return mask[..., np.newaxis] * np.uint8(rgb)


def palette(mask):
    image = Image.new("P", mask.shape[::-1])
    image.putpalette([0, 0, 0, 1, 0, 0] + [9] * (254 * 3))
    image.putdata(mask.ravel().tolist())
    return image


def with_alpha(mask):
    return np.dstack([color(mask, (0, 0, 1)), np.full_like(mask, 255)])


@pytest.mark.parametrize(
    "stored",
    [
        lambda mask: mask,
        lambda mask: mask * 255,
        lambda mask: mask.astype(bool),  # one bit
        lambda mask: mask.astype(np.uint16),  # 1 of 65535
        lambda mask: color(mask, (0, 0, 1)),  # gone in a conversion to gray
        lambda mask: color(mask, (255, 0, 0)),
        with_alpha,
        lambda mask: np.dstack([mask, np.full_like(mask, 255)]),  # gray and alpha
        palette,
    ],
    ids=["0/1", "0/255", "1bit", "16bit", "blue", "red", "alpha", "gray_alpha", "palette"],
)
def test_whatever_is_not_black_is_the_object(stored):
    encoded = [image_bytes(stored(mask)) for mask in MASKS]
    for decode in (decode_png_masks, tf.function(decode_png_masks)):
        masks = decode(tf.constant(encoded), (8, 10)).pixels
        np.testing.assert_array_equal(masks, MASKS)
        assert masks.dtype == tf.uint8


def test_plain_and_other_masks_may_be_mixed():
    encoded = [image_bytes(MASKS[0]), image_bytes(color(MASKS[1], (0, 9, 0)))]
    np.testing.assert_array_equal(decode_png_masks(tf.constant(encoded), (8, 10)).pixels, MASKS)


def test_no_mask_has_the_size_of_the_image():
    assert decode_png_masks(tf.zeros([0], tf.string), (8, 10)).pixels.shape == (0, 8, 10)


def test_numbers_above_zero_are_the_object():
    values = np.concatenate([MASKS[0].ravel(), MASKS[1].ravel() * 0.25]).astype(np.float32)
    masks = decode_numerical_masks(values, 2, (8, 10), (99, 99))
    np.testing.assert_array_equal(masks, MASKS)


def test_numbers_without_a_stated_size_have_the_images():
    values = np.concatenate([mask.ravel() for mask in MASKS]).astype(np.float32)
    # Records without image/height and image/width count as 1 x 1.
    np.testing.assert_array_equal(decode_numerical_masks(values, 2, (1, 1), (8, 10)), MASKS)


# In whole records


@functools.cache
def decoder(png_masks=True):
    options = DecoderOptions(num_classes=1, class_ids={}, load_masks=True, png_masks=png_masks)
    return Decoder(options)


def fault_of(serialized, **options):
    with pytest.raises(BadRecord) as caught:
        decoder(**options)(serialized)
    with pytest.raises(tf.errors.InvalidArgumentError):
        in_graph(**options)(tf.constant(serialized))
    return caught.value.reason, caught.value.detail


@functools.cache
def in_graph(**options):
    return tf.function(decoder(**options))


def values_of(masks):
    return np.concatenate([mask.ravel() for mask in masks]).astype(np.float32)


def test_records_with_numbers():
    decoded = decoder(png_masks=False)(record(BOXES, mask=values_of(MASKS)))
    np.testing.assert_array_equal(decoded.example.masks.pixels, MASKS)


def test_masks_of_half_the_size_are_kept_as_they_are_and_counted():
    small = [image_bytes(mask[::2, ::2]) for mask in MASKS]
    decoded = decoder()(record(BOXES, mask=small))
    assert decoded.example.masks.pixels.shape == (2, 4, 5)
    assert decoded.counts.numpy()[report.OBJECT_REASONS.index(report.MASK_SCALED)] == 1


@pytest.mark.parametrize(
    ("masks", "reason", "said"),
    [
        (MASKS[:1], report.MASK_COUNT, "2 boxes and 1 masks"),
        (MASKS + MASKS[:1], report.MASK_COUNT, "2 boxes and 3 masks"),
        ([mask.T for mask in MASKS], report.MASK_SIZE, "masks of 10 x 8 in an image of 8 x 10"),
    ],
)
def test_masks_that_do_not_fit(masks, reason, said):
    found, detail = fault_of(record(BOXES, mask=[image_bytes(mask) for mask in masks]))
    assert found == reason
    assert said in detail


def test_numbers_that_do_not_fit():
    found, detail = fault_of(record(BOXES, mask=values_of(MASKS)[:-1]), png_masks=False)
    assert found == report.MASK_COUNT
    assert "159 mask values do not make 2 masks of 8 x 10" in detail


@pytest.mark.parametrize("png_masks", [True, False])
@pytest.mark.parametrize("crop", [False, True])
def test_an_image_whose_objects_have_no_masks_keeps_them(png_masks, crop):
    options = DecoderOptions(num_classes=3, class_ids={}, load_masks=True, png_masks=png_masks)
    options = options._replace(mask_options=MaskDecodeOptions(native=True, crop=crop))
    decoded = Decoder(options).in_graph(tf.constant(record(BOXES)))
    got = decoded.example
    assert got.classes.numpy().tolist() == [1, 1]
    assert got.masks.present.numpy().tolist() == [False, False]
    assert got.masks.pixels.shape == ((2, 1, 1) if crop else (2, 8, 10))
    assert not got.masks.pixels.numpy().any()
    assert got.masks.shape.numpy().tolist() == [8, 10]
    counts = dict(zip(report.OBJECT_REASONS, decoded.counts.numpy(), strict=True))
    assert {reason: n for reason, n in counts.items() if n} == {report.NO_MASK: 2}


@pytest.mark.parametrize(
    "encoded",
    [
        [b"no image", image_bytes(MASKS[0])],
        [image_bytes(MASKS[0])[:50], image_bytes(MASKS[1])],
        [b"", image_bytes(MASKS[1])],
        [image_bytes(MASKS[0]), image_bytes(MASKS[1][:4])],  # of different sizes
    ],
)
def test_masks_that_cannot_be_decoded(encoded):
    serialized = record(BOXES, mask=encoded)
    with pytest.raises((tf.errors.OpError, ValueError)):
        decoder()(serialized)
    with pytest.raises(tf.errors.OpError):
        in_graph()(tf.constant(serialized))


def test_an_image_without_objects_needs_no_masks():
    for png_masks in (True, False):
        assert decoder(png_masks)(record(size=(4, 6))).example.masks.pixels.shape == (0, 4, 6)


def test_noise_survives_a_round_trip():
    noise = (picture(33, 17)[..., 0] > 128).astype(np.uint8)
    np.testing.assert_array_equal(
        decode_png_masks(tf.constant([image_bytes(noise)]), (33, 17)).pixels[0], noise
    )
