import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask, image_bytes, record, write
from test_pipeline import READ, build

from object_detection.data import pipeline
from object_detection.data.augment import geometry
from object_detection.data.augment.objects import CopyPaste, KeepAtMost
from object_detection.data.example import Example
from object_detection.data.report import InputReport
from object_detection.structures.batch import CroppedMasks

ALL = CopyPaste(object_probability=1.0, min_visible=0.0)
MIDDLE = tf.constant([0.5, 0.5])


def example(value, boxes, size=(8, 10), mask_size=None, crowd=False):
    """One value all over the image, and rectangles of class 1, 2, ..."""
    mask_size = mask_size or size
    scale = np.array([*mask_size, *mask_size]) // [*size, *size]
    masks = [box_mask(*mask_size, np.multiply(box, scale)) for box in boxes]
    count = len(boxes)
    return Example(
        id=tf.constant(str(value)),
        image=tf.fill([*size, 3], tf.constant(value, tf.uint8)),
        boxes_normalized=tf.constant(np.divide(boxes, [*size, *size]), tf.float32),
        classes=tf.range(1, count + 1) * value,
        weights=tf.ones([count]),
        crowd=tf.fill([count], crowd),
        difficult=tf.fill([count], False),
        area=tf.ones([count]),
        masks=CroppedMasks.from_whole(tf.constant(np.stack(masks))),
    )


def pasted(below, above, step=ALL):
    return step.paste(below, above, MIDDLE)


def test_pixels_and_masks_are_those_of_the_objects_alone():
    below, above = example(10, [(0, 0, 4, 4)]), example(20, [(2, 2, 6, 8)])
    got = pasted(below, above)

    wanted = np.where(box_mask(8, 10, (2, 2, 6, 8)) == 1, 20, 10)
    np.testing.assert_array_equal(got.image[..., 0], wanted)
    covered = box_mask(8, 10, (0, 0, 4, 4)) & ~box_mask(8, 10, (2, 2, 6, 8))
    np.testing.assert_array_equal(got.masks.pixels, [covered, box_mask(8, 10, (2, 2, 6, 8))])
    assert got.classes.numpy().tolist() == [10, 20] and got.id == b"10"
    # An L of rows 0..3 and columns 0..3 is left, so its box stays.
    np.testing.assert_allclose(got.boxes_normalized[0], [0, 0, 0.5, 0.4], atol=1e-6)


def test_a_covered_object_gets_a_smaller_box_or_goes():
    below = example(10, [(0, 0, 4, 4)])
    half = pasted(below, example(20, [(2, 0, 8, 10)]))
    np.testing.assert_allclose(half.boxes_normalized[0], [0, 0, 0.25, 0.4], atol=1e-6)
    assert pasted(below, example(20, [(0, 0, 8, 10)])).classes.numpy().tolist() == [20]

    quarter = example(20, [(1, 0, 8, 10)])  # one of four rows is left
    for least, left in ((0.25, [10, 20]), (0.3, [20])):
        got = pasted(below, quarter, CopyPaste(min_visible=least))
        assert got.classes.numpy().tolist() == left


def test_an_image_of_another_size_is_fitted():
    """4 x 4 onto 8 x 10 is 8 x 8, one column from the left in the middle of what room is left."""
    got = pasted(example(10, [(0, 0, 1, 1)]), example(20, [(1, 1, 3, 3)], size=(4, 4)))
    np.testing.assert_allclose(got.boxes_normalized[1] * [8, 10, 8, 10], [2, 3, 6, 7], atol=1e-5)
    np.testing.assert_array_equal(got.masks.pixels[1], box_mask(8, 10, (2, 3, 6, 7)))
    assert (got.image.numpy()[got.masks.pixels[1] == 1] == 20).all()


def test_masks_keep_the_size_of_those_below():
    below = example(10, [(0, 0, 2, 2)], mask_size=(16, 20))
    got = pasted(below, example(20, [(2, 2, 6, 8)]))
    np.testing.assert_array_equal(got.masks.pixels[1], box_mask(16, 20, (4, 4, 12, 16)))
    assert (got.image.numpy()[2:6, 2:8] == 20).all() and got.image.shape == (8, 10, 3)


def count_of(step, other, seeds=60):
    below = example(10, [(0, 0, 1, 1)])
    seeds = [tf.constant([7, number], tf.int64) for number in range(seeds)]
    return [len(step(below, other, seed).classes) - 1 for seed in seeds]


