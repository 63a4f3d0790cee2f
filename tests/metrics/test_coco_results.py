"""COCO result files: there and back, and whatever others write."""

import json

import made_images
import numpy as np
import pytest
from made_instances import detected, sized
from pycocotools import mask as rle_codec
from reference import REFERENCE, needs_reference

from object_detection.errors import ResultFileError
from object_detection.metrics import coco_results

SIZE = (made_images.HEIGHT, made_images.WIDTH)


def test_there_and_back(tmp_path):
    images = [(str(number), found) for number, _, found in made_images.images(4)]
    count = coco_results.write(tmp_path / "found.json", images)

    back = coco_results.read(tmp_path / "found.json")

    assert count == sum(len(image[1].scores) for image in images)
    assert list(back) == [image[0] for image in images if len(image[1].scores)]
    for image_id, found in images:
        if len(found.scores):
            np.testing.assert_allclose(back[image_id].boxes, found.boxes, atol=1e-5)
            np.testing.assert_array_equal(back[image_id].scores, found.scores)
            np.testing.assert_array_equal(back[image_id].classes, found.classes)
            assert back[image_id].masks.to_rle() == found.masks.to_rle()
    first = json.loads((tmp_path / "found.json").read_text())[0]
    assert first["image_id"] == 1 and set(first) == {
        *("image_id", "category_id", "bbox", "score", "segmentation")
    }


def test_masks_of_a_model_are_written_at_the_images_size(tmp_path):
    found = detected(
        np.array([[2.0, 3, 12, 13]]), np.array([0.5]), np.array([7]), np.ones([1, 4, 4], np.float32)
    )
    coco_results.write(tmp_path / "a.json", [("photo.jpg", sized(found, 20, 30))])

    (entry,) = json.loads((tmp_path / "a.json").read_text())

    assert entry["image_id"] == "photo.jpg" and entry["bbox"] == [3, 2, 10, 10]
    assert rle_codec.decode(entry["segmentation"]).sum() == 100
    assert entry["segmentation"]["size"] == [20, 30]


def test_nothing_found_is_an_empty_list(tmp_path):
    coco_results.write(tmp_path / "a.json", [])
    assert json.loads((tmp_path / "a.json").read_text()) == []
    assert coco_results.read(tmp_path / "a.json") == {}


def test_segmentations_of_every_form(tmp_path):
    polygon = [[2, 2, 12, 2, 12, 12, 2, 12]]
    plain = {"size": [20, 30], "counts": [42, 10] + [10, 10] * 9 + [368]}
    entries = [{"image_id": i, "category_id": 1, "score": 0.5} for i in (1, 2)]
    entries[0]["segmentation"], entries[1]["segmentation"] = polygon, plain
    (tmp_path / "a.json").write_text(json.dumps(entries))

    found = coco_results.read(tmp_path / "a.json", sizes={"1": (20, 30)})

    assert rle_codec.area(found["1"].masks.to_rle()[0]) == 100
    assert found["1"].boxes.tolist() == [[2, 2, 12, 12]]
    assert rle_codec.area(found["2"].masks.to_rle()[0]) == 100
    with pytest.raises(ResultFileError, match="needs the image's size"):
        coco_results.read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as json"),
        ('{"annotations": []}', "looks like a ground truth"),
        ("3", "holds no list"),
        ('[{"image_id": 1}]', "entry 1 is no detection: it has no 'bbox, nor segmentation'"),
        ('[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]', "it has no 'category_id'"),
        (
            '[{"image_id": 1, "bbox": [1, 2, 3], "score": 1, "category_id": 1}]',
            "entry 1 is no detection: bbox is not four numbers",
        ),
        (
            '[{"image_id": 1, "bbox": [1, 2, 3, NaN], "score": 1, "category_id": 1}]',
            "not all of its numbers are finite",
        ),
        ('[{"image_id": 1, "caption": "a dog"}]', "entry 1 is no detection"),
    ],
)
def test_what_is_no_result_file_is_said(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ResultFileError, match=message):
        coco_results.read(tmp_path / "a.json")


def test_masks_on_some_detections_only(tmp_path):
    box = {"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [0, 0, 5, 5]}
    mask = {**box, "segmentation": {"size": [9, 9], "counts": [81]}}
    (tmp_path / "a.json").write_text(json.dumps([box, mask]))
    with pytest.raises(ResultFileError, match="entry 2 .* has a seg.*entry 1 "):
        coco_results.read(tmp_path / "a.json")
    # The same where they are in different images, and [] is no mask.
    (tmp_path / "a.json").write_text(json.dumps([{**box, "image_id": 2, "segmentation": []}, mask]))
    with pytest.raises(ResultFileError, match=r"entry 1 \(image 2\) has none"):
        coco_results.read(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps([{**box, "segmentation": []}]))
    assert coco_results.read(tmp_path / "a.json")["1"].masks is None


@needs_reference
def test_the_result_files_of_coco():
    folder = REFERENCE / "data" / "coco_eval" / "results"
    boxes = coco_results.read(folder / "instances_val2014_fakebbox100_results.json")
    masks = coco_results.read(folder / "instances_val2014_fakesegm100_results.json")

    assert boxes["42"].masks is None and boxes["42"].scores.tolist() == [0.236]
    assert boxes["42"].boxes[0].tolist() == pytest.approx([41.29, 258.15, 285.07, 606.41])
    assert masks["42"].masks.to_rle()[0]["size"] == [478, 640]
    entries = json.loads((folder / "instances_val2014_fakesegm100_results.json").read_text())
    assert sum(len(found.scores) for found in masks.values()) == len(entries)
    with pytest.raises(ResultFileError, match="is no detection"):
        coco_results.read(folder / "captions_val2014_fakecap_results.json")
