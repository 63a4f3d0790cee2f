"""Masks to azoda's polygons and back, and masks of boxes into their image."""

import numpy as np
import pytest
from pycocotools import mask as rle_codec

from object_detection.datasets.formats import csv_table
from object_detection.integrations.azoda import mask_to_polygons, unmold_mask


def filled(polygons, height, width):
    """What pycocotools makes of polygons: the union."""
    parts = rle_codec.frPyObjects(polygons, height, width)
    return rle_codec.decode(rle_codec.merge(parts)).astype(bool)


def test_a_hole_is_cut_out_by_a_slit():
    mask = np.zeros((12, 12), bool)
    mask[2:10, 2:10] = True
    mask[4:6, 4:7] = mask[7, 8] = False

    polygons = mask_to_polygons(mask)

    assert len(polygons) == 1
    np.testing.assert_array_equal(filled(polygons, 12, 12), mask)


@pytest.mark.parametrize("seed", range(20))
def test_any_mask_comes_back(seed):
    generator = np.random.default_rng(seed)
    mask = generator.random((30, 40)) < generator.choice([0.3, 0.6, 0.9])

    np.testing.assert_array_equal(filled(mask_to_polygons(mask), 30, 40), mask)


def test_an_empty_mask_has_no_polygon():
    assert mask_to_polygons(np.zeros((4, 4), bool)) == []


def test_simpler_polygons_stay_near():
    y, x = np.mgrid[:100, :100]
    far = np.hypot(y - 50, x - 50)
    mask = (far < 40) & (far > 15)

    polygons = mask_to_polygons(mask, tolerance=1.0)

    assert len(polygons[0]) < len(mask_to_polygons(mask)[0]) / 2
    again = filled(polygons, 100, 100)
    assert (again & mask).sum() / (again | mask).sum() > 0.97


def test_a_csvs_cell_reads_them():
    mask = np.eye(5, dtype=bool)

    parts = csv_table.parse_segmentation(str(mask_to_polygons(mask))).parts

    assert len(parts) == 5


@pytest.mark.parametrize(
    "box", [(-10, -10, 5, 5), (5, 5, 5, 5), (0.2, 3.7, 9.9, 8.1), (90, 90, 99, 99)]
)
def test_unmolding_takes_boxes_that_azodas_own_failed_at(box):
    full = unmold_mask([[1.0] * 4] * 4, box, (20, 20, 3))

    assert full.shape == (20, 20)
    assert full.dtype == bool
