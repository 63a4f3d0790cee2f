"""Numbers of classes and the label map that says them."""

import pytest

from object_detection.datasets import label_ids
from object_detection.datasets.annotations import AnnotationSet, Category
from object_detection.datasets.label_ids import LabelIds, from_annotations, resolve
from object_detection.errors import AnnotationError


def _set(*categories, source="a.json"):
    return AnnotationSet(source, tuple(Category(name, number) for number, name in categories), ())


def test_ids_of_the_annotations_are_kept_gaps_and_all():
    assert from_annotations([_set((1, "person"), (90, "toothbrush"))]) == LabelIds(
        {"person": 1, "toothbrush": 90}
    )


def test_an_id_of_zero_raises_every_id_of_every_set():
    labels = from_annotations([_set((1, "zebra")), _set((0, "horse"), (1, "zebra"))])

    assert labels.ids == {"zebra": 2, "horse": 1}
    assert labels.shifted
    assert "start at 0" in labels.notes[0]


def test_sets_that_number_differently_follow_the_first():
    labels = from_annotations([_set((1, "cat"), (2, "dog")), _set((1, "dog"), (2, "bird"))])

    assert labels.ids == {"cat": 1, "dog": 2, "bird": 3}  # 2 is the dog's: the next free one
    assert labels.notes == (
        "class 'dog' has id 1 in a.json; in the records it is 2",
        "class 'bird' has id 2 in a.json; in the records it is 3",
    )


def test_classes_without_ids_are_numbered_in_order():
    assert from_annotations([_set((None, "b"), (None, "a"))]).ids == {"b": 1, "a": 2}


def test_a_label_map_is_written_and_read_back(tmp_path):
    names = {"cat": 7, 'it\'s a "dog"\\': 2, "Katze über Bord": 3}
    path = tmp_path / "new" / "label_map.pbtxt"

    label_ids.write(path, LabelIds(names, shifted=True))

    assert label_ids.read(path).ids == names
    assert "Katze über Bord" in path.read_text(encoding="utf-8")  # for people to read
    assert "one higher" in path.read_text().splitlines()[0]
    assert "id: 2" in path.read_text().split("item")[1]  # in the order of the ids
    assert [each.name for each in path.parent.iterdir()] == ["label_map.pbtxt"]


def test_display_names_name_classes_too(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 1 name: '/m/01g317' display_name: 'person' }")

    assert label_ids.read(path).ids == {"/m/01g317": 1, "person": 1}


def test_the_numbers_of_a_given_map_hold(tmp_path):
    path = tmp_path / "mine.pbtxt"
    path.write_text("item { id: 5 name: 'cat' }")

    assert resolve(path, LabelIds({"cat": 1, "dog": 2}), keep=True).ids == {"cat": 5}
    assert path.read_text() == "item { id: 5 name: 'cat' }"


def test_a_broken_map_is_an_error_with_its_name(tmp_path):
    (tmp_path / "mine.pbtxt").write_text("item { id: 5 name: 'cat'")

    with pytest.raises(AnnotationError, match="mine.pbtxt"):
        resolve(tmp_path / "mine.pbtxt", LabelIds({"cat": 1}), keep=True)


def test_a_given_map_that_is_not_there_is_written(tmp_path):
    resolve(tmp_path / "mine.pbtxt", LabelIds({"cat": 1}), keep=True)

    assert label_ids.read(tmp_path / "mine.pbtxt").ids == {"cat": 1}


def test_the_map_beside_the_records_grows_split_by_split(tmp_path):
    path = tmp_path / "label_map.pbtxt"

    resolve(path, LabelIds({"cat": 1, "dog": 2}), keep=False)
    labels = resolve(path, LabelIds({"dog": 2, "bird": 3}), keep=False)

    assert labels.ids == {"dog": 2, "bird": 3}
    assert label_ids.read(path).ids == {"cat": 1, "dog": 2, "bird": 3}


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        ({"dog": 1}, "id 1 is 'cat' there and 'dog' here"),
        ({"cat": 2}, "'cat' is 1 there and 2 here"),
    ],
)
def test_the_map_of_other_annotations_is_not_overwritten(tmp_path, ids, why):
    path = tmp_path / "label_map.pbtxt"
    resolve(path, LabelIds({"cat": 1}), keep=False)

    with pytest.raises(AnnotationError, match=why):
        resolve(path, LabelIds(ids), keep=False)
    assert label_ids.read(path).ids == {"cat": 1}


