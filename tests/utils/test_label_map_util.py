"""TFOD's functions on label maps."""

import logging

import numpy as np
import pytest
from reference import REFERENCE, needs_reference

from object_detection.errors import LabelMapError
from object_detection.protos import string_int_label_map_pb2
from object_detection.utils import label_map_util

THREE = """
item { id: 1 name: 'cat' display_name: 'Cat' }
item { id:2 name:"dog" }
item {
  id: 5
  name: 'bird'
  display_name: 'Bird'
  frequency: RARE
  instance_count: 7
}
"""


@pytest.fixture
def write(tmp_path):
    def write_text(text):
        path = tmp_path / "label_map.pbtxt"
        path.write_text(text)
        return str(path)

    return write_text


def test_a_dict_goes_by_names(write):
    assert label_map_util.get_label_map_dict(write(THREE)) == {"cat": 1, "dog": 2, "bird": 5}


def test_a_dict_by_display_names_falls_back_to_the_name(write):
    ids = label_map_util.get_label_map_dict(write(THREE), use_display_name=True)

    assert ids == {"Cat": 1, "dog": 2, "Bird": 5}


def test_gaps_and_background_are_filled_on_request(write):
    ids = label_map_util.get_label_map_dict(write(THREE), fill_in_gaps_and_background=True)

    assert ids == {"background": 0, "cat": 1, "dog": 2, "class_3": 3, "class_4": 4, "bird": 5}


def test_categories_carry_what_the_map_says(write):
    categories = label_map_util.create_categories_from_labelmap(write(THREE))

    assert categories == [
        {"id": 1, "name": "Cat"},
        {"id": 2, "name": "dog"},
        {"id": 5, "name": "Bird", "frequency": "r", "instance_count": 7},
    ]


def test_a_category_index_goes_by_id_and_by_name_if_asked(write):
    index = label_map_util.create_category_index_from_labelmap(write(THREE), use_display_name=False)

    assert {key: value["name"] for key, value in index.items()} == {1: "cat", 2: "dog", 5: "bird"}


def test_categories_leave_out_ids_above_the_limit_and_the_background(write):
    text = "item { id: 0 name: 'background' }" + THREE
    label_map = label_map_util.load_labelmap(write(text))

    categories = label_map_util.convert_label_map_to_categories(label_map, max_num_classes=2)

    assert [category["id"] for category in categories] == [1, 2]
    assert label_map_util.get_max_label_map_index(label_map) == 5


def test_categories_without_a_map_are_numbered():
    assert label_map_util.convert_label_map_to_categories(None, 2) == [
        {"id": 1, "name": "category_1"},
        {"id": 2, "name": "category_2"},
    ]
    assert label_map_util.create_class_agnostic_category_index() == {1: {"id": 1, "name": "object"}}


def test_keypoints_are_read(write):
    path = write("item { id: 1 name: 'face' keypoints { id: 0 label: 'nose' } }")

    assert label_map_util.get_keypoint_label_map_dict(path) == {"nose": 0}
    assert label_map_util.create_categories_from_labelmap(path)[0]["keypoints"] == {"nose": 0}


def test_two_keypoints_of_one_id_are_refused(write):
    path = write(
        "item { id: 1 name: 'a' keypoints { id: 0 label: 'b' } keypoints { id: 0 label: 'c' } }"
    )

    with pytest.raises(LabelMapError, match="two keypoints with the id 0"):
        label_map_util.create_categories_from_labelmap(path)


def test_the_hierarchy_is_read_both_ways(write):
    text = (
        "item { id: 1 name: 'animal' descendant_ids: 2 }\n"
        "item { id: 2 name: 'cat' ancestor_ids: 1 }"
    )

    ancestors, descendants = label_map_util.get_label_map_hierarchy_lut(write(text))
    _, with_self = label_map_util.get_label_map_hierarchy_lut(write(text), include_identity=True)

    np.testing.assert_array_equal(ancestors, [[0, 0], [1, 0]])  # above cat (row 1): animal
    np.testing.assert_array_equal(descendants, [[0, 1], [0, 0]])
    np.testing.assert_array_equal(with_self, [[1, 1], [0, 1]])


def test_a_message_is_taken_in_place_of_a_path():
    label_map = string_int_label_map_pb2.StringIntLabelMap()
    label_map.item.add(id=1, name="cat")

    assert label_map_util.get_label_map_dict(label_map) == {"cat": 1}


def test_a_binary_map_is_read(tmp_path):
    label_map = string_int_label_map_pb2.StringIntLabelMap()
    label_map.item.add(id=1, name="x" * 200)
    (tmp_path / "map.pb").write_bytes(label_map.SerializeToString())

    assert label_map_util.load_labelmap(tmp_path / "map.pb") == label_map


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item { id: 1 name: 'a' }\nitem { id: 0 name: 'b' }", r':2: "b" has id 0; ids start at 1'),
        ("item { name: 'b' }", r':1: "b" has no id'),
        ("\nitem { id: -1 name: 'b' }", r":2: id -1 of \"b\" is negative"),
        ("item { id: 1 nam: 'b' }", r':1:14: StringIntLabelMapItem has no field "nam"; did you '),
        ("item {\n id: 1\n name: 'a'\nitem {\n id: 2\n}\n", "missing above line 4"),
    ],
)
def test_a_fault_is_reported_with_its_line(write, text, said):
    with pytest.raises(LabelMapError, match=said):
        label_map_util.load_labelmap(write(text))


def test_id_0_may_be_the_background(write):
    path = write("item { id: 0 name: 'none_of_the_above' display_name: 'background' }")

    assert len(label_map_util.load_labelmap(path).item) == 1


def test_a_missing_file_is_reported():
    with pytest.raises(LabelMapError, match="nowhere.pbtxt cannot be read"):
        label_map_util.load_labelmap("nowhere.pbtxt")


def test_two_classes_in_one_item_are_reported(write, caplog):
    with caplog.at_level(logging.WARNING):
        label_map_util.load_labelmap(write("item {\n id: 1 name: 'a'\n id: 2 name: 'b'\n}"))

    assert "line 3: id is set more than once" in caplog.text


def test_a_validator_is_called(write):
    def refuse(label_map):
        raise ValueError(f"{len(label_map.item)} items")

    with pytest.raises(ValueError, match="3 items"):
        label_map_util.load_labelmap(write(THREE), validator=refuse)


@needs_reference
def test_public_label_maps_are_read():
    paths = sorted((REFERENCE / "data" / "label_maps").glob("*.pbtxt"))
    assert paths
    for path in paths:
        _, lines, complaint = label_map_util.read_label_map(path)
        assert lines and complaint is None, path
        assert label_map_util.create_category_index_from_labelmap(path), path
    coco = label_map_util.get_label_map_dict(
        REFERENCE / "data" / "label_maps" / "mscoco_label_map.pbtxt", use_display_name=True
    )
    assert len(coco) == 80 and coco["person"] == 1 and coco["toothbrush"] == 90


def test_frequencies(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text(
        "item { id: 1 name: 'a' frequency: RARE } item { id: 2 name: 'b' } "
        "item { id: 4 name: 'c' frequency: FREQUENT } item { id: 5 name: 'd' frequency: COMMON }"
    )

    assert label_map_util.get_frequencies(path) == {1: "r", 4: "f", 5: "c"}
    assert label_map_util.get_frequencies("") == {}
