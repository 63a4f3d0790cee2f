import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask, image_bytes, picture, record, write

from object_detection.data import pipeline, reading, report
from object_detection.data.augment import geometry
from object_detection.data.decoder import DecoderOptions
from object_detection.data.report import InputReport
from object_detection.errors import RecordError
from object_detection.ops import image
from object_detection.structures.batch import Batch

READ = reading.ReadOptions(
    shuffle=False,
    shuffle_buffer_size=100,
    shuffle_files=False,
    num_readers=1,
    read_block_length=1,
    num_epochs=1,
)
BOX = (0.25, 0.2, 0.75, 0.5)  # rows 2..6 and columns 2..5 of 8 x 10


def build(files, *, read=READ, masks=False, found=None, **options):
    """A pipeline of one class over record files."""
    defaults = {"batch_size": 1, "max_boxes": 4, "resizer": image.Identity()}
    return pipeline.build(
        reading.Sources([files], [], read),
        DecoderOptions(num_classes=1, class_ids={"cat": 1}, load_masks=masks),
        pipeline.PipelineOptions(**{**defaults, **options}),
        found or InputReport(),
    )


def ids(batches):
    return [name.decode() for batch in batches for name in batch.image_id.numpy()]


def bad_records():
    """One record of each kind that is left out, by its reason."""
    good = {"masks": True}
    return {
        report.NO_IMAGE: record([BOX], encoded=None, **good),
        report.BAD_IMAGE: record([BOX], encoded=b"broken", **good),
        report.UNEQUAL_LENGTHS: record([BOX], xmin=[0.1, 0.2], **good),
        report.NO_CLASSES: record([BOX], label=None, **good),
        report.PIXEL_BOXES: record([(20, 20, 60, 50)], mask=[image_bytes(picture()[..., 0])]),
        report.MASK_COUNT: record([BOX, BOX], mask=[image_bytes(picture()[..., 0])]),
        report.BAD_MASK: record([BOX], mask=[b"broken"]),
        report.MASK_SIZE: record([BOX], mask=[image_bytes(picture(20, 10)[..., 0])]),
        report.WRONG_TYPE: record([BOX], mask=[0.5] * 80),
        report.NOT_AN_EXAMPLE: b"\xff\xff\xff\xff",
    }


@pytest.fixture
def many(tmp_path):
    """30 records with one to three boxes."""
    records = [record([BOX] * (1 + seed % 3), seed=seed, masks=True) for seed in range(30)]
    return [write(tmp_path / "many.record", records)]


def test_a_batch_is_padded_to_its_largest(tmp_path):
    records = [
        record([BOX], size=(8, 10), masks=True, seed=0, area=[5.0]),
        record([BOX, (0, 0, 1, 1), (0, 0, 0.5, 1)], size=(12, 6), masks=True, seed=1),
        record(size=(4, 4), seed=2),
    ]
    path = write(tmp_path / "a.record", records)

    (batch,) = build([path], masks=True, batch_size=3, resizer=image.KeepAspectRatio(8, 16))

    assert isinstance(batch, Batch)
    # 8 x 10 stays; 12 x 6 becomes 16 x 8 (8 / 6 = 16 / 12); 4 x 4 becomes 8 x 8.
    assert batch.images.pixels.shape == (3, 16, 10, 3)
    assert batch.images.true_shape.numpy().tolist() == [[8, 10], [16, 8], [8, 8]]
    np.testing.assert_array_equal(batch.images.pixels[0, :8, :10], picture(8, 10, 0))
    assert not batch.images.pixels[0, 8:].numpy().any()
    assert not batch.images.pixels[1, :, 8:].numpy().any()
    truth = batch.truth
    assert truth.boxes.shape == (3, 4, 4)
    np.testing.assert_allclose(truth.boxes[0, 0], [2, 2, 6, 5])
    np.testing.assert_allclose(truth.boxes[1, :3], [[4, 1.6, 12, 4], [0, 0, 16, 8], [0, 0, 8, 8]])
    assert truth.valid.numpy().sum(axis=1).tolist() == [1, 3, 0]
    assert truth.classes.numpy().tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert truth.weights.numpy().tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert truth.area.numpy()[0].tolist() == [5, 0, 0, 0]
    # The masks keep their own size: at most 3, of at most 12 x 10.
    assert truth.masks.pixels.shape == (3, 3, 12, 10) and truth.masks.pixels.dtype == tf.uint8
    assert truth.masks.shape.numpy().tolist() == [[8, 10], [12, 6], [4, 4]]
    np.testing.assert_array_equal(truth.masks.pixels[0, 0, :8], box_mask(8, 10, (2, 2, 6, 5)))
    assert batch.source_shape.numpy().tolist() == [[8, 10], [12, 6], [4, 4]]
    assert batch.image_id.numpy().tolist() == [b"id-0", b"id-1", b"id-2"]
    assert batch.source_pixels is None


