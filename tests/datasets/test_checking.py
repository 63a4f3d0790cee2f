"""Objects against their image. The image is 10 high and 20 wide everywhere here."""

import numpy as np
import pytest

from object_detection.datasets.annotations import AnnotatedObject, Polygons, RunLengths
from object_detection.datasets.checking import check_object
from object_detection.datasets.report import CLIPPED, DERIVED, NOTED, SKIPPED_OBJECT
from object_detection.structures.masks import CroppedMask

HEIGHT, WIDTH = 10, 20
SQUARE = Polygons(((2.0, 2.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0),))  # 16 pixels


def _object(**fields):
    return AnnotatedObject("annotation 7", "cat", **fields)


def _check(found, *, with_mask=False):
    return check_object(found, HEIGHT, WIDTH, with_mask=with_mask)


def _reasons(findings):
    return [(finding.group, finding.reason) for finding in findings]


def test_a_sound_object_is_kept_as_it_is():
    fitted, findings = _check(
        _object(box=(2.0, 2.0, 6.0, 6.0), area=12.5, mask=SQUARE), with_mask=True
    )

    assert (fitted.box, fitted.area, fitted.mask.pixels.sum()) == ((2.0, 2.0, 6.0, 6.0), 12.5, 16)
    assert findings == []


def test_touching_the_border_is_no_crossing():
    fitted, findings = _check(_object(box=(0.0, 0.0, 10.0, 20.0), area=200.0))

    assert fitted.box == (0.0, 0.0, 10.0, 20.0)
    assert findings == []


def test_rounding_over_the_border_is_cut_without_a_word():
    fitted, findings = _check(_object(box=(0.0, 0.0, 10.0, 20.0000001), area=200.0))

    assert fitted.box[3] == 20.0
    assert findings == []


def test_a_box_across_the_border_is_cut_with_its_mask_and_area():
    whole = Polygons(((-2.0, 2.0, 2.0, 2.0, 2.0, 6.0, -2.0, 6.0),))

    fitted, findings = _check(
        _object(box=(2.0, -2.0, 6.0, 2.0), area=16.0, mask=whole), with_mask=True
    )

    assert fitted.box == (2.0, 0.0, 6.0, 2.0)
    assert fitted.mask.pixels.sum() == fitted.area == 8  # half of 4 x 4
    assert (fitted.mask.top, fitted.mask.left) == (2, 0)
    assert _reasons(findings) == [(CLIPPED, "the box crosses the border of the image")]


def test_the_area_of_a_cut_box_without_mask_is_at_most_the_box():
    assert _check(_object(box=(2.0, -2.0, 6.0, 2.0), area=16.0))[0].area == 8.0
    assert _check(_object(box=(2.0, -2.0, 6.0, 2.0), area=5.0))[0].area == 5.0


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ((2.0, 3.0, 2.0, 5.0), "no height or no width"),
        ((2.0, 5.0, 4.0, 3.0), "no height or no width"),
        ((2.0, float("nan"), 4.0, 5.0), "NaN"),
        ((2.0, 3.0, float("inf"), 5.0), "infinite"),
        ((2.0, 20.0, 4.0, 25.0), "outside"),
        ((-4.0, 3.0, 0.0, 5.0), "outside"),
        ((2.0, 19.9999999, 4.0, 25.0), "outside"),  # inside by less than float32 can hold
    ],
)
def test_a_box_that_is_none_is_skipped_with_its_reason(box, why):
    fitted, findings = _check(_object(box=box))

    assert fitted is None
    assert [finding.group for finding in findings] == [SKIPPED_OBJECT]
    assert why in findings[0].reason
    assert findings[0].key == "annotation 7"


@pytest.mark.parametrize("with_mask", [True, False])
def test_box_and_area_come_from_the_mask_where_they_are_missing(with_mask):
    fitted, findings = _check(_object(mask=SQUARE), with_mask=with_mask)

    assert (fitted.box, fitted.area) == ((2.0, 2.0, 6.0, 6.0), 16.0)
    assert _reasons(findings) == [
        (DERIVED, "box taken from the mask"),
        (DERIVED, "area taken from the mask"),
    ]
    assert (fitted.mask is not None) == with_mask


def test_an_area_of_zero_is_a_missing_one():
    assert _check(_object(box=(1.0, 1.0, 3.0, 4.0), area=0.0))[0].area == 6.0


