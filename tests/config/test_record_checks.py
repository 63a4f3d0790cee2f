"""The first records are held against the config that is to read them."""

import struct

import pytest
import tensorflow as tf
from findings_of import config_with, only_fault, only_warning, sentences

from object_detection.config import record_checks

IDS = {"cat": 1, "dog": 2}


def example(*, texts=("cat",), labels=(), boxes=((0.1, 0.2, 0.5, 0.6),), masks=(b"png",), **more):
    """A serialized tf.train.Example with objects of these texts; `more` replaces features."""

    def of_bytes(values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    features = {
        "image/encoded": of_bytes([b"jpeg"]),
        "image/filename": of_bytes([b"a.jpg"]),
        "image/object/class/text": of_bytes([text.encode() for text in texts]),
        "image/object/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=labels)),
    }
    for index, side in enumerate(("ymin", "xmin", "ymax", "xmax")):
        values = tf.train.FloatList(value=[box[index] for box in boxes])
        features[f"image/object/bbox/{side}"] = tf.train.Feature(float_list=values)
    if masks and isinstance(masks[0], float):
        features["image/object/mask"] = tf.train.Feature(float_list=tf.train.FloatList(value=masks))
    elif masks and isinstance(masks[0], int):
        features["image/object/mask"] = tf.train.Feature(int64_list=tf.train.Int64List(value=masks))
    elif masks:
        features["image/object/mask"] = of_bytes(masks)
    features.update({key: of_bytes(value) for key, value in more.items()})
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture
def check(tmp_path):
    def check_records(*records, changes=(), num_classes=2, class_ids=IDS):
        path = str(tmp_path / "some.record")
        with tf.io.TFRecordWriter(path) as writer:
            for record in records:
                writer.write(record)
        return look_at([path], changes=changes, num_classes=num_classes, class_ids=class_ids)

    return check_records


def look_at(paths, *, changes=(), num_classes=2, class_ids=IDS):
    reader = config_with(*changes).train_input_reader
    return record_checks.check(
        reader, "train_input_reader", paths, num_classes=num_classes, class_ids=class_ids
    )


def test_sound_records_pass(check):
    empty = example(texts=(), boxes=(), masks=())

    assert sentences(check(example(), example(texts=("dog", "")), empty)) == ([], [])


def test_masks_that_are_asked_for_and_absent_are_reported(check):
    said = only_fault(check(example(masks=()), example(masks=())))

    assert (
        "train_input_reader.load_instance_masks is true, but image/object/mask is empty in all of "
        "the first 2 records with objects (a.jpg, a.jpg). Write the records again with "
        "--include_masks" in said
    )


def test_masks_that_some_records_lack_are_a_warning(check):
    said = only_warning(check(example(), example(masks=())))

    assert "1 of the first 2 records with objects have no mask (a.jpg)" in said


def test_records_without_objects_need_no_masks(check):
    assert sentences(check(example(texts=(), boxes=(), masks=()), example())) == ([], [])


@pytest.mark.parametrize(
    ("masks", "mask_type", "said"),
    [
        ((b"png",), "NUMERICAL_MASKS", "hold masks as PNG images. Set mask_type: PNG_MASKS"),
        ((b"png",), "DEFAULT", "mask_type is DEFAULT, but the records hold masks as PNG images"),
        ((0.0, 1.0), "PNG_MASKS", "hold masks as lists of numbers. Set mask_type: NUMERICAL_MASKS"),
    ],
)
def test_the_kind_of_the_masks_must_fit(check, masks, mask_type, said):
    changes = (f"train_input_reader.mask_type={mask_type}",)

    assert said in only_fault(check(example(masks=masks), changes=changes))


def test_an_unset_kind_is_reported_to_be_the_default(check):
    found = check(example(), changes=("-train_input_reader.mask_type",))

    assert "mask_type is NUMERICAL_MASKS (its default), but" in only_fault(found)


def test_masks_that_nobody_asks_for_may_be_of_any_kind(check):
    changes = (
        "train_input_reader.load_instance_masks=false",
        "train_input_reader.mask_type=DEFAULT",
    )
    assert sentences(check(example(), changes=changes)) == ([], [])


def test_class_texts_that_the_map_lacks_are_reported_with_their_numbers(check):
    said = only_fault(check(example(texts=("cat", "Dog")), example(texts=("Dog", "cow"))))

    assert 'holds objects of classes that map.pbtxt lacks: "Dog" (2), "cow" (1)' in said
    assert 'Close to these in the map: "dog"' in said


def test_without_a_usable_map_texts_are_not_judged(check):
    assert sentences(check(example(texts=("cow",)), class_ids=None)) == ([], [])


def test_class_numbers_above_num_classes_are_reported_where_no_text_counts(check):
    said = only_fault(check(example(texts=("",), labels=(7,))))

    assert "class number(s) 7, above num_classes, which is 2" in said
    assert sentences(check(example(labels=(7,)))) == ([], [])  # the text decides


def test_boxes_in_pixels_are_reported(check):
    said = only_fault(check(example(boxes=((10.0, 20.0, 30.0, 40.0),))))

    assert "boxes in pixels, it seems: a.jpg has a coordinate of 40" in said


def test_records_without_images_are_reported(check):
    said = only_fault(check(example(**{"image/encoded": [b""]})))

    assert (
        "holds records without an image: image/encoded is missing or empty in the first 1" in said
    )


def test_records_of_another_program_are_reported(check):
    said = only_fault(check(b"\xff\xff\xff", b"{}"))

    assert "holds records that are no tf.train.Example" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "1 file(s) without any record"), (b"not a record file at all", "not a TFRecord file")],
)
def test_a_file_that_holds_no_record_is_reported(tmp_path, content, said):
    (tmp_path / "a.record").write_bytes(content)

    assert said in only_fault(look_at([str(tmp_path / "a.record")]))


