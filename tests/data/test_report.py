import logging

import pytest

from object_detection.data import report
from object_detection.data.report import InputReport
from object_detection.errors import RecordError


def test_counts_names_and_places():
    found = InputReport(name="train")
    found.note(report.BAD_IMAGE, "a (f, record 0)", where="f, record 0", detail="cut off")
    found.note(report.BOX_CLIPPED, "b", count=3)
    found.note(report.BAD_IMAGE, "c")
    assert found.counts() == {report.BAD_IMAGE: 2, report.BOX_CLIPPED: 3}
    assert found.names(report.BAD_IMAGE) == ["a (f, record 0)", "c"]
    assert found.places(report.BAD_IMAGE, report.NO_IMAGE) == ["f, record 0", "c"]
    assert found.summary() == (
        "train: 2 x image that cannot be decoded: a (f, record 0), c\n"
        "train: 3 x box reaching out of the image, clipped: b"
    )


def test_another_epoch_does_not_count_again():
    found = InputReport()
    for _ in range(3):
        found.note(report.BOX_CLIPPED, "a", count=2)
    assert found.counts() == {report.BOX_CLIPPED: 2}


def test_the_log_names_the_first_and_the_summary_counts_the_rest(caplog):
    found = InputReport(name="eval")
    with caplog.at_level(logging.WARNING):
        for number in range(7):
            found.note(report.BAD_MASK, f"n{number}", detail="why")
    assert [record.getMessage() for record in caplog.records] == [
        "eval: mask that cannot be decoded: n0: why",
        "eval: mask that cannot be decoded: n1: why",
        "eval: mask that cannot be decoded: n2: why (further ones are only counted)",
    ]
    caplog.clear()
    found.log_summary()
    assert [record.getMessage() for record in caplog.records] == [
        "eval: 7 x mask that cannot be decoded: n0, n1, n2, n3, n4, ..."
    ]


def test_nothing_found_says_nothing(caplog):
    found = InputReport()
    found.log_summary()
    assert found.summary() == "" and not caplog.records


@pytest.mark.parametrize(
    "reason", [report.BAD_IMAGE, report.UNKNOWN_CLASS_TEXT, report.BROKEN_FILE]
)
def test_a_strict_run_ends_at_the_first_loss(reason):
    found = InputReport(strict=True, name="train")
    with pytest.raises(RecordError, match=f"^train: {reason}: a: why$"):
        found.note(reason, "a", detail="why")
    assert found.fault == f"train: {reason}: a: why"


@pytest.mark.parametrize("reason", [report.BOX_CLIPPED, report.TOO_MANY_BOXES, report.REPAIRED])
def test_a_strict_run_bears_what_loses_nothing(reason):
    found = InputReport(strict=True)
    found.note(reason, "a")
    assert found.fault is None and found.counts() == {reason: 1}
