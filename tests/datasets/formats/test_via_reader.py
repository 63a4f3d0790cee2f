"""The VGG Image Annotator's files into records of our own."""

import csv
import json

import numpy as np
import pytest
from drawn_sets import HEIGHT, WIDTH, base64_of, image, reasons, text
from rasterization import even_odd, iou, star, where

from object_detection.datasets import masks
from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import via
from object_detection.datasets.formats.shapes import BOX_AS_MASK
from object_detection.errors import AnnotationError

LINE = star(40, 30, 20, 28, spikes=5)
POLYGON = {
    "name": "polygon",
    "all_points_x": [x for x, _ in LINE],
    "all_points_y": [y for _, y in LINE],
}
RECT = {"name": "rect", "x": 10, "y": 20, "width": 40, "height": 15}
CAT = {"class": "cat"}


def _regions(*shapes, attributes=CAT):
    return [{"shape_attributes": shape, "region_attributes": attributes} for shape in shapes]


def _entry(regions, filename="a.png", **fields):
    return {
        "filename": filename,
        "size": -1,
        "regions": regions,
        "file_attributes": {},
        **fields,
    }


def _read(tmp_path, content, **options):
    image(tmp_path / "a.png")
    return via.read(text(tmp_path / "via.json", content), **options)


def _objects(tmp_path, *regions, **options):
    return _read(tmp_path, {"a.png-1": _entry(list(regions))}, **options).images[0].objects


