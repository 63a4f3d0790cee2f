"""Faults of a label map are found, all of them, with their lines."""

import time

import pytest
from findings_of import only_fault, only_warning, sentences

from object_detection.config import label_map_checks


@pytest.fixture
def check(tmp_path):
    def check_text(text, num_classes=3):
        path = tmp_path / "map.pbtxt"
        path.write_text(text)
        return label_map_checks.check(str(path), num_classes)

    return check_text


def items(*pairs):
    return "\n".join(f"item {{ id: {number} name: '{name}' }}" for number, name in pairs)


def test_a_sound_map_passes(check):
    text = items((0, "background"), (1, "a"), (2, "b"), (3, "c"))

    assert sentences(check(text)) == ([], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            items((1, "a"), (2, "b"), (2, "c"), (3, "d")),
            'map.pbtxt:3 gives id 2 again: "b", "c" share it. Give every class an id of its own',
        ),
        (items((1, "a"), (0, "b"), (2, "c"), (3, "d")), 'map.pbtxt:2 "b" has id 0; ids start at 1'),
        (items((1, "a"), (-5, "b"), (2, "c"), (3, "d")), 'map.pbtxt:2 id -5 of "b" is negative'),
        (
            items((1, "a"), (2, "a"), (3, "c")),
            'map.pbtxt:2 gives name "a" again: ids 1, 2 have it. Give every class a name of its',
        ),
        (
            items((1, "a"), (2, "b"), (3, "c"), (4, "d"), (9, "e")),
            'map.pbtxt:4 has id 4 ("d"), above num_classes, which is 3 (and 1 more items). Set '
            "model.faster_rcnn.num_classes: 9",
        ),
        ("item { id: 1 }\n" + items((2, "b"), (3, "c")), "map.pbtxt:1 gives id 1 no name"),
        ("# nothing\n", "map.pbtxt, item 1 holds no item. Write item { id: 1 name: 'cat' }"),
        (
            "item {\n id: 2 name: 'a'\n id: 3 name: 'b'\n}\n" + items((1, "c"), (2, "d")),
            "line 3: id is set more than once; the last one counts. Probably one item was",
        ),
        ("item { id: 1 nam: 'a' }", 'has no field "nam"; did you mean "name"?'),
    ],
)
def test_a_fault_is_reported_with_its_line(check, text, said):
    assert said in only_fault(check(text))


def test_all_faults_come_at_once(check):
    found = check(items((1, "a"), (1, "b"), (0, "c"), (7, "a")))

    # id 1 twice, id 0, name a twice, id 7 above 3
    assert len(found.faults) == 4


def test_a_gap_is_a_warning(check):
    said = only_warning(check(items((1, "a"), (3, "c"))))

    assert said.endswith(
        "uses ids up to 3 but not 2: these outputs learn nothing, which is allowed."
    )


def test_a_map_that_ends_early_is_a_warning(check):
    said = only_warning(check(items((1, "a"), (2, "b")), num_classes=90))

    assert "ends at id 2, but num_classes is 90" in said


def test_a_model_without_number_of_classes_is_held_against_nothing(check):
    assert sentences(check(items((1, "a"), (2, "b")), num_classes=0)) == ([], [])


def test_a_missing_file_is_reported(tmp_path):
    said = only_fault(label_map_checks.check(str(tmp_path / "no.pbtxt"), 3))

    assert "cannot be used: label map" in said and "No such file" in said


def test_both_names_of_a_class_are_known(tmp_path):
    (tmp_path / "map.pbtxt").write_text("item { id: 1 name: 'n1' display_name: 'cat' }")

    assert label_map_checks.names_of(tmp_path / "map.pbtxt") == {"n1": 1, "cat": 1}
    assert label_map_checks.names_of(tmp_path / "no.pbtxt") is None


def test_gaps_of_huge_ids_are_counted_at_once(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 2 name: 'a' } item { id: 2147483647 name: 'b' }")
    started = time.monotonic()

    _, warnings = sentences(label_map_checks.check(str(path), 0))

    assert (
        "uses ids up to 2147483647 but not 1, 3, 4, 5, 6, 7, 8, 9 and 2147483637 more"
        in warnings[0]
    )
    assert time.monotonic() - started < 2
