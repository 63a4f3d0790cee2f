"""Records as they are stored: what is found in good ones and in bad ones."""

import numpy as np
import pytest
from made_records import box_mask, example, image_bytes, picture, record, write

from object_detection.data import report
from object_detection.reports import data_browser, findings, raw_records
from object_detection.reports.scanning import RecordScanner, with_duplicates

BOX = (0.25, 0.2, 0.75, 0.6)
CLASSES = data_browser.Classes({"cat": 1, "dog": 2}, {1: "cat", 2: "dog"}, "here", True)


def looked(path, classes=CLASSES, num_classes=2, **options):
    view = RecordScanner([path], classes, num_classes)
    return view, with_duplicates(list(view.scan(**options)))


def facts_of(tmp_path, *records, **options):
    return looked(write(tmp_path / "some.record", records), **options)[1]


def test_a_good_record(tmp_path):
    facts = facts_of(tmp_path, record([BOX], size=(80, 100), masks=True, label=[2], crowd=[1]))[0]

    assert (facts.id, facts.size, facts.place) == ("id-0", (80, 100), "some.record, record 0")
    np.testing.assert_allclose(facts.objects.boxes, [[20, 20, 60, 60]], rtol=1e-6)
    assert (facts.objects.classes.tolist(), facts.objects.crowd.tolist()) == ([2], [True])
    assert facts.mask_area.tolist() == [1600]
    assert facts.reasons == (findings.CROWDS,)


def test_the_pipeline_s_own_reasons_are_found(tmp_path):
    records = [
        record([BOX], label=[7]),
        record([BOX], text=["cow"], label=None),
        record([(0.5, 0.5, 0.5, 0.7), BOX], seed=1),
        record([(0.5, 0.5, 1.2, 0.7)], seed=2),
        b"nothing of the kind",
        record([BOX], encoded=b"no image"),
        record([(10.0, 10.0, 50.0, 60.0)]),
    ]

    facts = facts_of(tmp_path, *records)

    assert report.CLASS_OUT_OF_RANGE in facts[0].reasons
    assert report.UNKNOWN_CLASS_TEXT in facts[1].reasons
    assert [f.detail for f in facts[1].findings if f.reason == report.UNKNOWN_CLASS_TEXT] == ["cow"]
    assert report.BOX_WITHOUT_AREA in facts[2].reasons and len(facts[2].objects.boxes) == 1
    assert report.BOX_CLIPPED in facts[3].reasons
    assert (facts[4].reasons, facts[4].size) == ((report.NOT_AN_EXAMPLE,), None)
    assert facts[4].id == facts[4].place
    assert facts[5].reasons == (report.BAD_IMAGE, findings.SAME_ID)
    assert report.PIXEL_BOXES in facts[6].reasons and facts[6].size is None


def test_masks_that_cannot_be_used_still_let_image_and_boxes_be_seen(tmp_path):
    two_boxes_one_mask = record([BOX, BOX], size=(80, 100), seed=1, mask=[_mask()])
    other_shape = record([BOX], size=(80, 100), seed=2, mask=[image_bytes(box_mask(9, 9, BOXED))])

    facts = facts_of(tmp_path, two_boxes_one_mask, other_shape)

    assert [each.reasons[0] for each in facts] == [report.MASK_COUNT, report.MASK_SIZE]
    assert [len(each.objects.boxes) for each in facts] == [2, 1]


BOXED = (2, 2, 6, 6)


def _mask():
    return image_bytes(box_mask(80, 100, (20, 20, 60, 60)))


def test_objects_without_masks_are_reported_where_others_have_some(tmp_path):
    facts = facts_of(tmp_path, record([BOX], masks=True), record([BOX], seed=1), record(seed=2))

    assert [findings.NO_MASKS in each.reasons for each in facts] == [False, True, False]
    alone = facts_of(tmp_path, record([BOX], seed=1))
    assert findings.NO_MASKS not in alone[0].reasons