def test_version_2_has_a_list_of_regions(tmp_path):
    found = _read(tmp_path, {"a.png-1": _entry(_regions(POLYGON, RECT))})

    (photo,) = found.images
    assert (photo.key, photo.source_id, photo.path) == ("a.png", "a.png", tmp_path / "a.png")
    star_, rect = photo.objects
    assert iou(star_, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert rect.box == (20, 10, 35, 50)
    pixels = masks.rasterize(rect.mask, HEIGHT, WIDTH)
    assert pixels[20:35, 10:50].all() and pixels.sum() == 40 * 15
    assert found.categories == (Category("cat"),)
    assert reasons(found) == {BOX_AS_MASK: ["a.png region 1"]}


def test_version_1_has_a_dict_of_regions_and_may_hold_the_image(tmp_path):
    inside = image(tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").unlink()
    regions = {str(number): region for number, region in enumerate(_regions(POLYGON))}
    content = {
        "a.png5": _entry(regions, fileref="", base64_img_data=""),
        "b.jpg6": _entry({}, "b.jpg", base64_img_data="data:image/png;base64," + base64_of(inside)),
    }

    one, two = _read(tmp_path, content).images

    assert iou(one.objects[0], even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert (two.encoded, two.path, two.objects) == (inside, None, ())


def test_a_project_knows_its_folder_and_its_attributes(tmp_path):
    image(tmp_path / "photos" / "b.png")
    image(tmp_path / "other" / "b.png")
    attributes = {"who": "Plato", "kind": "human", "sharp": {"yes": True}}
    content = {
        "_via_settings": {"core": {"default_filepath": "photos/"}},
        "_via_attributes": {
            "region": {"who": {"type": "text"}, "kind": {"type": "dropdown"}, "sharp": None}
        },
        "_via_img_metadata": {"b.png-1": _entry(_regions(RECT, attributes=attributes), "b.png")},
        "_via_image_id_list": ["b.png-1"],
    }

    found = _read(tmp_path, content)

    assert found.images[0].path == tmp_path / "photos" / "b.png"
    assert found.categories == (Category("human"),)
    assert "'kind', of 'who', 'kind', 'sharp'" in list(reasons(found))[0]


@pytest.mark.parametrize("theta", [None, 0, 0.6, -1.2])
def test_circles_and_ellipses(tmp_path, theta):
    a = theta or 0

    def inside(x, y):
        u = (x - 40) * np.cos(a) + (y - 30) * np.sin(a)
        v = -(x - 40) * np.sin(a) + (y - 30) * np.cos(a)
        return (u / 30) ** 2 + (v / 14) ** 2 <= 1

    shape = {"name": "ellipse", "cx": 40, "cy": 30, "rx": 30, "ry": 14, "theta": theta}
    circle = {"name": "circle", "cx": "40", "cy": 30, "r": 20.5}

    one, two = _objects(tmp_path, *_regions(shape, circle))

    assert iou(one, where(inside, HEIGHT, WIDTH)) >= 0.99
    expected = where(lambda x, y: (x - 40) ** 2 + (y - 30) ** 2 <= 20.5**2, HEIGHT, WIDTH)
    assert iou(two, expected) >= 0.99


def test_a_polyline_counts_if_it_is_closed(tmp_path):
    closed = [*LINE, LINE[0]]
    lines = [
        {
            "name": "polyline",
            "all_points_x": [x for x, _ in line],
            "all_points_y": [y for _, y in line],
        }
        for line in (closed, LINE)
    ]

    found = _read(tmp_path, {"a": _entry(_regions(*lines))})

    (only,) = found.images[0].objects
    assert iou(only, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert reasons(found) == {"a polyline that is not closed has no area": ["a.png region 1"]}


def test_shapes_that_are_no_objects_are_named(tmp_path):
    shapes = [
        {"name": "point", "cx": 1, "cy": 2},
        {"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]},
        {"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]},
        {"name": "polygon"},
        {"name": "rect", "x": None, "y": 1, "width": 2, "height": 3},
        {"name": "circle", "cx": 1, "cy": 1, "r": 0},
        {"name": "spline"},
        {},
    ]

    found = _read(tmp_path, {"a": _entry([*_regions(*shapes), "region", None])})

    assert found.images[0].objects == ()
    assert sorted(key for keys in reasons(found).values() for key in keys) == [
        f"a.png region {number}" for number in range(10)
    ]


@pytest.mark.parametrize(
    ("value", "classes"),
    [
        ("cat ", ["cat"]),
        (3, ["3"]),
        ({"cat": True, "dog": False}, ["cat"]),
        ({"cat": "true"}, ["cat"]),
        ({"cat": True, "dog": True}, []),
        ({}, []),
        ("", []),
        (None, []),
    ],
)
def test_values_of_text_dropdown_radio_and_checkbox(tmp_path, value, classes):
    regions = _regions(RECT) + _regions(RECT, attributes={"class": value})

    objects = _objects(tmp_path, *regions)

    assert [each.class_name for each in objects] == ["cat", *classes]


@pytest.mark.parametrize(
    ("attributes", "chosen"),
    [
        ({"name": "Plato", "type": "human"}, "human"),
        ({"color": "red", "Class": "cat"}, "cat"),
        ({"color": "red", "name": "cat"}, "cat"),
        ({"wear": "low", "difficult": "true"}, "low"),
        ({"category": {"cat": True}, "id": "7"}, "cat"),
    ],
)
def test_the_likeliest_attribute_says_the_class(tmp_path, attributes, chosen):
    (only,) = _objects(tmp_path, *_regions(RECT, attributes=attributes))

    assert only.class_name == chosen
    assert only.difficult == ("difficult" in attributes)


def test_the_user_says_the_attribute_and_the_class_of_the_rest(tmp_path):
    regions = _regions(RECT, attributes={"class": "cat", "color": "red"}) + _regions(
        RECT, attributes={"class": "dog"}
    )

    objects = _objects(tmp_path, *regions, class_attribute="color", class_name="gray")

    assert [each.class_name for each in objects] == ["red", "gray"]
    with pytest.raises(AnnotationError, match="no region has 'shade'; they have 'class', 'color'"):
        _objects(tmp_path, *regions, class_attribute="shade")


def test_regions_without_any_attribute_need_a_class(tmp_path):
    regions = _regions(RECT, attributes={})

    (only,) = _objects(tmp_path, *regions, class_name="balloon")

    assert only.class_name == "balloon"
    with pytest.raises(AnnotationError, match="--class_name"):
        _objects(tmp_path, *regions)


def test_an_entry_without_a_file_name_is_reported(tmp_path):
    content = {"a": _entry(_regions(POLYGON)), "b": _entry([], ""), "c": {"size": 3}}

    found = _read(tmp_path, content)

    assert [photo.filename for photo in found.images] == ["a.png"]
    assert reasons(found) == {
        "the entry has no file name": ["via.json entry 3: {'size': 3}"],
        "the file name is empty": ["via.json entry 2: ''"],
    }


def test_a_region_without_a_class_is_named(tmp_path):
    regions = _regions(RECT) + _regions(RECT, attributes={})

    found = _read(tmp_path, {"a": _entry(regions)})

    assert len(found.images[0].objects) == 1
    assert reasons(found)["the region attribute 'class' says no class"] == ["a.png region 1"]


@pytest.mark.parametrize("first", ["filename", "#filename"])
def test_csv(tmp_path, first):
    image(tmp_path / "a.png")
    path = tmp_path / "via.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(
            f"{first},file_size,file_attributes,region_count,region_id,"
            "region_shape_attributes,region_attributes".split(",")
        )
        for number, shape in enumerate((POLYGON, RECT)):
            rows.writerow(["a.png", 5, "{}", 2, number, json.dumps(shape), json.dumps(CAT)])
        rows.writerow(["b.png", 5, "{}", 0, 0, "{}", "{}"])

    one, two = via.read(path).images

    assert iou(one.objects[0], even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert one.objects[1].box == (20, 10, 35, 50)
    assert (two.filename, two.objects, two.path) == ("b.png", (), tmp_path / "b.png")


def test_an_image_is_found_by_its_url_and_in_another_folder(tmp_path):
    image(tmp_path / "photos" / "x y.png")
    content = {"a": _entry([], "https://here.org/x%20y.png"), "b": _entry([], "C:\\me\\A.PNG")}

    one, two = _read(tmp_path, content).images

    assert one.path == tmp_path / "photos" / "x y.png"
    assert two.path == tmp_path / "a.png"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"images": [], "annotations": []}, "no entry has a filename"),
        ({"project": {}, "file": {}, "metadata": {}}, "VIA 3"),
        ([], "VIA's JSON is"),
        ("{", "not whole JSON"),
        ("a,b\n1,2\n", "the columns filename and region_shape_attributes"),
    ],
)
def test_a_file_that_is_none_of_via_is_an_error(tmp_path, content, why):
    with pytest.raises(AnnotationError, match=why):
        _read(tmp_path, content)


UNDEFINED = """filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes
a.png,5,"{}",3,0,"{""name"":""rect"",""x"":10,""y"":20,""width"":40,""height"":15}","{""class"":""cat"",""type"":undefined}"
a.png,5,"{}",3,1,"{""name"":""rect"",""x"":1,""y"":2,""width"":4,""height"":5}","{""class"":""an undefined dog""}"
a.png,5,"{}",3,2,"{""name"":""rect"",""x"":1","{""class"":""cat""}"
"""  # noqa: E501  as VIA writes it


def test_a_csv_with_javascripts_undefined_is_read_and_a_broken_row_named(tmp_path):
    image(tmp_path / "a.png")

    found = via.read(text(tmp_path / "via.csv", UNDEFINED))

    assert [each.class_name for each in found.images[0].objects] == ["cat", "an undefined dog"]
    (broken,) = [f for f in found.findings if f.group == "skipped objects"]
    assert broken.key == "via.csv line 4"


def test_a_json_with_javascripts_undefined_is_read(tmp_path):
    content = json.dumps({"a.png-1": _entry(_regions(RECT, attributes={"class": "cat", "u": 7}))})

    found = _read(tmp_path, content.replace('"u": 7', '"u": undefined'))

    assert found.images[0].objects[0].class_name == "cat"
    with pytest.raises(AnnotationError, match="not whole JSON"):
        _read(tmp_path, content[:-3])


def test_undefined_is_an_object_without_a_class(tmp_path):
    regions = [
        *_regions(RECT),
        *_regions(RECT, attributes={"class": "undefined"}),
        *_regions(RECT, attributes={"class": {"undefined": True}}),
    ]

    found = _read(tmp_path, {"a.png-1": _entry(regions)})

    assert [each.class_name for each in found.images[0].objects] == ["cat"]
    skipped = [f for f in found.findings if f.group == "skipped objects"]
    assert [f.key for f in skipped] == ["a.png region 1", "a.png region 2"]
    assert skipped[0].reason == "the region attribute 'class' says no class ('undefined')"
    named = _read(tmp_path, {"a.png-1": _entry(regions)}, class_name="dog").images[0].objects
    assert [each.class_name for each in named] == ["cat", "dog", "dog"]


@pytest.mark.parametrize(
    "name", [None, 7, ["a.png"], "", " ", "a\0.png", "x" * 300, "\ud800", ".."]
)
def test_an_entry_whose_file_name_is_none_is_named_and_the_others_read(tmp_path, name):
    content = json.dumps({"1": _entry(_regions(RECT), name), "2": _entry(_regions(RECT))})

    found = _read(tmp_path, content)

    assert [photo.filename for photo in found.images] == ["a.png"]
    (skipped,) = [f for f in found.findings if f.group == "skipped images"]
    assert skipped.key.startswith("via.json entry 1: ")
