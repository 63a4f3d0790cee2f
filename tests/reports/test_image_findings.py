"""Checks of objects, each on boxes a reader can check in the head."""

import numpy as np
import pytest

from object_detection.reports import findings as checks
from object_detection.structures.instances import Instances
from object_detection.structures.masks import Masks

SIZE = (100, 200)


def found(boxes, classes=None, crowd=None, masks=None):
    boxes = np.float32(boxes).reshape(-1, 4)
    none = np.zeros(len(boxes), bool)
    objects = Instances(
        *SIZE,
        boxes,
        np.int32(classes or [1] * len(boxes)),
        crowd=none if crowd is None else np.array(crowd),
        difficult=none,
    )
    findings = checks.check_objects(objects, masks)
    return {finding.reason: (finding.count, finding.detail) for finding in findings}


def test_a_good_box_gives_nothing():
    assert not found([[10, 10, 30, 40]])


def test_an_image_without_objects():
    assert found([]) == {checks.NO_OBJECTS: (1, "")}


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([0, 10, 30, 40], checks.AT_BORDER),
        ([70, 10, 100, 40], checks.AT_BORDER),
        ([10, 170, 30, 200], checks.AT_BORDER),
        ([10, 10, 11.5, 40], checks.TINY),
    ],
)
def test_one_box(box, reason):
    assert found([[10, 60, 30, 90], box]) == {reason: (1, "#2")}


def test_a_box_as_large_as_the_image():
    assert checks.WHOLE_IMAGE in found([[0, 0, 100, 200]])
    assert checks.WHOLE_IMAGE not in found([[0, 0, 100, 100]])


def test_twins():
    twice = [[10, 10, 50, 50], [10, 10, 50, 50.5]]

    assert found(twice) == {checks.SAME_BOX_SAME_CLASS: (1, "#2")}
    assert found(twice, classes=[1, 2]) == {checks.SAME_BOX_OTHER_CLASS: (1, "#2")}
    assert checks.SAME_BOX_SAME_CLASS not in found(twice, crowd=[False, True])
    assert not found([[10, 10, 50, 50], [10, 20, 50, 60]])


def test_masks_against_boxes():
    boxes = [[10, 10, 30, 30], [10, 40, 30, 60], [10, 70, 30, 90], [10, 100, 30, 120]]
    masks = np.zeros((4, *SIZE), np.uint8)
    masks[0, 10:30, 11:29] = 1  # fits
    masks[1, 10:30, 45:65] = 1  # five pixels off: 300 of 500 are shared
    masks[3, 10:31, 100:122] = 1  # over by rounding: 400 of 462, but two pixels are none

    of_masks = checks.extents_in_image(Masks.from_dense(masks), SIZE)

    assert found(boxes, masks=of_masks) == {
        checks.MASK_NOT_IN_BOX: (1, "#2"),
        checks.EMPTY_MASK: (1, "#3"),
    }


def test_masks_of_another_size_than_the_image():
    masks = np.zeros((1, 50, 100), np.uint8)
    masks[0, 10:20, 30:60] = 1

    extents, areas = checks.extents_in_image(Masks.from_dense(masks), SIZE)

    np.testing.assert_array_equal(extents, [[20, 60, 40, 120]])
    assert areas[0] == 20 * 60


def test_many_objects_are_named_shortly():
    boxes = [[0, 10 * k, 9, 10 * k + 9] for k in range(8)]

    assert found(boxes)[checks.AT_BORDER] == (8, "#1, #2, #3, #4, #5, ...")
