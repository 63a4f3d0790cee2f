"""Shapes of drawing tools as masks, against rasterization by other means."""

import numpy as np
import pytest
from rasterization import even_odd, iou, star, where

from object_detection.datasets import masks
from object_detection.datasets.annotations import AnnotatedObject, Category, Polygons, Union
from object_detection.datasets.formats import shapes
from object_detection.errors import AnnotationError
from object_detection.structures.masks import CroppedMask


def test_a_polygon_covers_what_it_encloses():
    line = star(40, 30, 20, 28, spikes=5)  # about 1,650 pixels

    assert iou(shapes.polygon(line), even_odd([line], 60, 80)) >= 0.99
    assert shapes.polygon([{"x": "1,5", "y": 2}, [3, 4, 9], (5, 6)]).parts == (
        (1.5, 2, 3, 4, 5, 6),
    )


@pytest.mark.parametrize("points", [[(1, 1), (2, 2)], [(1, 1), (2, 2), "ab"], [1, 2, 3, 4, 5, 6]])
def test_points_that_enclose_nothing_are_no_object(points):
    with pytest.raises(AnnotationError):
        shapes.polygon(points)


@pytest.mark.parametrize("degrees", [0, 30, 120, 270, 359.9])
def test_a_turned_ellipse_and_rectangle(degrees):
    a = np.radians(degrees)

    def along(x, y):  # the axes after a turn clockwise, y pointing down
        x, y = x - 50, y - 45
        return x * np.cos(a) + y * np.sin(a), -x * np.sin(a) + y * np.cos(a)

    def in_ellipse(x, y):
        u, v = along(x, y)
        return (u / 35) ** 2 + (v / 15) ** 2 <= 1

    def in_rectangle(x, y):
        u, v = along(x, y)
        return (abs(u) <= 35) & (abs(v) <= 15)

    assert iou(shapes.ellipse(50, 45, 35, 15, degrees), where(in_ellipse, 90, 100)) >= 0.99
    assert iou(shapes.rectangle((30, 15, 60, 85), degrees), where(in_rectangle, 90, 100)) >= 0.99


@pytest.mark.parametrize("radius", [0.4, 3, 18, 3000])
def test_a_circle_reaches_its_outermost_points_and_no_further(radius):
    box = masks.extent(shapes.ellipse(5, 7, radius, radius))

    np.testing.assert_allclose(box, (7 - radius, 5 - radius, 7 + radius, 5 + radius))


@pytest.mark.parametrize("radii", [(0, 5), (5, float("nan")), (float("inf"), 2)])
def test_a_circle_without_size_is_no_object(radii):
    with pytest.raises(AnnotationError, match="without size"):
        shapes.ellipse(1, 1, *radii)


@pytest.mark.parametrize("corners", [((1, 2), (5, 9)), ((5, 9), (1, 2)), ((1, 9), (5, 2))])
def test_corners_in_any_order(corners):
    assert shapes.box_of(corners) == (2, 1, 9, 5)


def _object(key, name="cat", **fields):
    return AnnotatedObject(key, name, mask=Polygons(((float(key),) * 6,)), **fields)


def test_objects_of_one_group_and_class_become_one():
    members = [
        (None, _object("1")),
        (7, _object("2")),
        (7, _object("3", "dog")),
        ("7", _object("4", crowd=True)),
        (None, _object("5")),
    ]

    found = shapes.grouped(members)

    assert [each.key for each in found] == ["1", "2", "3", "5"]
    assert found[1].mask == Polygons(((2.0,) * 6, (4.0,) * 6))
    assert found[1].crowd and not found[2].crowd


def test_masks_of_different_kinds_become_a_union_and_boxes_are_spanned():
    bitmap = CroppedMask(np.ones((2, 2)))
    one = _object("1", box=(1, 1, 3, 3), area=4.0)
    two = _object("2", box=(2, 0, 5, 2))._replace(mask=bitmap)

    found = shapes.joined([one, two])

    assert found.mask == Union((one.mask, bitmap))
    assert (found.box, found.area) == ((1, 0, 5, 3), None)
    assert shapes.joined([one, two._replace(box=None)]).box is None
    holed = Polygons(one.mask.parts, one.mask.parts)
    assert shapes.united([holed, one.mask]) == Union((holed, one.mask))


def test_ticks_in_free_attributes():
    attributes = {"Difficult": "True", "is_crowd": 1, "truncated": "no", "color": "true"}

    assert shapes.flags_of(attributes) == {"difficult": True, "crowd": True}
    assert shapes.flags_of({"IsGroupOf": True, "crowd": None, "Truncated": "1"}) == {
        "group_of": True,
        "truncated": True,
    }


def test_categories_are_those_declared_and_used():
    class Image:
        objects = (_object("1", "dog"), _object("2", "ant"))

    assert shapes.categories([Image], ["cat", "dog"]) == (
        Category("ant"),
        Category("cat"),
        Category("dog"),
    )
