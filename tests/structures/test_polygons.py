"""Outlines of masks: the corners one can count, and masks that come back to the pixel."""

import numpy as np
import pytest
from pycocotools import mask as rle_codec

from object_detection.structures import polygons


def filled(found, height, width):
    """The mask of outlines, by COCO's own filling; holes cut out of each part."""
    mask = np.zeros([height, width], bool)
    for part in found:
        part_mask = drawn(part.exterior, height, width)
        for hole in part.holes:
            part_mask &= ~drawn(hole, height, width)
        mask |= part_mask
    return mask


def drawn(ring, height, width):
    codes = rle_codec.frPyObjects([polygons.flatten(ring)], height, width)
    return rle_codec.decode(codes)[..., 0].astype(bool)


def test_a_rectangle_has_four_corners():
    mask = np.zeros([6, 8], bool)
    mask[1:4, 2:7] = True

    (part,) = polygons.trace(mask)

    assert part.holes == []
    assert sorted(map(tuple, part.exterior.tolist())) == [(2, 1), (2, 4), (7, 1), (7, 4)]
    (moved,) = polygons.trace(mask, top=10, left=20)
    np.testing.assert_array_equal(moved.exterior, part.exterior + [20, 10])


def test_a_hole_belongs_to_its_part():
    mask = np.zeros([12, 24], bool)
    mask[1:11, 1:11] = True
    mask[3:9, 3:9] = False
    mask[5:7, 5:7] = True  # an island in the hole
    mask[2:6, 14:20] = True
    mask[3, 16] = False

    ring, other, island = polygons.trace(mask)

    assert [len(part.holes) for part in (ring, other, island)] == [1, 1, 0]
    assert {tuple(p) for p in ring.holes[0].tolist()} == {(3, 3), (9, 3), (9, 9), (3, 9)}
    assert {tuple(p) for p in other.holes[0].tolist()} == {(16, 3), (17, 3), (17, 4), (16, 4)}
    np.testing.assert_array_equal(filled([ring, other, island], 12, 24), mask)


def test_pixels_that_meet_at_a_corner_are_two_parts():
    assert len(polygons.trace(np.eye(2, dtype=bool))) == 2


def test_nothing_has_no_outline():
    assert polygons.trace(np.zeros([3, 3], bool)) == []
    assert polygons.trace(np.zeros([0, 0], bool)) == []


@pytest.mark.parametrize("density", [0.2, 0.5, 0.8])
def test_any_mask_comes_back_to_the_pixel(density):
    generator = np.random.default_rng(3)
    for _ in range(20):
        mask = generator.random([17, 23]) < density
        np.testing.assert_array_equal(filled(polygons.trace(mask), 17, 23), mask)


def test_simplified_outlines_keep_to_their_tolerance():
    y, x = np.mgrid[:80, :100]
    mask = ((x - 50) / 40) ** 2 + ((y - 40) / 30) ** 2 < 1
    (exact,) = polygons.trace(mask)
    (simple,) = polygons.trace(mask, tolerance=1.0)

    assert len(simple.exterior) < len(exact.exterior) / 3
    again = drawn(simple.exterior, 80, 100)
    assert (again & mask).sum() / (again | mask).sum() > 0.97


def test_what_is_too_small_to_simplify_stays():
    mask = np.zeros([5, 5], bool)
    mask[1:3, 1] = mask[2, 2] = True
    (part,) = polygons.trace(mask, tolerance=5.0)
    np.testing.assert_array_equal(drawn(part.exterior, 5, 5), mask)


def test_flat_lists_are_short_text():
    assert polygons.flatten(np.array([[1.0, 2.5], [3.0, 1 / 3]])) == [1, 2.5, 3, 0.33]