def test_masks_as_numbers(tmp_path):
    values = box_mask(8, 10, (2, 2, 6, 6)).astype(float).ravel().tolist()

    facts = facts_of(tmp_path, record([BOX], mask=values))

    assert facts[0].mask_area.tolist() == [16]


def test_masks_that_are_stored_cut(tmp_path):
    cut = example(
        {
            **FEATURES,
            "image/encoded": image_bytes(picture(80, 100)),
            "image/object/mask/box_png": [image_bytes(np.ones((40, 40), np.uint8))],
            "image/object/mask/box_top": [20],
            "image/object/mask/box_left": [20],
        }
    )

    facts = facts_of(tmp_path, cut)

    assert facts[0].mask_area.tolist() == [1600]
    assert facts[0].reasons == ()


FEATURES = {
    "image/source_id": "id",
    "image/object/class/label": [1],
    **{
        f"image/object/bbox/{side}": [float(value)]
        for side, value in zip(("ymin", "xmin", "ymax", "xmax"), BOX, strict=True)
    },
}


def test_what_a_record_states_against_what_is_so(tmp_path):
    facts = facts_of(
        tmp_path,
        record([BOX], height=80, width=10),
        record([BOX, BOX], seed=1, text=["cat", "dog"], label=[1, 3]),
    )

    details = {f.reason: f.detail for each in facts for f in each.findings}
    assert details[findings.OTHER_SIZE] == "80 x 10 is stated, the image is 8 x 10"
    assert details[findings.OTHER_LABEL] == "dog is 3, not 2"


def test_twin_records(tmp_path):
    same_pixels = image_bytes(picture(8, 10, seed=0))
    facts = facts_of(
        tmp_path, record([BOX]), record([BOX]), record([BOX], seed=3, encoded=same_pixels)
    )

    assert findings.SAME_ID in facts[0].reasons
    assert findings.SAME_ID not in facts[2].reasons
    assert all(findings.SAME_IMAGE in each.reasons for each in facts)


def test_broken_files_are_reported(tmp_path):
    path = write(tmp_path / "some.record", [record([BOX], seed=k) for k in range(3)])
    with open(path, "r+b") as file:
        file.truncate(file.seek(0, 2) - 9)

    view, facts = looked(path)

    assert len(facts) == 2
    assert list(view.file_report.counts()) == [report.BROKEN_FILE]


def test_some_of_the_records(tmp_path):
    facts = facts_of(tmp_path, *(record([BOX], seed=k) for k in range(7)), keep_every=3)

    assert [each.id for each in facts] == ["id-0", "id-3", "id-6"]


def test_chosen_records_are_decoded_again(tmp_path):
    path = write(tmp_path / "some.record", [record([BOX], seed=k) for k in range(4)] + [b"x"])
    view, _ = looked(path)

    again = list(view.examples({(path, 2), (path, 4)}))

    assert [index for _, index, _ in again] == [2, 4]
    np.testing.assert_array_equal(again[0][2].image, picture(8, 10, seed=2))
    assert again[1][2] is None


@pytest.mark.parametrize(
    ("records", "names", "ids"),
    [
        ([record([BOX], label=[5], text=["cow"])], {5: "cow"}, {}),
        ([record([BOX], label=[5])], {5: "class 5"}, {}),
        (
            [record([BOX], label=None, text=["dog"]), record([BOX], label=None, text=["cat"])],
            {1: "cat", 2: "dog"},
            {"cat": 1, "dog": 2},
        ),
        ([record()], {}, {}),
    ],
)
def test_classes_without_a_label_map(records, names, ids, tmp_path):
    raw = [raw_records.parse(each, "a", number) for number, each in enumerate(records)]

    classes = data_browser.classes_of_records(raw)

    assert (classes.names, classes.ids) == (names, ids)
    assert classes.name(77) == "class 77"


@pytest.mark.parametrize("height", [float("nan"), float("inf")])
def test_a_stated_size_that_is_no_number_is_none(height):
    raw = raw_records.parse(record([(0, 0, 1, 1)], **{"height": height, "width": 10.0}), "a", 0)
    assert raw.stated_size is None