def test_a_truncated_file_is_reported_and_its_records_are_looked_at(check, tmp_path):
    check(example(), example())
    path = tmp_path / "some.record"
    path.write_bytes(path.read_bytes()[:-10])

    assert "(1 records are intact)" in only_warning(look_at([str(path)]))


def test_an_empty_shard_among_others_passes(check, tmp_path):
    check(example())
    (tmp_path / "empty.record").write_bytes(b"")

    paths = [str(tmp_path / "empty.record"), str(tmp_path / "some.record")]
    assert sentences(look_at(paths)) == ([], [])


@pytest.mark.parametrize(
    ("more", "mask_type"),
    [
        ({"masks": (0, 1)}, "NUMERICAL_MASKS"),  # dense masks written as whole numbers
        ({"masks": (), "image/object/mask/box_png": [b"png"]}, "PNG_MASKS"),
    ],
)
def test_masks_of_every_form_that_is_decoded_are_seen(check, more, mask_type):
    changes = (f"train_input_reader.mask_type={mask_type}",)

    assert sentences(check(example(**more), example(**more), changes=changes)) == ([], [])


def test_class_numbers_from_0_are_reported(check):
    records = [example(texts=(), labels=(label,)) for label in (0, 1)]

    said = only_fault(check(*records))

    assert "holds 1 object(s) with the class number 0 (a.jpg), and the numbers 0 to 1" in said
    assert "all classes are shifted by one. Write the records again with 1 added to each" in said
    assert sentences(check(*records, class_ids={"background": 0, **IDS})) == ([], [])
    with_texts = [example(texts=("cat",), labels=(0,))]
    assert sentences(check(*with_texts)) == ([], [])


@pytest.mark.parametrize(
    ("box", "said"),
    [((0.1, 0.6, 0.5, 0.2), "xmin above xmax"), ((0.5, 0.2, 0.1, 0.6), "ymin above ymax")],
)
def test_swapped_corners_are_reported(check, box, said):
    found = only_fault(check(example(boxes=(box,)), example(boxes=(box,)), example()))

    assert f"holds boxes with {said}: 2 of the 3 in the first 3 records" in found
    assert "Write the records again with the two exchanged" in found
    assert sentences(check(example(boxes=(box,)), *[example()] * 2)) == ([], [])  # an accident


def test_boxes_in_pixels_as_whole_numbers_are_reported(check):
    message = tf.train.Example.FromString(example())
    for side, value in (("ymin", 3), ("xmin", 4), ("ymax", 70), ("xmax", 50)):
        feature = message.features.feature[f"image/object/bbox/{side}"]
        feature.int64_list.value.append(value)

    said = only_fault(check(message.SerializeToString()))

    assert "holds boxes in pixels, it seems: a.jpg has a coordinate of 70" in said


def test_records_without_one_usable_box_are_reported(check):
    nan, inf = float("nan"), float("inf")
    boxes = ((nan, 0.1, 0.5, 0.5), (0.1, 0.1, inf, 0.5), (0.3, 0.1, 0.3, 0.5), (1.1, 0, 1.5, 1))
    useless = example(texts=["cat"] * 4, boxes=boxes, masks=[b"png"] * 4)
    empty = example(texts=(), boxes=(), masks=())

    said = only_fault(check(useless, useless))
    assert "all 2 records have 8 boxes, none of them usable" in said
    assert "all 25 records have no box" in only_fault(check(*[empty] * 25))
    # One behind those that are looked at first is enough.
    assert sentences(check(*[empty] * 25, example())) == ([], [])


def test_a_record_that_claims_terabytes_is_not_believed(tmp_path):
    path = tmp_path / "some.record"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example())
    path.write_bytes(path.read_bytes() + giant_header() + b"x" * 100)

    said = only_warning(look_at([str(path)]))

    assert "a record of 4611686018427387904 bytes goes beyond the end" in said
    assert "(1 records are intact)" in said


def giant_header():
    """The header of a record of 2^62 bytes, with the right checksum."""
    return struct.pack("<Q", 2**62) + bytes.fromhex("7f85f000")
