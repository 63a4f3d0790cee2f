"""What may be asked of an export, and what is said to the rest."""

import pytest

from object_detection.export import options
from object_detection.export.options import ExportOptions
from object_detection.protos import model_pb2


@pytest.fixture
def label_map(tmp_path):
    path = tmp_path / "labels.pbtxt"
    path.write_text(
        "item { id: 1 name: 'n01' display_name: 'cat' }\n"
        "item { id: 3 name: 'n03' display_name: 'dog' }"
    )
    return path


def model(stages):
    config = model_pb2.DetectionModel()
    config.faster_rcnn.number_of_stages = stages
    return config


def test_classes_by_id_name_and_display_name(label_map):
    assert options.class_ids(("dog", "n01", "3"), 3, label_map) == (1, 3)
    assert options.class_ids((2,), 3, None) == (2,)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [("dig", "did you mean 'dog'"), ("7", "has 1 to 3"), ("0", "has 1 to 3"), ("-1", "not in")],
)
def test_classes_that_are_not_there(label_map, chosen, message):
    with pytest.raises(ValueError, match=message):
        options.class_ids((chosen,), 3, label_map)


def test_names_need_a_label_map():
    with pytest.raises(ValueError, match="none: use ids"):
        options.class_ids(("dog",), 3, None)


@pytest.mark.parametrize(
    ("chosen", "stages", "message"),
    [
        ({"masks": "polygon"}, 3, "allowed: box, image, rle, none"),
        ({"masks": "rle"}, 2, "the model has no masks"),
        ({"classes": ("1",)}, 1, "a model of one stage has no classes"),
        ({"score_threshold": 1.5}, 3, "score_threshold is 1.5"),
        ({"score_threshold": -0.1}, 3, "score_threshold is -0.1"),
        ({"max_detections": 0}, 3, "at least 1"),
        ({"precision": "float16"}, 3, "precision is 'float16'"),
    ],
)
def test_what_does_not_fit_is_reported(chosen, stages, message):
    with pytest.raises(ValueError, match=message):
        options.check(ExportOptions(**chosen), model(stages))


@pytest.mark.parametrize(
    ("chosen", "changes"),
    [({}, False), ({"masks": "rle"}, False), ({"masks": "none"}, True), ({"optimize": True}, True)],
)
def test_which_options_change_the_network(chosen, changes):
    assert options.changes_the_network(ExportOptions(**chosen)) == changes
