import functools

import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask, example, image_bytes, picture, record

from object_detection.data import report
from object_detection.data.decoder import BadRecord, Decoder, DecoderOptions

BOX = (0.25, 0.1, 0.75, 0.5)
IDS = {"cat": 1, "dog": 2, "Hund": 2}


def decoder(*, label_map=True, **options):
    """A decoder and the same in a graph."""
    return _decoder(label_map, tuple(options.items()))


@functools.cache
def _decoder(label_map, options):
    class_ids = IDS if label_map else {}
    eager = Decoder(DecoderOptions(num_classes=3, class_ids=class_ids, **dict(options)))
    return eager, tf.function(eager)


def decode(serialized, **options):
    """Decodes eagerly and in a graph, which must agree."""
    eager, graph = (one(tf.constant(serialized)) for one in decoder(**options))
    tf.nest.map_structure(np.testing.assert_array_equal, eager, graph)
    return eager


def counts_of(decoded):
    """{reason: count} without the zeros."""
    found = zip(report.OBJECT_REASONS, decoded.counts.numpy().tolist(), strict=True)
    return {reason: count for reason, count in found if count}


def fault_of(serialized, **options):
    """The reason and detail with which a record is refused, eagerly; a graph refuses it too."""
    eager, graph = decoder(**options)
    with pytest.raises(BadRecord) as caught:
        eager(serialized)
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph(tf.constant(serialized))
    return caught.value.reason, caught.value.detail


def test_everything_a_detector_needs():
    serialized = record(
        [BOX, (0, 0, 1, 1)],
        text=["dog", "cat"],
        label=[1, 1],
        area=[12.5, 80],
        crowd=[0, 1],
        difficult=[1, 0],
        weight=[0.5, 2.0],
        masks=True,
        seed=3,
    )

    decoded = decode(serialized, load_masks=True)

    got = decoded.example
    assert got.id == b"id-3"
    np.testing.assert_array_equal(got.image, picture(seed=3))
    np.testing.assert_array_equal(got.boxes_normalized, np.float32([BOX, (0, 0, 1, 1)]))
    assert got.classes.numpy().tolist() == [2, 1]  # the text goes before the label
    assert got.weights.numpy().tolist() == [0.5, 2.0]
    assert got.crowd.numpy().tolist() == [False, True]
    assert got.difficult.numpy().tolist() == [True, False]
    assert got.area.numpy().tolist() == [12.5, 80]
    # 0.25..0.75 of 8 rows, 0.1..0.5 of 10 columns
    np.testing.assert_array_equal(got.masks.pixels[0], box_mask(8, 10, (2, 1, 6, 5)))
    assert got.masks.pixels.dtype == tf.uint8 and got.masks.pixels[1].numpy().all()
    assert counts_of(decoded) == {}


def test_what_a_record_leaves_out_gets_tfods_defaults():
    got = decode(record([BOX])).example
    assert got.weights.numpy().tolist() == [1.0]
    assert got.crowd.numpy().tolist() == [False]
    assert got.difficult.numpy().tolist() == [False]
    assert got.area.numpy().tolist() == [0.0]
    assert got.masks is None and got.labels is None


@pytest.mark.parametrize(
    ("changes", "classes"),
    [
        ({"label": [2, 3]}, [2, 3]),
        ({"label": None, "text": ["cat", "dog"]}, [1, 2]),
        ({"label": None, "text": ["Hund", "cat"]}, [2, 1]),  # a display name
        ({"label": [3, 1], "text": ["", "dog"]}, [3, 2]),  # an empty text is no text
        ({"label": [3, 1], "text": []}, [3, 1]),
    ],
)
def test_classes_come_from_text_or_label(changes, classes):
    assert decode(record([BOX, BOX], **changes)).example.classes.numpy().tolist() == classes


def test_labels_alone_count_without_a_label_map():
    serialized = record([BOX, BOX], label=[2, 3], text=["unheard", "of"])
    assert decode(serialized, label_map=False).example.classes.numpy().tolist() == [2, 3]


