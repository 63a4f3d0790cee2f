"""Values from outside come into messages short, on one line and printable."""

import time

import pytest

from object_detection.utils.messages import shorten


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("cat", "cat"),
        ("Bär 猫", "Bär 猫"),
        ("", ""),
        ("a\nb\x00", r"a\nb\x00"),
        ("\ud800", r"\ud800"),
        (b"cat\xff", r"cat\xff"),
        (True, "True"),
        (None, "None"),
        (-17, "-17"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        (10**5000, "a whole number of about 5,001 digits"),
        ([1, "a"], "[1, 'a']"),
        ([10**5000], "a list"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_a_value_is_one_printable_line(value, shown):
    assert shorten(value) == shown


def test_a_long_text_keeps_both_ends_and_its_length():
    assert shorten("a" * 4_999_999 + "b", 9) == "aaaaaa...aab (5,000,000 characters)"
    assert shorten(b"a" * 10, 9) == "aaaaaa...aaa (10 bytes)"
    assert shorten("a" * 9, 9) == "a" * 9


def test_the_cost_does_not_grow_with_the_value():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    started = time.monotonic()

    assert max(len(shorten(value)) for value in (nested, ["a" * 10**7], {"k": [0] * 10**6})) < 300
    assert time.monotonic() - started < 2
