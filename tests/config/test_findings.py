"""Findings read as sentences."""

import math

import pytest

from object_detection.config.findings import Finding, Section, faults, listed, number, warnings
from object_detection.protos import post_processing_pb2


def test_a_finding_is_where_problem_and_fix():
    assert str(Finding("a.b", "is 3; at least 4")) == "a.b is 3; at least 4."
    assert str(Finding("a.b", "is 3", "Set it to 4")) == "a.b is 3. Set it to 4."
    assert str(Finding("a.b", "is x", "Did you mean y?")) == "a.b is x. Did you mean y?"


def test_findings_are_joined_in_order_without_repeats():
    one, two = Finding("a", "x"), Finding("b", "y")

    joined = faults([one]).merge(faults([two, one])).merge(warnings([one]))

    assert joined.faults == (one, two)
    assert joined.warnings == (one,)


@pytest.mark.parametrize(("value", "passes"), [(0.0, True), (1.0, True), (1.5, False)])
def test_ranges_include_their_ends(value, passes):
    section = Section(post_processing_pb2.BatchNonMaxSuppression(iou_threshold=value), "nms")

    assert (list(section.within(0, 1, "iou_threshold")) == []) == passes


def test_not_a_number_lies_in_no_range():
    section = Section(post_processing_pb2.BatchNonMaxSuppression(iou_threshold=math.nan), "nms")

    assert [str(found) for found in section.within(0, 1, "iou_threshold")] == [
        "nms.iou_threshold is nan; allowed: 0 to 1."
    ]
    assert list(section.at_least(0, "iou_threshold")) and list(section.above(0, "iou_threshold"))


def test_numbers_and_lists_are_written_short():
    message = post_processing_pb2.BatchNonMaxSuppression(iou_threshold=0.1)

    assert number(message.iou_threshold) == "0.1"  # float32 0.1 is 0.10000000149
    assert listed("abcd", 2) == "a, b and 2 more"
    assert listed("ab", 2) == "a, b"
