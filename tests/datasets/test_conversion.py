"""From annotated images to record files: keys, values and the report."""

import hashlib
import io
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.datasets.annotations import AnnotatedImage, AnnotatedObject, Finding, Polygons
from object_detection.datasets.conversion import NoMasksError, convert
from object_detection.datasets.examples import Settings, features_of
from object_detection.datasets.records import ShardedRecords
from object_detection.datasets.report import SKIPPED_OBJECT, Report
from object_detection.structures.masks import CroppedMask

CLASSES = {"cat": 1, "dog": 2}
SQUARE = Polygons(((2.0, 1.0, 6.0, 1.0, 6.0, 5.0, 2.0, 5.0),))  # x 2..6, y 1..5


def _png(height=10, width=20):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (10, 20, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def _image(*objects, **fields):
    image = AnnotatedImage("a.png", "11", "a.png", objects, encoded=_png())
    return image._replace(**fields)


def _cat(**fields):
    return AnnotatedObject(
        "annotation 1", "cat", **{"box": (1.0, 2.0, 5.0, 6.0), "area": 16.0, **fields}
    )


def test_every_key_of_tfods_tool_is_there_and_right():
    image = _image(_cat(mask=SQUARE, area=16.0, crowd=True))

    features = features_of(image, Settings(CLASSES, include_masks=True)).features

    expected = {
        "image/height": [10],
        "image/width": [20],
        "image/filename": [b"a.png"],
        "image/source_id": [b"11"],
        "image/format": [b"png"],
        "image/encoded": [_png()],
        "image/key/sha256": [hashlib.sha256(_png()).hexdigest().encode()],
        "image/object/bbox/ymin": [np.float32(1 / 10)],
        "image/object/bbox/xmin": [np.float32(2 / 20)],
        "image/object/bbox/ymax": [np.float32(5 / 10)],
        "image/object/bbox/xmax": [np.float32(6 / 20)],
        "image/object/class/text": [b"cat"],
        "image/object/class/label": [1],
        "image/object/is_crowd": [1],
        "image/object/area": [16.0],
    }
    (mask,) = features.pop("image/object/mask")
    assert {key: list(value) for key, value in features.items()} == expected
    pixels = tf.io.decode_png(mask).numpy()
    assert pixels.shape == (10, 20, 1)
    assert pixels.sum() == pixels[1:5, 2:6].sum() == 16  # zeros and ones


def test_masks_and_flags_are_written_only_where_they_are():
    plain = features_of(_image(_cat(mask=SQUARE)), Settings(CLASSES)).features
    flagged = features_of(_image(_cat(difficult=True), _cat()), Settings(CLASSES)).features

    assert "image/object/mask" not in plain
    assert "image/object/difficult" not in plain
    assert flagged["image/object/difficult"].tolist() == [1, 0]


def test_an_image_without_objects_has_empty_lists():
    outcome = features_of(_image(), Settings(CLASSES, include_masks=True))

    assert outcome.findings == ()
    assert outcome.features["image/object/bbox/ymin"].shape == (0,)
    assert outcome.features["image/object/mask"] == []


def test_the_size_is_the_images_own_and_another_is_reported():
    outcome = features_of(_image(stated_size=(20, 10)), Settings(CLASSES))

    assert outcome.features["image/height"] == [10]
    assert outcome.findings[0].key == "a.png: 10 x 20 pixels, not 20 x 10"


@pytest.mark.parametrize(
    ("objects", "written"),
    [
        ([{}], None),  # no mask at all
        ([{"mask": Polygons(((1.0, 1.0),))}], None),  # one that cannot be read
        ([{"mask_fault": "the segmentation is 7"}], None),
        ([{}, {"mask": SQUARE}], 1),  # as of VOC: the object that has one is written
        (
            [{"mask": CroppedMask(np.ones((2, 2)), 90, 90)}],
            0,
        ),  # outside: the image is without objects
        ([{"mask": SQUARE, "box": (1.0, 1.0, 1.0, 1.0)}], 0),
        ([], 0),
    ],
)
def test_an_image_whose_objects_all_lack_masks_is_left_out_where_masks_are_needed(objects, written):
    image = _image(*(_cat(**fields) for fields in objects))

    outcome = features_of(image, Settings(CLASSES, include_masks=True))

    skipped = [f.key for f in outcome.findings if f.group == "skipped images"]
    assert skipped == ([] if written is not None else ["a.png"])
    if written is not None:
        assert len(outcome.features["image/object/bbox/ymin"]) == written
    else:
        assert outcome.features is None
    without = features_of(image, Settings(CLASSES)).features
    assert len(without["image/object/bbox/ymin"]) >= (written or 0)  # boxes alone are written


def _converted(tmp_path, *images, **settings):
    settings = Settings(CLASSES, **settings)
    return convert(list(images), ShardedRecords(tmp_path / "x", 0), settings, title="train")


def test_a_set_without_any_mask_is_refused_before_anything_is_written(tmp_path):
    images = [_image(), _image(_cat(), _cat()), _image(_cat(mask_fault="it is 7"))]

    with pytest.raises(
        NoMasksError, match="none of its 3 objects has one .annotation 1: .*no mask"
    ):
        _converted(tmp_path, *images, include_masks=True)

    assert list(tmp_path.iterdir()) == []
    assert _converted(tmp_path, *images).written["objects"] == 3


@pytest.mark.parametrize(
    ("images", "failure"),
    [
        ([], "no image that could be written: train. the annotations name no image"),
        ([_image(encoded=b"")], r"no image .*the image is empty \(1: a.png\)"),
        ([_image(_cat()), _image(_cat()._replace(class_name="cow"))], None),
        ([_image(), _image(_cat()._replace(class_name="cow"))], "no object .*no class 'cow'"),
        ([_image(), _image(_cat(), encoded=b"")], "no object .*the image is empty"),
        ([_image(), _image(encoded=b"")], None),  # no object was annotated
        ([_image()], None),
    ],
)
def test_a_report_says_where_every_image_or_every_object_was_skipped(tmp_path, images, failure):
    report = _converted(tmp_path, *images)

    assert (report.failure is None) == (failure is None)
    assert re.search(failure or "", report.failure or "")
    assert str(tmp_path / "x.report.txt") in (report.failure or str(tmp_path / "x.report.txt"))


def test_a_class_that_the_label_map_lacks_is_a_skipped_object():
    outcome = features_of(_image(_cat(), _cat()._replace(class_name="cow")), Settings(CLASSES))

    assert outcome.classes == ("cat",)
    assert outcome.findings[0].reason == "the label map has no class 'cow'"


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_conversion_is_in_order_and_its_report_complete(tmp_path, num_workers):
    images = [
        _image(_cat(mask=CroppedMask(np.ones((2, 2)), 1, 2))),
        _image(_cat(mask=SQUARE, box=(1.0, -3.0, 5.0, 6.0))),
        _image(),
        _image(),
        _image(_cat(), key="gone.png", encoded=None, path=tmp_path / "gone.png"),
        _image(_cat(box=(1.0, 1.0, 1.0, 1.0), mask=SQUARE)),
    ]
    images = [image._replace(source_id=str(index)) for index, image in enumerate(images)]
    records = ShardedRecords(tmp_path / "x", 1)

    report = convert(
        images,
        records,
        Settings(CLASSES, include_masks=True),
        title="train",
        num_workers=num_workers,
    )

    ids = [
        tf.train.Example.FromString(record).features.feature["image/source_id"].bytes_list.value[0]
        for record in tf.data.TFRecordDataset(str(records.paths[0])).as_numpy_iterator()
    ]
    assert ids == [b"0", b"1", b"2", b"3", b"5"]
    assert dict(report.written) == {
        "images": 5,
        "images without objects": 3,
        "objects": 2,
        "crowds": 0,
        "masks": 2,
    }
    assert report.names["skipped images"] == {f"no such file in {tmp_path}": ["gone.png"]}
    assert report.names["skipped objects"] == {
        "the box has no height or no width": ["annotation 1"]
    }
    assert report.count("clipped objects") == 1
    assert json.loads((tmp_path / "x.report.json").read_text())["written"]["images"] == 5
    assert "gone.png" in report.text()
    assert "      gone.png\n" in (tmp_path / "x.report.txt").read_text()


def test_the_text_names_ten_and_counts_the_rest(tmp_path):
    images = [
        _image(key=f"{number}.png", encoded=b"junk", source_id=str(number)) for number in range(12)
    ]

    report = convert(images, ShardedRecords(tmp_path / "x", 1), Settings(CLASSES), title="t")

    assert "9.png, ... and 2 more" in report.text()
    assert "10.png" not in report.text()
    assert "10.png" in (tmp_path / "x.report.txt").read_text()


def test_a_report_quotes_a_huge_value_in_short():
    report = Report("train", "here")
    report.add(
        [Finding(SKIPPED_OBJECT, f"figures of type '{'a' * 10**6}' are not known", "x\n" * 10**6)]
    )

    assert len(report.text()) < 1500
    assert "(1,000,032 characters): 1 (x\\nx" in report.text()
