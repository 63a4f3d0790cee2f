"""Ignore regions where a set is evaluated as a whole, from records and from a COCO json."""

import json

import numpy as np
import pytest
from made_instances import detected, sized
from made_records import record, write

from object_detection.reports import ground_truth, model_evaluation

# Of an image of 20 x 40 the left half is ignored. One object reaches into it, one lies on it.
BOXES = [[0, 0, 20, 20], [0, 8, 10, 33], [0, 0, 10, 18]]
NAMES = ["dust", "nut", "nut"]
FOUND = [[0, 8, 10, 30], [10, 0, 20, 19], [10, 20, 20, 40], [np.nan, 0, 1, 1]]


def of_records(folder, masks):
    boxes = [(y / 20, x / 40, b / 20, r / 40) for y, x, b, r in BOXES]
    path = write(
        folder / "a.record",
        [record(boxes, size=(20, 40), masks=masks, text=NAMES, label=[3, 1, 1])],
    )
    label_map = folder / "map.pbtxt"
    label_map.write_text('item { id: 1 name: "nut" } item { id: 3 name: "dust" }')
    return ground_truth.from_records([path], str(label_map), ["dust"])


def of_coco(folder, masks):
    annotations = []
    for number, ((y, x, b, r), name) in enumerate(zip(BOXES, NAMES, strict=True), 1):
        one = {"id": number, "image_id": 1, "category_id": 1 if name == "nut" else 3}
        one |= {"bbox": [x, y, r - x, b - y], "area": (r - x) * (b - y), "iscrowd": 0}
        if masks:
            one["segmentation"] = [[x, y, r, y, r, b, x, b]]
        annotations.append(one)
    path = folder / "truth.json"
    categories = [{"id": 1, "name": "nut"}, {"id": 3, "name": "dust"}]
    images = [{"id": 1, "file_name": "a.png", "height": 20, "width": 40}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))
    return ground_truth.from_coco(path, "", ["dust"])


@pytest.mark.parametrize("source", [of_records, of_coco])
@pytest.mark.parametrize("masks", [True, False])
def test_what_lies_on_ignore_regions_is_not_judged(tmp_path, source, masks):
    truth_set = source(tmp_path, masks)
    assert truth_set.categories == {1: "nut"}
    scores, ones = np.float32([0.9, 0.8, 0.7, 0.6]), np.ones(4, np.int64)
    found = detected(np.float32(FOUND), scores, ones)
    images, notes = model_evaluation.collect(
        truth_set, lambda image: sized(found, image.height, image.width)
    )

    (image,) = images
    np.testing.assert_allclose(image.truth.boxes, [BOXES[1]], rtol=1e-6)
    assert image.detections.scores.tolist() == pytest.approx(
        [0.9, 0.7, 0.6]
    )  # no box: told of elsewhere
    assert notes == ["1 of 1 images have ignore regions (dust)"]
    scored = model_evaluation.score(truth_set.categories, images)
    assert scored.matches["boxes"].errors["found"] == 1
    assert scored.matches["boxes"].errors["missed"] == 0


def test_a_name_that_no_object_has_is_reported(tmp_path):
    truth_set = of_coco(tmp_path, False)._replace(ignore_classes=("dsut",))
    images = [image._replace(ignore=None) for image in truth_set.images]
    nothing = detected(np.zeros([0, 4]), np.zeros(0), np.zeros(0, np.int64))
    _, notes = model_evaluation.collect(truth_set._replace(images=images), lambda image: nothing)
    assert notes == ["0 of 1 images have ignore regions (dsut)"]