def test_a_batch_of_three_holds_three_batches_of_one(many):
    together = build(many, masks=True, batch_size=3, resizer=image.KeepAspectRatio(12, 20))
    alone = iter(build(many, masks=True, resizer=image.KeepAspectRatio(12, 20)))
    for batch in list(together)[:3]:
        for row in range(3):
            one = next(alone)
            count = int(one.truth.valid.numpy().sum())
            for of_one, of_three in zip(one.truth[:7], batch.truth[:7], strict=True):
                np.testing.assert_array_equal(of_one[0], of_three[row])
            np.testing.assert_array_equal(one.images.pixels[0], batch.images.pixels[row])
            masks = batch.truth.masks.pixels[row]
            np.testing.assert_array_equal(one.truth.masks.pixels[0], masks[:count])
            assert not masks[count:].numpy().any()


def test_shapes_that_are_known_before_the_data(many):
    resizer = image.FixedShape(16, 20)
    fixed = build(many, masks=True, batch_size=2, resizer=resizer).dataset.element_spec
    assert fixed.images.pixels.shape == (2, 16, 20, 3)
    assert fixed.truth.boxes.shape == (2, 4, 4)
    assert fixed.truth.valid.shape == (2, 4)
    assert fixed.truth.masks.pixels.shape.as_list() == [2, None, None, None]
    assert fixed.truth.masks.shape.shape == (2, 2)
    assert fixed.image_id.shape == (2,)
    unpadded = build(many).dataset.element_spec
    assert unpadded.images.pixels.shape.as_list() == [1, None, None, 3]
    assert unpadded.truth.boxes.shape == (1, 4, 4)


def test_one_bad_record_does_not_end_a_run(tmp_path):
    bad = bad_records()
    records = [record([BOX], masks=True, seed=0), *bad.values(), record([BOX], masks=True, seed=1)]
    path = write(tmp_path / "a.record", records)
    found = InputReport()

    batches = list(build([path], masks=True, found=found))

    assert ids(batches) == ["id-0", "id-1"]
    assert found.counts() == dict.fromkeys(bad, 1)
    for index, reason in enumerate(bad, start=1):
        (name,) = found.names(reason)
        assert name.endswith(f"({path}, record {index})"), name
    assert found.names(report.BAD_IMAGE)[0].startswith("id-0 (")
    assert found.examples == 2


def test_a_second_epoch_names_nothing_anew(tmp_path):
    records = [record([BOX], seed=0), record([BOX], encoded=None, seed=1), record([BOX], seed=2)]
    path = write(tmp_path / "a.record", records)
    found = InputReport()
    batches = list(build([path], read=READ._replace(num_epochs=3), found=found))
    assert ids(batches) == ["id-0", "id-2"] * 3
    assert found.counts() == {report.NO_IMAGE: 1}
    assert found.examples == 6


@pytest.mark.parametrize("reason", [report.BAD_IMAGE, report.NOT_AN_EXAMPLE])
def test_a_strict_run_ends_at_a_bad_record(tmp_path, reason):
    path = write(tmp_path / "a.record", [record([BOX], masks=True), bad_records()[reason]])
    found = InputReport(strict=True, name="train")
    batches = iter(build([path], masks=True, found=found))
    next(batches)
    with pytest.raises(RecordError) as caught:
        next(batches)
    assert str(caught.value).startswith(f"train: {reason}: ")
    assert f"({path}, record 1)" in str(caught.value)
    assert found.fault == str(caught.value)


@pytest.mark.parametrize(("num_epochs", "count"), [(0, 1), (0, 5), (1, 5)])
def test_a_data_set_of_bad_records_ends_instead_of_turning_for_ever(tmp_path, num_epochs, count):
    records = [record([BOX], encoded=b"broken", seed=seed) for seed in range(count)]
    path = write(tmp_path / "a.record", records)
    found = InputReport(name="train")
    with pytest.raises(RecordError) as caught:
        list(build([path], read=READ._replace(num_epochs=num_epochs), found=found).dataset)
    said = str(caught.value)
    assert "train: no record can be used:" in said
    assert f"{count} x image that cannot be decoded: id-0 (" in said


