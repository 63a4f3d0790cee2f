"""Figures of a set, summed by hand."""

import numpy as np
from made_page import CLASSES, facts

from object_detection.reports import statistics
from object_detection.reports.findings import LOST, Finding, undecodable


def rows(table):
    return [row[:2] for row in table.rows]


def test_coco_s_sizes_part_at_32_and_96():
    table = statistics.coco_sizes("", np.array([1, 31.9, 32, 95.9, 96, 500]))

    assert [row[1] for row in table.rows] == [2, 2, 2]


def test_fine_sizes_leave_out_the_empty_ends():
    table = statistics.sides("", np.array([9.0, 10, 40, 2000]))

    assert rows(table)[0] == ("8 to 16", 2)
    assert rows(table)[1] == ("16 to 32", 0)
    assert rows(table)[-1] == ("1024 or more", 1)


def test_shapes_are_height_to_width():
    table = statistics.shapes(np.float32([[10, 10], [40, 10], [10, 100]]))

    assert dict(rows(table))["wider than 1:5"] == 1
    assert dict(rows(table))["2:3 to 3:2"] == 1
    assert dict(rows(table))["3:1 to 5:1"] == 1


def test_classes_and_those_without_objects():
    table = statistics.of_classes([facts("image-0", [1, 1]), facts("image-1", [1, 7])], CLASSES)

    # Boxes of 30 x 40: their side is the root of 1200.
    assert table.rows == [("dog", 3, 2, 0, "35", 1), ("class 7", 1, 1, 0, "35", 7)]
    assert "nobody" in table.note


def test_how_much_of_its_box_a_mask_fills():
    assert rows(statistics.filled([facts("image-0", [1, 2])])) == [("40 to 60 %", 2)]


def test_findings_say_where():
    images = [undecodable(f"id-{k}", "", (Finding(LOST, "odd", "why", count=2),)) for k in range(7)]

    table = statistics.findings(images, [("empty record file", 1, ["a.record"])])

    assert table.rows[0] == ("empty record file", 1, "-", "lost", "a.record")
    assert table.rows[1][:4] == ("odd", 14, 7, "lost")
    assert table.rows[1][4].startswith("id-0 (why); ") and table.rows[1][4].endswith(", ...")


def test_nothing_at_all_gives_totals_alone():
    assert [table.title for table in statistics.tables([], CLASSES)] == ["In all"]