def test_an_unknown_text_drops_its_object_whatever_the_label():
    serialized = record(
        [BOX, (0, 0, 0.5, 0.5), BOX, (0.5, 0.5, 1, 1)],
        label=[1, 1, 1, 1],
        text=["cow", "cat", "emu", "dog"],
        masks=True,
        weight=[1.0, 2.0, 3.0, 4.0],
    )

    decoded = decode(serialized, load_masks=True)

    assert counts_of(decoded) == {report.UNKNOWN_CLASS_TEXT: 2}
    assert decoded.unknown_texts == b"cow, emu"
    got = decoded.example
    assert got.classes.numpy().tolist() == [1, 2]
    assert got.weights.numpy().tolist() == [2.0, 4.0]
    # The masks stay with their boxes: quarters of 8 x 10.
    np.testing.assert_array_equal(got.masks.pixels[0], box_mask(8, 10, (0, 0, 4, 5)))
    np.testing.assert_array_equal(got.masks.pixels[1], box_mask(8, 10, (4, 5, 8, 10)))


@pytest.mark.parametrize("label", [0, -1, 4, 2**40, -(2**40)])
def test_ids_outside_the_classes_drop_their_object(label):
    decoded = decode(record([BOX, BOX], label=[label, 3]))
    reason = report.CLASS_OUT_OF_RANGE if label else report.CLASS_ZERO
    assert counts_of(decoded) == {reason: 1}
    assert decoded.example.classes.numpy().tolist() == [3]


def test_an_object_with_empty_text_and_no_id_is_dropped():
    decoded = decode(record([BOX, BOX], label=[], text=["", "cat"]))
    assert counts_of(decoded) == {report.CLASS_OUT_OF_RANGE: 1}


def test_an_image_without_objects():
    decoded = decode(record(size=(4, 6)), load_masks=True)
    got = decoded.example
    assert got.boxes_normalized.shape == (0, 4)
    assert got.masks.pixels.shape == (0, 4, 6)
    assert got.classes.shape == (0,)
    assert counts_of(decoded) == {}


def test_boxes_that_cannot_be_used():
    nan, inf = float("nan"), float("inf")
    boxes = [
        (nan, 0.1, 0.5, 0.5),
        (0.1, 0.1, inf, 0.5),
        (0.5, 0.1, 0.5, 0.5),  # no height
        (0.6, 0.1, 0.5, 0.5),  # the wrong way round
        (1.2, 0.1, 1.5, 0.5),  # wholly outside
        (-0.5, 0.1, 0.5, 1.25),  # half outside: clipped
        (0.0, 0.0, 1.00001, 1.0),  # rounding: clipped without a word
    ]

    decoded = decode(record(boxes))

    assert counts_of(decoded) == {
        report.BOX_NOT_FINITE: 2,
        report.BOX_WITHOUT_AREA: 2,
        report.BOX_SWAPPED: 1,
        report.BOX_CLIPPED: 1,
    }
    wanted = np.float32([(0, 0.1, 0.5, 1), (0, 0, 1, 1)])
    np.testing.assert_array_equal(decoded.example.boxes_normalized, wanted)


def test_more_boxes_than_asked_for_are_cut_and_counted():
    boxes = [(0, 0, 0.1 * n, 0.1 * n) for n in range(1, 6)]
    decoded = decode(record(boxes, masks=True), load_masks=True, max_boxes=3)
    assert counts_of(decoded) == {report.TOO_MANY_BOXES: 2}
    np.testing.assert_array_equal(decoded.example.boxes_normalized, np.float32(boxes[:3]))
    assert decoded.example.masks.pixels.shape[0] == 3
    # An object that is dropped anyway takes no place.
    boxes[0] = (0, 0, 0, 0)
    decoded = decode(record(boxes), max_boxes=3)
    assert counts_of(decoded) == {report.BOX_WITHOUT_AREA: 1, report.TOO_MANY_BOXES: 1}