def test_an_empty_data_set_is_an_error(tmp_path):
    path = write(tmp_path / "a.record", [])
    with pytest.raises(RecordError, match=r"no record in 1 file\(s\)"):
        list(build([path], training=False))


def test_objects_that_are_dropped_are_counted_and_named(tmp_path, caplog):
    nan = float("nan")
    records = [
        record([BOX, (nan, 0, 1, 1), (0.5, 0.5, 0.5, 0.9)], seed=0),
        record([BOX, BOX, BOX], text=["cow", "cat", "emu"], seed=1),
        record([BOX, (0, 0, 1.5, 1)], label=[7, 1], seed=2),
        record([BOX] * 6, seed=3),
        record([BOX], xmin=[0], ymin=[0], label=[1.0], seed=4),
    ]
    path = write(tmp_path / "a.record", records)
    found = InputReport()

    batches = list(build([path], found=found))

    assert [int(batch.truth.valid.numpy().sum()) for batch in batches] == [1, 1, 1, 4, 1]
    assert found.counts() == {
        report.BOX_NOT_FINITE: 1,
        report.BOX_WITHOUT_AREA: 1,
        report.UNKNOWN_CLASS_TEXT: 2,
        report.CLASS_OUT_OF_RANGE: 1,
        report.BOX_CLIPPED: 1,
        report.TOO_MANY_BOXES: 2,
        report.REPAIRED: 1,
    }
    assert found.names(report.UNKNOWN_CLASS_TEXT) == [f"id-1 ({path}, record 1)"]
    assert any(message.endswith(": cow, emu") for message in caplog.messages)


def test_dropped_objects_end_a_strict_run(tmp_path):
    path = write(tmp_path / "a.record", [record([BOX], text=["cow"])])
    with pytest.raises(RecordError, match="missing in the label map.*id-0.*: cow"):
        list(build([path], found=InputReport(strict=True)))


def test_evaluation_keeps_all_boxes_and_the_last_images(many, tmp_path):
    found = InputReport()
    batches = list(
        build(many, masks=True, batch_size=4, max_boxes=2, training=False, drop_remainder=False)
    )
    assert [len(batch.image_id) for batch in batches] == [4] * 7 + [2]
    assert ids(batches) == [f"id-{seed}" for seed in range(30)]
    # Records have 1, 2, 3, 1, ... boxes: padded to 2 or to the batch's largest.
    assert batches[0].truth.valid.numpy().sum(axis=1).tolist() == [1, 2, 3, 1]
    assert batches[0].truth.boxes.shape == (4, 3, 4)
    path = write(tmp_path / "one.record", [record([BOX])])
    (one,) = build([path], max_boxes=2, training=False, found=found)
    assert one.truth.boxes.shape == (1, 2, 4)
    assert found.counts() == {}


