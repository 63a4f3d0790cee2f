"""The one codec of run lengths: it reads what pycocotools reads, and refuses what is faulty."""

import numpy as np
import pytest
from pycocotools import mask as rle_codec

from object_detection.errors import MaskError
from object_detection.structures import run_lengths


def test_all_forms_of_one_mask():
    # 2 rows, 3 columns: one outside, three inside, two outside, down the columns.
    expected = [[False, True, False], [True, True, False]]
    code = rle_codec.encode(np.asfortranarray(expected, np.uint8))["counts"]

    for counts in ([1, 3, 2], (1.0, "3", 2), np.array([1, 3, 2]), code, code.decode(), str(code)):
        rle = {"size": [2, 3], "counts": counts}
        assert run_lengths.decode(rle).tolist() == expected
        assert run_lengths.normalize(rle, 2, 3) == {"size": [2, 3], "counts": code}


def test_a_backslash_in_the_text_of_bytes():
    size = [60, 1]
    mask = np.zeros(size, np.uint8)
    mask[44] = 1
    code = rle_codec.encode(np.asfortranarray(mask))["counts"]
    assert b"\\" in code

    assert run_lengths.decode({"size": size, "counts": str(code)})[44, 0]


@pytest.mark.parametrize(
    ("size", "counts", "why"),
    [
        ([2, 3], [5, 4_000_000], "add up to 4000005 pixels, an image of 2 x 3 has 6"),
        ([2, 3], [5], "add up to 5"),
        ([2, 3], [7], "add up to 7"),
        ([2, 3], [5, -1, 2], "negative"),
        ([2, 3], [2**63], "64 bits"),
        ([2, 3], [1.5, 4.5], "not all whole"),
        ([2, 3], [float("inf")], "not all whole"),
        ([2, 3], [[1, 5]], "not all whole"),
        ([2, 3], None, "neither text nor numbers"),
        ([2, 3], "0oooooooO", "32 bits"),
        ([2, 3], "PPPPPPPP", "foreign|cut off"),
        ([2, 3], "\x01\x02zz~~", "foreign"),
        ([2, 3], "ä", "foreign"),
        ([2, 3], "b'12", "foreign"),
        ([0, 0], [], "0 x 0"),
        ([0, 0], [5, 10], "0 x 0"),
        ([-2, 3], [6], "-2 x 3"),
        ([2], [6], "not \\[height, width\\]"),
        ([2, None], [6], "not \\[height, width\\]"),
        ("23", [6], "not \\[height, width\\]"),
        ([60000, 60000], [3_600_000_000], "60000 x 60000"),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused(size, counts, why):
    with pytest.raises(MaskError, match=why):
        run_lengths.parse({"size": size, "counts": counts})


def test_the_size_has_to_be_the_images():
    with pytest.raises(MaskError, match="is 3 x 2 .* image is 2 x 3: the two are exchanged"):
        run_lengths.parse({"size": [3, 2], "counts": [6]}, 2, 3)
    with pytest.raises(MaskError, match="need 'size' and 'counts'"):
        run_lengths.parse({"counts": [6]}, 2, 3)


def test_empty_runs_are_merged_before_pycocotools_sees_them():
    rle = {"size": [2, 3], "counts": [0, 0, 1, 2, 0, 1, 2, 0]}  # one outside, three in, two out

    code = run_lengths.normalize(rle)

    assert code == run_lengths.normalize({"size": [2, 3], "counts": [1, 3, 2]})
    assert run_lengths.merge_empty(np.array([0, 3, 3])).tolist() == [0, 3, 3]
    assert run_lengths.merge_empty(np.array([0, 0, 6])).tolist() == [6]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((1, 1), (1.0, 1), ("1", 1), ("1.0", 1), ("0001", 1), (" 7 ", 7), ("-3", -3)),
        *((np.int64(4), 4), (np.float32(4), 4), (True, None), (1.5, None), ("1e3", None)),
        *((None, None), (float("nan"), None), (float("inf"), None), ([1], None), ("", None)),
        *(("²", None), ("9" * 5000, None)),
    ],
)
def test_whole_numbers(value, number):
    assert run_lengths.whole_number(value) == number