def test_lists_of_another_length_are_ignored_and_counted():
    serialized = record([BOX, BOX], area=[1.0], crowd=[1, 1, 1], text=["cat"], weight=[0.5, 0.5])
    decoded = decode(serialized)
    assert counts_of(decoded) == {report.LIST_IGNORED: 3}
    got = decoded.example
    assert got.area.numpy().tolist() == [0, 0]
    assert got.crowd.numpy().tolist() == [False, False]
    assert got.classes.numpy().tolist() == [1, 1]
    assert got.weights.numpy().tolist() == [0.5, 0.5]


def test_the_id_falls_back_to_the_filename():
    assert decode(record(source_id=None, filename="a.png")).example.id == b"a.png"
    assert decode(record(source_id="", filename="a.png")).example.id == b"a.png"
    assert decode(record(source_id=None)).example.id == b""


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_kind_become_rgb(kind, channels):
    gray = np.arange(0, 240, 3, np.uint8).reshape(8, 10)
    stored = gray if channels == 1 else np.stack([gray] * 3, axis=-1)
    got = decode(record(encoded=image_bytes(stored, kind))).example.image
    np.testing.assert_array_equal(got, np.stack([gray] * 3, axis=-1))


def test_jpeg_gray_and_raw_images():
    rgb = np.full((8, 10, 3), (200, 100, 50), np.uint8)
    got = decode(record(encoded=image_bytes(rgb, "JPEG"), format="jpeg")).example.image
    assert np.abs(got.numpy().astype(int) - rgb).max() <= 3
    got = decode(record(encoded=rgb.tobytes(), format="raw")).example.image
    np.testing.assert_array_equal(got, rgb)


def test_alpha_is_left_out():
    rgba = np.dstack([picture(), np.full((8, 10), 7, np.uint8)])
    np.testing.assert_array_equal(
        decode(record(encoded=image_bytes(rgba))).example.image, picture()
    )


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"encoded": None}, report.NO_IMAGE, "missing or empty"),
        ({"encoded": b""}, report.NO_IMAGE, "missing or empty"),
        ({"label": [1]}, report.UNEQUAL_LENGTHS, "2 boxes, 1 class labels, 0 class texts"),
        ({"ymin": [0.1]}, report.UNEQUAL_LENGTHS, "1 ymin, 2 xmin, 2 ymax and 2 xmax"),
        ({"label": None}, report.NO_CLASSES, "2 boxes, but neither"),
        ({"xmax": [317.0, 0.2]}, report.PIXEL_BOXES, "reach 317; divide y by the image's height"),
        ({"ymin": [-5.0, 0.2]}, report.PIXEL_BOXES, "reach 5"),
    ],
)
def test_records_that_cannot_be_used(changes, reason, detail):
    found, said = fault_of(record([BOX, BOX], **changes))
    assert found == reason
    assert detail in said


def test_texts_without_a_label_map_say_so():
    found, said = fault_of(record([BOX], label=None, text=["cat"]), label_map=False)
    assert found == report.NO_CLASSES
    assert "class texts (1) need a label_map_path" in said


def test_image_labels():
    labels = {"neg_category_ids": [3], "not_exhaustive_category_ids": [4, 5]}
    texts = record([BOX], **labels, **{"class/text": ["dog", "night"], "class/label": [7, 8]})
    got = decode(texts, load_image_labels=True).example.labels
    # A text that the label map lacks is unknown.
    assert [ids.numpy().tolist() for ids in got] == [[2, -1], [3], [4, 5]]
    ids = record([BOX], **labels, **{"class/label": [7, 8]})
    assert decode(ids, load_image_labels=True).example.labels.verified.numpy().tolist() == [7, 8]


def test_a_record_of_an_image_alone():
    got = decode(example({"image/encoded": image_bytes(picture())})).example
    assert got.image.shape == (8, 10, 3)
    assert got.boxes_normalized.shape == (0, 4)