def test_crowd_says_nothing_about_the_form_of_the_mask():
    runs = RunLengths(HEIGHT, WIDTH, (0, 5, 195))  # the upper half of the first column

    for crowd in (False, True):
        for mask, pixels in ((runs, 5), (SQUARE, 16)):
            fitted, _ = _check(_object(mask=mask, crowd=crowd), with_mask=True)
            assert (fitted.mask.pixels.sum(), fitted.crowd) == (pixels, crowd)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "no mask"),
        ({"mask_fault": "the segmentation is a riddle"}, "a riddle"),
        ({"mask": RunLengths(HEIGHT, WIDTH, (1, 2))}, "add up to 3"),
        ({"mask": CroppedMask(np.zeros((HEIGHT, WIDTH)))}, "covers no pixel"),
        ({"mask": Polygons(((30.0, 2.0, 36.0, 2.0, 36.0, 6.0),))}, "covers no pixel"),
    ],
)
def test_without_a_usable_mask_an_object_is_skipped_only_where_masks_are_wanted(fields, why):
    found = _object(box=(2.0, 2.0, 6.0, 6.0), area=16.0, **fields)

    fitted, findings = _check(found, with_mask=True)

    assert fitted is None
    assert why in findings[0].reason
    assert _check(found)[0].box == (2.0, 2.0, 6.0, 6.0)


def test_neither_box_nor_mask_is_skipped():
    for fields in ({}, {"mask": RunLengths(HEIGHT, WIDTH, (200,))}):
        fitted, findings = _check(_object(**fields))
        assert fitted is None
        assert findings[0].reason == "neither a box nor a mask"


def test_a_mask_of_another_size_is_reported():
    mask = CroppedMask(np.ones((2, 2), np.uint8))

    fitted, findings = _check(
        _object(box=(0.0, 0.0, 2.0, 2.0), area=4.0, mask=mask), with_mask=True
    )

    assert fitted.mask.pixels.shape == (2, 2)
    assert findings[0].group == NOTED


def test_run_lengths_of_another_size_are_named_and_leave_the_box_out_of_it():
    mask = RunLengths(2, 2, (0, 4))
    boxed = _object(box=(0.0, 0.0, 2.0, 2.0), area=4.0, mask=mask)

    fitted, findings = _check(boxed, with_mask=True)
    assert fitted is None
    assert "2 x 2" in findings[0].reason

    assert _check(boxed, with_mask=False)[0].box == (0, 0, 2, 2)
    fitted, findings = _check(boxed._replace(box=None), with_mask=False)
    assert fitted is None  # no box from a mask of another image
    assert "2 x 2" in findings[0].reason


def _square(top, left, side):
    return CroppedMask(np.ones((side, side), np.uint8), top, left)


@pytest.mark.parametrize(
    ("box", "mask", "fits"),
    [
        ((1.0, 1.0, 5.0, 5.0), _square(1, 1, 4), True),
        # 3 x 3 within 7 x 7 shares 9 of 49, yet no side is off by more than 2: a coarse drawing.
        ((1.0, 1.0, 8.0, 8.0), _square(3, 3, 3), True),
        (
            (0.0, 0.0, 8.0, 16.0),
            CroppedMask(np.ones((8, 8), np.uint8)),
            True,
        ),  # half of it: 64 of 128
        ((0.0, 0.0, 8.0, 16.5), CroppedMask(np.ones((8, 8), np.uint8)), False),  # 64 of 132
        ((0.0, 12.0, 4.0, 16.0), _square(0, 0, 4), False),  # beside each other
    ],
)
def test_box_and_mask_are_compared(box, mask, fits):
    fitted, findings = _check(_object(box=box, area=9.0, mask=mask), with_mask=True)

    assert fitted.box == box  # told, not changed
    reported = [reason for group, reason in _reasons(findings) if "lie apart" in reason]
    assert bool(reported) != fits


def test_the_part_outside_the_image_is_not_compared():
    mask = Polygons(((-30.0, 2.0, 4.0, 2.0, 4.0, 6.0, -30.0, 6.0),))

    _, findings = _check(_object(box=(2.0, -30.0, 6.0, 4.0), area=9.0, mask=mask), with_mask=True)

    assert [finding.group for finding in findings] == [CLIPPED]