def test_what_annotations_say_of_a_class_stands_in_its_item(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    cat = Category("/m/cat", 1, (("display_name", 'a "Cat"'), ("frequency", "RARE")))
    dog = Category("/m/dog", 2, (("instance_count", 12),))
    found = from_annotations([AnnotationSet("a.csv", (cat, dog), ())])

    resolve(path, found, keep=False)

    again = label_ids.read(path)
    assert again.item_fields == {"/m/cat": cat.item_fields, "/m/dog": dog.item_fields}
    assert again.ids == {"/m/cat": 1, "/m/dog": 2, 'a "Cat"': 1}
    assert "frequency: RARE" in path.read_text()


def test_a_label_map_that_grows_keeps_what_it_says_of_its_classes(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    cat = Category("/m/cat", 1, (("display_name", "Cat"),))
    resolve(path, from_annotations([AnnotationSet("a.csv", (cat,), ())]), keep=False)

    resolve(path, LabelIds({"/m/dog": 2}), keep=False)

    assert label_ids.read(path).ids == {"/m/cat": 1, "Cat": 1, "/m/dog": 2}
    assert path.read_text().count("item {") == 2


def test_ids_of_a_data_base_are_numbered_from_1(tmp_path):
    labels = from_annotations([_set((2905442, "reader"), (2905422, "strip"), (None, "other"))])

    assert labels.ids == {"reader": 2, "strip": 1, "other": 3}
    assert labels.harmless == len(labels.notes) == 1
    assert "2905442 for 3 classes" in labels.notes[0]
    path = tmp_path / "label_map.pbtxt"
    resolve(path, labels, keep=False)
    assert "# Category 2905442 of the annotations.\nitem {\n  id: 2\n" in path.read_text()
    assert label_ids.read(path).ids == labels.ids

    # Another split, with fewer classes and a new one: the numbers hold.
    again = resolve(
        path, from_annotations([_set((2905442, "reader"), (10**12, "new"))]), keep=False
    )
    assert again.ids == {"reader": 2, "new": 4}
    assert label_ids.read(path).ids == {"strip": 1, "reader": 2, "other": 3, "new": 4}


def test_an_id_of_zero_among_those_of_a_data_base_raises_none():
    labels = from_annotations([_set((0, "a"), (3104589873, "b"))])

    assert labels.ids == {"a": 1, "b": 2}
    assert not labels.shifted


def test_many_classes_keep_their_high_ids():
    many = [(20_000 + k, f"class {k}") for k in range(1000)]

    assert from_annotations([_set(*many)]).ids["class 0"] == 20_000
    assert from_annotations([_set((10_000, "a"))]).ids == {"a": 10_000}
    assert from_annotations([_set((10_001, "a"))]).ids == {"a": 1}


def test_classes_that_differ_only_in_case_are_named():
    labels = from_annotations([_set((None, "Food Can"), (None, "dog"), (None, "food  can"))])

    assert len(labels.ids) == 3
    (note,) = labels.notes
    assert "'Food Can', 'food  can'; they are 2 classes" in note
    assert labels.harmless == 0


def test_a_class_name_that_no_file_can_hold_is_named():
    labels = from_annotations([_set((1, "cat"), (2, "\ud800"))])

    assert labels.ids == {"cat": 1}
    assert r"'\ud800'" in labels.notes[0]


def test_classes_that_differ_only_in_case_are_named_with_a_given_map_too(tmp_path):
    path = tmp_path / "mine.pbtxt"
    path.write_text("item { id: 1 name: 'cat' } item { id: 2 name: 'Cat' }")

    labels = resolve(path, from_annotations([_set((1, "cat"), (2, "Cat"))]), keep=True)

    assert "'cat', 'Cat'" in labels.notes[0]
