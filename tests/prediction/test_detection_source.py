"""Detections for a ground truth: classes by name, result files that fit only in part."""

import json

from object_detection.prediction import detection_source
from object_detection.structures.instances import EvaluatedImage, Instances


def test_classes_are_known_by_their_names():
    ids, notes = detection_source.translation({1: "cat", 2: "dog"}, {1: "dog", 7: "cat"})

    assert ids == {1: 7, 2: 1}
    assert notes == []


def test_a_class_that_the_truth_has_not_is_none_of_its_others():
    ids, notes = detection_source.translation({1: "cat", 2: "cow"}, {1: "dog", 2: "cat"})

    assert ids[1] == 2
    assert ids[2] not in (1, 2)
    assert notes == ["classes of the model that the ground truth has not: cow"]


def test_without_a_common_name_ids_hold():
    ids, notes = detection_source.translation({1: "Katze"}, {1: "cat"})

    assert ids == {}
    assert "ids are compared" in notes[0]
    assert detection_source.translation({}, {1: "cat"}) == ({}, [])


def test_images_of_one_side_alone_are_reported(tmp_path):
    entry = {"category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}
    path = tmp_path / "results.json"
    path.write_text(json.dumps([entry | {"image_id": 1}, entry | {"image_id": 5}]))
    find = detection_source.ResultFileSource(path)

    found = [find(EvaluatedImage(name, Instances(9, 9, [], []))) for name in ("1", "2")]

    assert [len(each.boxes) for each in found] == [1, 0]
    assert find.notes() == [
        f"1 images of {path} are not among those evaluated: 5",
        f"1 images have no detection in {path}",
    ]
