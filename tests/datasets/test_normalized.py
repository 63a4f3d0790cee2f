"""Shares of the image's sides to pixels."""

import numpy as np

from object_detection.datasets.annotations import AnnotatedImage, AnnotatedObject, Polygons, Union
from object_detection.datasets.checking import to_pixels
from object_detection.structures.masks import CroppedMask

POLYGON = Polygons(((0.1, 0.5, 0.2, 0.5, 0.2, 1.0),), ((0.0, 0.0, 0.5, 0.0, 0.5, 0.5),))
# An image 10 high and 100 wide.
IN_PIXELS = Polygons(((10.0, 5.0, 20.0, 5.0, 20.0, 10.0),), ((0.0, 0.0, 50.0, 0.0, 50.0, 5.0),))


def _image(found, normalized=True):
    return AnnotatedImage("a", "a", "a.png", (found,), normalized=normalized)


def test_boxes_polygons_holes_and_areas_are_scaled():
    found = AnnotatedObject("1", "cat", (0.1, 0.2, 0.5, 0.25), POLYGON, area=0.5)

    (scaled,) = to_pixels(_image(found), 10, 100)

    np.testing.assert_allclose(scaled.box, (1, 20, 5, 25))
    for got, want in zip(scaled.mask, IN_PIXELS, strict=True):
        np.testing.assert_allclose(got, want)
    assert scaled.area == 500


def test_pixels_stay_and_pieces_of_a_union_are_scaled_each():
    bitmap = CroppedMask(np.ones((2, 2)))
    found = AnnotatedObject("1", "cat", mask=Union((bitmap, POLYGON)))

    (scaled,) = to_pixels(_image(found), 10, 100)

    assert scaled.mask.masks[0] is bitmap
    np.testing.assert_allclose(scaled.mask.masks[1].parts, IN_PIXELS.parts)
    assert scaled.box is None


def test_an_image_in_pixels_is_left_alone():
    found = AnnotatedObject("1", "cat", (1, 2, 3, 4), POLYGON)

    assert to_pixels(_image(found, normalized=False), 10, 100) == (found,)
