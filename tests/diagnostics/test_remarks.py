"""Versions within bounds."""

import pytest

from object_detection.diagnostics.remarks import numbers, satisfies


@pytest.mark.parametrize(
    ("version", "bounds", "holds"),
    [
        ("2.21.0", ">=2.20", True),
        ("2.9.1", ">=2.20", False),  # numbers, not text
        ("6.31", ">=6.31,<8", True),
        ("8.0", ">=6.31,<8", False),
        ("8", "<8.0", False),
        ("2.20.0rc1", ">=2.20", True),
        ("1.4.9", "~=1.4", True),
        ("2.0", "~=1.4", False),
        ("1.5", "==1.*", True),
        ("3", "!=3", False),
        ("1", "", True),
    ],
)
def test_bounds(version, bounds, holds):
    assert satisfies(version, bounds) is holds


def test_the_release_of_a_version():
    assert numbers("2.21.0.dev3+cpu") == (2, 21, 0) and numbers("unknown") == () == numbers(None)