def test_how_often_and_how_many():
    other = example(20, [(1, 1, 3, 3), (4, 4, 6, 6), (6, 6, 8, 8)])
    assert set(count_of(ALL, other, 5)) == {3}
    assert set(count_of(CopyPaste(object_probability=1.0, max_objects=2), other, 5)) == {2}
    assert set(count_of(CopyPaste(probability=0.0), other, 5)) == {0}
    mean = np.mean(count_of(CopyPaste(object_probability=0.5), other))
    assert 1.0 < mean < 2.0  # 3 objects, each with one half
    half = np.mean(np.array(count_of(CopyPaste(0.5, 1.0), other)) > 0)
    assert 0.3 < half < 0.7


def test_crowds_and_objects_without_a_mask_are_not_pasted():
    assert set(count_of(ALL, example(20, [(1, 1, 3, 3)], crowd=True), 3)) == {0}
    empty = example(20, [(1, 1, 3, 3)])
    assert set(
        count_of(
            ALL, empty._replace(masks=CroppedMasks.from_whole(tf.zeros_like(empty.masks.pixels))), 3
        )
    ) == {0}


STEPS = (geometry.RandomHorizontalFlip(0.5), ALL, geometry.RandomVerticalFlip(0.5))
SHUFFLED = READ._replace(shuffle=True, num_epochs=0, seed=3)


@pytest.fixture
def records(tmp_path):
    """12 records; record i has one mask of 2 x 2 pixels on column i % 8, its image the value i."""
    made = []
    for number in range(12):
        column = number % 8
        mask = box_mask(8, 10, (3, column, 5, column + 2))
        box = (3 / 8, column / 10, 5 / 8, (column + 2) / 10)
        pixels = np.full((8, 10, 3), number * 20, np.uint8)
        made.append(
            record([box], seed=number, mask=[image_bytes(mask)], encoded=image_bytes(pixels))
        )
    return [write(tmp_path / "a.record", made)]


def values(batches):
    return [
        (batch.images.pixels.numpy(), batch.truth.boxes.numpy(), batch.truth.masks.pixels.numpy())
        for batch in batches
    ]


def assert_same(some, others):
    for one, other in zip(values(some), values(others), strict=True):
        for here, there in zip(one, other, strict=True):
            np.testing.assert_array_equal(here, there)


def test_the_pipeline_pastes_the_example_before(records):
    batches = list(build(records, masks=True, augmentations=(ALL,)).dataset)

    assert len(batches) == 12
    assert batches[0].truth.valid.numpy().sum() == 1  # nothing comes before it
    for number, batch in enumerate(batches[1:], 1):
        image = batch.images.pixels.numpy()[0, ..., 0]
        before = box_mask(8, 10, (3, (number - 1) % 8, 5, (number - 1) % 8 + 2)) == 1
        assert (image[before] == (number - 1) * 20).all() and (image[~before] == number * 20).all()
        assert batch.truth.valid.numpy().sum() == 2


def test_an_interrupted_run_pastes_the_same(records):
    options = {"read": SHUFFLED, "masks": True, "batch_size": 2, "augmentations": STEPS}
    whole = list(build(records, **options).dataset.take(12))

    for skipped in (1, 8):
        rest = build(records, **options, skip_batches=skipped).dataset.take(12 - skipped)
        assert_same(whole[skipped:], rest)


def test_a_bad_record_before_it_is_passed_over(records, tmp_path):
    good = [record([(0.25, 0.2, 0.75, 0.5)], seed=number, masks=True) for number in range(8)]
    good[3] = record([(0.25, 0.2, 0.75, 0.5)], encoded=b"broken", masks=True)
    path = write(tmp_path / "b.record", good)
    options = {"masks": True, "augmentations": STEPS, "read": SHUFFLED}
    found = InputReport()
    whole = list(build([path], **options, found=found).dataset.take(20))
    known_bad = pipeline.bad_records(found)

    rest = build([path], **options, skip_batches=9, known_bad=known_bad).dataset.take(11)
    assert_same(whole[9:], rest)


def test_more_objects_than_that_fit_are_cut(records):
    steps = (ALL, KeepAtMost(1))
    for batch in build(records, masks=True, augmentations=steps, max_boxes=1).dataset:
        assert batch.truth.boxes.shape == (1, 1, 4)


def test_without_masks_it_says_what_to_set(records):
    with pytest.raises(ValueError, match="set train_input_reader.load_instance_masks to true"):
        build(records, augmentations=(ALL,))