def test_evaluation_brings_masks_to_the_size_of_the_stored_image(tmp_path):
    small = image_bytes(np.eye(4, 5, dtype=np.uint8))
    path = write(tmp_path / "a.record", [record([BOX], mask=[small])])
    (batch,) = build([path], masks=True, training=False, resizer=image.FixedShape(30, 30))
    assert batch.truth.masks.shape.numpy().tolist() == [[8, 10]]
    wanted = np.repeat(np.repeat(np.eye(4, 5), 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(batch.truth.masks.pixels[0, 0], wanted)
    (batch,) = build([path], masks=True, training=True)
    assert batch.truth.masks.pixels.shape == (1, 1, 4, 5)  # in training they stay small


def test_boxes_are_pixels_of_the_image_without_its_padding(tmp_path):
    path = write(tmp_path / "a.record", [record([BOX])])
    (batch,) = build([path], resizer=image.PadToMultiple(16))
    assert batch.images.pixels.shape == (1, 16, 16, 3)
    np.testing.assert_allclose(batch.truth.boxes[0, 0], [2, 2, 6, 5])


def test_stored_images_on_request(tmp_path):
    records = [record([BOX], seed=0), record([BOX], size=(12, 6), seed=1)]
    path = write(tmp_path / "a.record", records)
    (batch,) = build([path], batch_size=2, keep_source_pixels=True, resizer=image.FixedShape(4, 4))
    assert batch.source_pixels.shape == (2, 12, 10, 3) and batch.source_pixels.dtype == tf.uint8
    np.testing.assert_array_equal(batch.source_pixels[0, :8], picture(8, 10, 0))
    np.testing.assert_array_equal(batch.source_pixels[1, :, :6], picture(12, 6, 1))


def test_ids_are_unique_in_evaluation(tmp_path):
    same = [record([BOX], source_id=name) for name in ("a", "b", "a", "a", "a#2")]
    nameless = [record([BOX], source_id=None)]
    path = write(tmp_path / "x.record", same + nameless)
    found = InputReport()
    evaluation = build([path], training=False, batch_size=2, drop_remainder=False, found=found)
    wanted = ["a", "b", "a#2", "a#3", "a#2#2", "x.record, record 5"]
    assert ids(evaluation) == wanted
    assert ids(evaluation) == wanted  # each pass starts anew
    assert found.counts() == {report.DUPLICATE_ID: 3}
    assert ids(build([path], batch_size=1))[:4] == ["a", "b", "a", "a"]


SHUFFLED = READ._replace(shuffle=True, num_epochs=0, seed=5)
FLIPS = (geometry.RandomHorizontalFlip(0.5), geometry.RandomRotation90(0.5))


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, other)


def test_an_interrupted_run_continues_with_the_same_batches(many):
    options = {"read": SHUFFLED, "masks": True, "batch_size": 4, "augmentations": FLIPS}
    whole = list(build(many, **options).dataset.take(20))

    rest = build(many, **options, skip_batches=12).dataset.take(8)

    assert_same(whole[12:], rest)
    assert_same(whole, build(many, **options).dataset.take(20))
    flipped = [tuple(batch.truth.boxes.numpy()[0, 0]) for batch in whole]
    assert len(set(flipped)) == 4  # each of the two steps is taken or not


def test_bad_records_are_skipped_when_a_run_continues(tmp_path):
    records = [record([BOX], seed=seed) for seed in range(10)]
    records[3] = records[7] = record([BOX], encoded=b"broken")
    path = write(tmp_path / "a.record", records)
    options = {"read": SHUFFLED, "batch_size": 2, "augmentations": FLIPS}
    found = InputReport()
    whole = list(build([path], **options, found=found).dataset.take(20))
    known_bad = pipeline.bad_records(found)
    assert sorted(known_bad) == [f"{path}, record 3", f"{path}, record 7"]

    rest = build([path], **options, skip_batches=11, known_bad=known_bad).dataset.take(9)

    assert_same(whole[11:], rest)


def test_workers_have_their_own_records_and_flips(many):
    read = SHUFFLED._replace(num_epochs=1, num_shards=2)
    shares = [
        ids(build(many, read=read._replace(shard_index=shard), augmentations=FLIPS))
        for shard in range(2)
    ]
    assert sorted(shares[0] + shares[1]) == sorted(f"id-{seed}" for seed in range(30))


def test_image_box_and_mask_are_flipped_together(tmp_path):
    white = picture()
    white[2:6, 2:5] = 255
    path = write(tmp_path / "a.record", [record([BOX], masks=True, encoded=image_bytes(white))])
    seen = set()
    dataset = build([path], read=SHUFFLED, masks=True, augmentations=FLIPS).dataset
    for batch in dataset.take(24):
        ymin, xmin, ymax, xmax = np.round(batch.truth.boxes.numpy()[0, 0]).astype(int)
        inside = batch.images.pixels.numpy()[0, ymin:ymax, xmin:xmax]
        assert inside.shape[0] * inside.shape[1] == 12 and (inside == 255).all()
        mask = batch.truth.masks.pixels.numpy()[0, 0]
        np.testing.assert_array_equal(mask, box_mask(*mask.shape, (ymin, xmin, ymax, xmax)))
        seen.add((ymin, xmin, ymax, xmax))
    assert len(seen) == 4


def test_counting_the_examples_of_a_worker(many):
    assert build(many).count_examples() == 30
    read = READ._replace(num_shards=2, sample_1_of_n=4)
    assert build(many, read=read).count_examples() == 4


def test_a_partial_batch_is_dropped_in_training(many):
    assert [len(batch.image_id) for batch in build(many, batch_size=8)] == [8, 8, 8]


@pytest.mark.parametrize("training", [True, False])
def test_an_image_without_masks_comes_with_its_boxes(tmp_path, training):
    records = [record([BOX, BOX], masks=True, seed=0), record([BOX, BOX], seed=1)]
    path = write(tmp_path / "a.record", records)
    found = InputReport(strict=True)

    batches = list(build([path], training=training, masks=True, found=found))

    known = [batch.truth.masks.present.numpy().tolist() for batch in batches]
    assert known == [[[True, True]], [[False, False]]]
    assert [int(batch.truth.valid.numpy().sum()) for batch in batches] == [2, 2]
    assert found.counts() == {report.NO_MASK: 2}
    assert found.names(report.NO_MASK) == [f"id-1 ({path}, record 1)"]
