"""One xml of VOC's form, as many tools write it."""

import pytest
from voc_sets import reasons, sheet, text, thing

from object_detection.datasets.annotations import Polygons
from object_detection.datasets.formats import voc_xml
from object_detection.errors import AnnotationError


def _read(tmp_path, *things, **fields):
    return voc_xml.read(sheet(tmp_path / "a.xml", *things, **fields))


def test_an_xml_is_read_whole(tmp_path):
    found = _read(
        tmp_path,
        thing("cat", (5, 10, 20, 30), pose="Left", truncated=1),
        thing("dog", (1, 2, 3, 4)),
    )

    cat, dog = found.objects
    assert (found.filename, found.folder, found.size) == ("a.jpg", "VOC2012", (60, 80))
    assert (cat.class_name, cat.box, cat.view) == ("cat", (5.0, 10.0, 20.0, 30.0), "Left")
    assert (cat.truncated, cat.difficult, dog.truncated) == (True, False, False)
    assert (dog.key, found.places, found.findings) == ("a.xml: object 2", (1, 2), ())


def test_an_image_without_objects_is_one(tmp_path):
    assert _read(tmp_path).objects == ()


def test_parts_and_their_boxes_are_not_the_objects(tmp_path):
    head = "<name>head</name><bndbox><xmin>1</xmin></bndbox>"

    (found,) = _read(tmp_path, thing("person", (1, 2, 3, 4), part=head)).objects

    assert (found.class_name, found.box) == ("person", (1.0, 2.0, 3.0, 4.0))


@pytest.mark.parametrize("head", ["", "\ufeff", "\n\n<?xml version='1.0'?>", "<!-- by a tool -->"])
def test_what_stands_before_the_annotation_does_no_harm(tmp_path, head):
    path = text(
        tmp_path / "a.xml", f"{head}<annotation><filename> ü ß.JPG </filename></annotation>"
    )

    assert voc_xml.read(path).filename == "ü ß.JPG"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "not well-formed: no element found: line 1"),
        ("<annotation><object>", "not well-formed: no element found: line 1"),
        ("<annotation>R&B</annotation>", "not well-formed"),
        ("<annotations><image/></annotations>", "begins with <annotations>"),
        ("<?xml version='1.0' encoding='klingon'?><annotation/>", "klingon"),
    ],
)
def test_an_xml_that_is_none_says_why(tmp_path, content, why):
    with pytest.raises(AnnotationError, match=why):
        voc_xml.read(text(tmp_path / "a.xml", content))


def test_missing_flags_are_false_and_a_missing_pose_is_unspecified(tmp_path):
    bare = thing("cat", (1, 2, 3, 4), pose=None, truncated=None, difficult=None)

    (found,) = _read(tmp_path, bare, size=None).objects

    assert (found.difficult, found.truncated, found.view) == (False, False, "Unspecified")


@pytest.mark.parametrize(
    ("word", "is_true"),
    [
        ("1", True),
        ("0", False),
        ("1.0", True),
        ("Unspecified", False),
        ("true", True),
        (" ", False),
    ],
)
def test_flags_come_in_many_words(tmp_path, word, is_true):
    assert _read(tmp_path, thing("a", (1, 2, 3, 4), difficult=word)).objects[0].difficult == is_true


@pytest.mark.parametrize("size", [(0, 0), ("", ""), ("x", 3), ("60.0", "80.0")])
def test_a_size_that_is_none_is_not_stated(tmp_path, size):
    assert _read(tmp_path, size=size).size == ((60, 80) if size[0] == "60.0" else None)


def test_sides_may_be_fractions_with_point_or_comma(tmp_path):
    assert _read(tmp_path, thing("a", ("1.5", "2,25", " 3 ", "4e1"))).objects[0].box == (
        1.5,
        2.25,
        3.0,
        40.0,
    )


def test_corners_the_wrong_way_round_are_exchanged(tmp_path):
    found = _read(tmp_path, thing("cat", (20, 30, 5, 10)))

    assert found.objects[0].box == (5.0, 10.0, 20.0, 30.0)
    (reason,) = reasons(found.findings)
    assert "exchanged" in reason


@pytest.mark.parametrize(
    ("faulty", "why"),
    [
        (thing("cat", None), "no bndbox"),
        (thing("cat", None, robndbox="<cx>1</cx>"), "turned box"),
        (thing("cat", (1, "a", 3, 4)), "xmin is no number: 'a'"),
        (thing("cat", (1, "", 3, 4)), "xmin is no number: ''"),
        (thing("cat", ("nan", 1, 3, 4)), "ymin is no number: 'nan'"),
        (thing("", (1, 2, 3, 4)), "no name"),
        (thing("cat", (1, 2, 3, 4), deleted=1), "deleted"),
    ],
)
def test_a_faulty_object_is_a_finding_and_keeps_its_place(tmp_path, faulty, why):
    found = _read(tmp_path, faulty, thing("dog", (1, 2, 3, 4)))

    assert [each.class_name for each in found.objects] == ["dog"]
    assert found.places == (2,)
    ((reason, keys),) = reasons(found.findings).items()
    assert why in reason
    assert keys == ["a.xml: object 1"]


def test_outlines_of_roboflow_and_rectlabel(tmp_path):
    points = "<x1>1.5</x1><y1>2</y1><x2>9</x2><y2>2</y2><x3>9</x3><y3>8</y3>"

    (found,) = _read(tmp_path, thing("cat", (2, 1, 8, 9), polygon=points)).objects

    assert found.mask == Polygons(((1.5, 2.0, 9.0, 2.0, 9.0, 8.0),))


def test_an_outline_as_a_list_of_points_needs_no_box(tmp_path):
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((1, 2), (9, 2), (9, 8)))

    (found,) = _read(tmp_path, thing("cat", None, polygon=points)).objects

    assert (found.box, found.mask.parts) == (None, ((1.0, 2.0, 9.0, 2.0, 9.0, 8.0),))


def test_an_outline_that_cannot_be_read_leaves_the_box(tmp_path):
    (found,) = _read(tmp_path, thing("cat", (2, 1, 8, 9), polygon="<x1>a</x1><y1>2</y1>")).objects

    assert (found.box, found.mask) == ((2.0, 1.0, 8.0, 9.0), None)
    assert "no number" in found.mask_fault
