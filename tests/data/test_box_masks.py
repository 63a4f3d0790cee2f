"""Records whose masks are stored cut at their extent (`--mask_storage=box`)."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from made_records import image_bytes, record

from object_detection.data import report
from object_detection.data.decoder import BadRecord, Decoder, DecoderOptions
from object_detection.data.decoding import repair
from object_detection.data.mask_decoder import decode_box_masks
from object_detection.datasets import examples
from object_detection.structures.masks import CroppedMask

SIZE = (23, 31)
BOXES = [(0, 0, 0.5, 0.5), (0.25, 0.2, 1.0, 1.0), (0.9, 0.9, 1.0, 1.0)]


def random_masks(seed=0):
    """Noise in a part of the image, one mask for each box; the last is one pixel in the corner."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((3, *SIZE), np.uint8)
    masks[0, 3:11, 2:19] = rng.random((8, 17)) < 0.4
    masks[1] = rng.random(SIZE) < 0.1
    masks[2, -1, -1] = 1
    return masks


def cut(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return CroppedMask(part, rows[0], columns[0])


def stored(masks, storage="box"):
    """Changes for `made_records.record`: what the writer of records writes."""
    found = examples.mask_features([cut(mask) for mask in masks], *SIZE, storage)
    return {key.removeprefix("image/"): list(values) for key, values in found.items()}


@functools.cache
def decoder(png_masks=True):
    options = DecoderOptions(num_classes=1, class_ids={}, load_masks=True, png_masks=png_masks)
    return Decoder(options)


@functools.cache
def in_graph(png_masks=True):
    return tf.function(decoder(png_masks), input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.parametrize("png_masks", [True, False], ids=["PNG_MASKS", "NUMERICAL_MASKS"])
@pytest.mark.parametrize("seed", range(4))
def test_masks_are_those_of_whole_pngs_bit_for_bit(seed, png_masks):
    masks = random_masks(seed)
    for decode in (decoder(png_masks), in_graph(png_masks)):
        decoded = decode(record(BOXES, size=SIZE, **stored(masks)))
        np.testing.assert_array_equal(decoded.example.masks.pixels, masks)
        assert decoded.example.masks.pixels.dtype == tf.uint8
        assert not decoded.counts.numpy().any()


def test_one_reader_takes_both_forms():
    masks = random_masks()
    for storage in ("box", "png"):
        decoded = in_graph()(record(BOXES, size=SIZE, **stored(masks, storage)))
        np.testing.assert_array_equal(decoded.example.masks.pixels, masks)


def test_a_record_with_both_forms_is_read_by_the_smaller():
    masks = random_masks()
    both = {**stored(random_masks(1), "png"), **stored(masks)}
    np.testing.assert_array_equal(
        in_graph()(record(BOXES, size=SIZE, **both)).example.masks.pixels, masks
    )


def test_no_object_needs_no_mask():
    assert in_graph()(record(size=SIZE)).example.masks.pixels.shape == (0, *SIZE)


@pytest.mark.parametrize(
    "kind",
    [lambda part: part * 255, lambda part: part.astype(bool), lambda part: part.astype(np.uint16)],
    ids=["0/255", "1bit", "16bit"],
)
def test_other_kinds_of_png(kind):
    masks = random_masks()
    parts = [cut(mask) for mask in masks]
    encoded = [image_bytes(kind(part.pixels)) for part in parts]
    tops, lefts = ([getattr(part, side) for part in parts] for side in ("top", "left"))
    found = decode_box_masks(
        tf.constant(encoded), tf.constant(tops, tf.int32), tf.constant(lefts, tf.int32), SIZE
    )
    np.testing.assert_array_equal(found.pixels, masks)


def changed(**changes):
    features = stored(random_masks())
    for name, change in changes.items():
        key = f"object/mask/box_{name}"
        features[key] = change(features[key])
    return record(BOXES, size=SIZE, **features)


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"png": lambda png: png[:2]}, report.MASK_COUNT, "3 boxes and 2 masks"),
        ({"top": lambda top: top[:2]}, report.UNEQUAL_LENGTHS, "box_top has 2 and box_left 3"),
        ({"left": lambda left: []}, report.UNEQUAL_LENGTHS, "box_top has 3 and box_left 0"),
        ({"top": lambda top: [-1, *top[1:]]}, report.MASK_SIZE, "out of the image of 23 x 31"),
        ({"left": lambda left: [*left[:2], 31]}, report.MASK_SIZE, "out of the image of 23 x 31"),
        ({"left": lambda left: [*left[:2], 2**40]}, report.MASK_SIZE, "out of the image"),
        ({"png": lambda png: [b"no image", *png[1:]]}, report.BAD_MASK, ""),
        ({"png": lambda png: [png[0][:50], *png[1:]]}, report.BAD_MASK, ""),
        ({"png": lambda png: [b"", *png[1:]]}, report.BAD_MASK, ""),
        ({"top": lambda top: [0.5] * len(top)}, report.WRONG_TYPE, "contains fractions"),
    ],
)
def test_broken_ones_are_named_with_their_reason(changes, reason, said):
    serialized = changed(**changes)
    with pytest.raises(tf.errors.OpError):
        in_graph()(tf.constant(serialized))
    repaired, found, detail = repair(serialized, decoder())
    assert (repaired, found) == (b"", reason)
    assert said in detail


def test_the_reasons_are_raised_outside_a_graph():
    with pytest.raises(BadRecord, match="reaches out of the image"):
        decoder()(changed(top=lambda top: [20, *top[1:]]))
