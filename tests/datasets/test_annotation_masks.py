"""Masks of every form to pixels."""

import io

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from object_detection.datasets.annotations import EncodedBitmap, Polygons, RunLengths, Union
from object_detection.datasets.masks import cropped, decode_runs, extent, rasterize
from object_detection.errors import AnnotationError
from object_detection.structures.masks import CroppedMask

RECTANGLE = (1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0)  # x 1..4, y 1..3


def test_a_polygon_covers_the_pixels_inside_it():
    mask = rasterize(Polygons((RECTANGLE,)), 4, 5)

    assert mask.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0],
    ]


def test_parts_of_a_polygon_are_united():
    other = tuple(np.add(RECTANGLE, 1.0))  # one down, one right: 6 + 6 - 2 shared pixels

    assert rasterize(Polygons((RECTANGLE, other)), 6, 6).sum() == 10


def test_a_polygon_across_the_border_is_cut():
    across = (-2.0, -2.0, 2.0, -2.0, 2.0, 9.0, -2.0, 9.0)  # columns 0 and 1 of every row

    assert rasterize(Polygons((across,)), 3, 4).tolist() == [[1, 1, 0, 0]] * 3


def test_parts_without_area_are_left_out():
    assert rasterize(Polygons(((1.0, 1.0, 2.0, 2.0), RECTANGLE)), 4, 5).sum() == 6


@pytest.mark.parametrize(
    "part",
    [
        (),
        (1.0, 1.0, 2.0, 2.0),
        (0.0, 0.0, 3.0, 0.0, 3.0, 3.0, 1.0),
        (0.0, 0.0, 3.0, float("nan"), 3.0, 3.0),
        (0.0, 0.0, 1e9, 0.0, 3.0, 3.0),
    ],
)
def test_a_polygon_that_is_none_is_a_fault(part):
    with pytest.raises(AnnotationError, match="polygon"):
        rasterize(Polygons((part,)), 4, 5)


def test_plain_run_lengths_go_down_the_columns():
    # 2 rows, 3 columns: one 0, three 1, two 0 down the columns.
    assert rasterize(RunLengths(2, 3, (1, 3, 2)), 2, 3).tolist() == [[0, 1, 0], [1, 1, 0]]


@pytest.mark.parametrize("seed", range(20))
def test_compressed_run_lengths_are_those_of_pycocotools(seed):
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 300, 2)
    mask = (random.random((height, width)) < random.random() ** 3).astype(np.uint8)
    counts = coco_mask.encode(np.asfortranarray(mask))["counts"]

    np.testing.assert_array_equal(decode_runs(RunLengths(int(height), int(width), counts)), mask)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ((1, 3, 1), "add up to 5 pixels, an image of 2 x 3 has 6"),
        ((1, -3, 8), "negative"),
        (b"", "cut off"),
        (b"1`", "cut off"),
        (b"a b", "foreign"),
        (b"oooooooooooo1", "32 bits"),
    ],
)
def test_wrong_run_lengths_are_a_fault_and_no_crash(counts, why):
    with pytest.raises(AnnotationError, match=why):
        rasterize(RunLengths(2, 3, counts), 2, 3)


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (RunLengths(2, 2, (0, 4)), "is 2 x 2 .*, the image is 3 x 5"),
        (RunLengths(5, 3, (0, 15)), "exchanged"),
        (RunLengths(60000, 60000, (3_600_000_000,)), "60000 x 60000"),  # 3.6 GB of pixels
        (RunLengths(0, 0, (5, 10)), "0 x 0"),
        (RunLengths(-3, 5, (5, 10)), "-3 x 5"),
    ],
)
@pytest.mark.parametrize("use", [rasterize, cropped, extent, decode_runs])
def test_run_lengths_of_another_image_size_are_a_fault(mask, why, use):
    with pytest.raises(AnnotationError, match=why):
        use(mask, 3, 5)


def test_run_lengths_too_large_for_any_image_are_a_fault():
    with pytest.raises(AnnotationError, match="at most 178956970"):
        extent(RunLengths(60000, 60000, (3_600_000_000,)))


def test_outlines_that_no_object_has_are_a_fault():
    # Each edge crosses two million pixels: pycocotools would take 100 bytes for each of them.
    part = (-1e6, -1e6, 1e6, 1e6) * 500

    with pytest.raises(AnnotationError, match="outline"):
        rasterize(Polygons((part,)), 4, 5)


def test_a_bitmap_lies_where_it_says_and_is_cut():
    corner = CroppedMask(np.full((2, 2), 255), top=-1, left=2)

    assert rasterize(corner, 2, 3).tolist() == [[0, 0, 1], [0, 0, 0]]
    assert rasterize(CroppedMask(np.ones((2, 2)), top=5, left=5), 2, 3).sum() == 0


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ((10**30, 2), "more than 64 bits"),
        # Their sum wraps around to 6 in 64 bits.
        ((2**62, 2**62, 2**62, 2**62, 6), "add up to"),
    ],
)
def test_run_lengths_beyond_all_measure(counts, why):
    with pytest.raises(AnnotationError, match=why):
        rasterize(RunLengths(2, 3, counts), 2, 3)


def test_the_extent_is_of_vertices_or_of_pixels():
    assert extent(Polygons(((1.5, 2.0, 4.0, 2.0, 4.0, 7.25),))) == (2.0, 1.5, 7.25, 4.0)
    assert extent(RunLengths(2, 3, (2, 1, 3))) == (0, 1, 1, 2)  # only the pixel (0, 1)
    assert extent(CroppedMask(np.eye(2), top=10, left=20)) == (10, 20, 12, 22)
    assert extent(CroppedMask(np.zeros((2, 2)))) is None


def _png(pixels, **options):
    stream = io.BytesIO()
    pixels.save(stream, "PNG", **options)
    return stream.getvalue()


def test_a_hole_is_cut_out_of_all_parts():
    hole = (2.0, 1.0, 3.0, 1.0, 3.0, 3.0, 2.0, 3.0)  # column 2
    other = tuple(np.add(RECTANGLE, [1, 0] * 4))

    mask = rasterize(Polygons((RECTANGLE, other), (hole, (0.0, 0.0))), 4, 6)

    assert mask[1].tolist() == [0, 1, 0, 1, 1, 0]
    assert extent(Polygons((RECTANGLE,), (hole,))) == (1.0, 1.0, 3.0, 4.0)


def test_a_union_holds_pieces_of_any_kind():
    pieces = Union((Polygons((RECTANGLE,)), CroppedMask(np.ones((1, 1)), top=0, left=5)))

    assert rasterize(pieces, 4, 6).sum() == 7
    assert extent(pieces) == (0.0, 1.0, 3.0, 6.0)
    assert extent(Union((CroppedMask(np.zeros((2, 2))),))) is None
    with pytest.raises(AnnotationError, match="no pieces"):
        rasterize(Union(()), 4, 6)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "P with transparency"])
def test_an_encoded_bitmap_is_what_is_not_transparent_else_not_black(mode):
    pixels = Image.fromarray(np.array([[0, 255, 0]], np.uint8))
    options = {}
    if mode == "P with transparency":  # white everywhere, of which the first and last do not show
        pixels = Image.fromarray(np.array([[0, 1, 0]], np.uint8), "L").convert("P")
        pixels.putpalette([255] * 6)
        options = {"transparency": 0}
    elif mode == "RGBA":  # black everywhere
        zeros = Image.new("L", (3, 1))
        pixels = Image.merge("RGBA", (zeros, zeros, zeros, pixels))
    else:
        pixels = pixels.convert(mode)

    mask = EncodedBitmap(_png(pixels, **options), top=1, left=1)

    assert rasterize(mask, 2, 4).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0]]
    assert extent(mask) == (1.0, 2.0, 2.0, 3.0)


def test_an_encoded_bitmap_that_is_no_image_is_a_fault():
    with pytest.raises(AnnotationError, match="cannot be decoded"):
        rasterize(EncodedBitmap(b"no image"), 2, 2)


def _put_back(bitmap, height, width):
    whole = np.zeros((height, width), np.uint8)
    if bitmap is not None:
        rows, columns = bitmap.pixels.shape
        assert bitmap.pixels.dtype == np.uint8 and bitmap.pixels.flags.c_contiguous
        assert bitmap.pixels[[0, -1]].any(axis=1).all() and bitmap.pixels.max() == 1
        assert bitmap.pixels[:, [0, -1]].any(axis=0).all()
        whole[bitmap.top : bitmap.top + rows, bitmap.left : bitmap.left + columns] = bitmap.pixels
    return whole


def _any_mask(random, height, width):
    """A mask of any kind, often partly outside the image."""
    star = random.uniform(-10, 40, size=(int(random.integers(3, 9)), 2)).ravel()
    inner = tuple(random.uniform(5, 20, size=6))
    pixels = random.random((int(random.integers(1, 30)), int(random.integers(1, 30)))) < 0.2
    top, left = (int(n) for n in random.integers(-15, 35, 2))
    flat = (random.random(height * width) < random.choice([0, 0.01, 0.5, 1])).astype(np.uint8)
    runs = coco_mask.encode(np.asfortranarray(flat.reshape(height, width)))["counts"]
    return [
        Polygons((tuple(star),)),
        Polygons((tuple(star), inner)),
        Polygons((tuple(star),), (inner,)),
        CroppedMask(pixels, top, left),
        CroppedMask(pixels * np.int32(255), top, left),
        RunLengths(height, width, runs),
        Union((Polygons((tuple(star),)), CroppedMask(pixels, top, left))),
    ]


def test_cropped_masks_hold_the_same_pixels():
    random = np.random.default_rng(5)
    for _ in range(100):
        height, width = (int(n) for n in random.integers(1, 40, 2))
        for mask in _any_mask(random, height, width):
            found = cropped(mask, height, width)
            assert np.array_equal(
                _put_back(found, height, width), rasterize(mask, height, width)
            ), mask


@pytest.mark.parametrize(
    ("counts", "columns"),
    [
        ((6,), None),
        ((0, 6), (0, 3)),
        ((2, 2, 2), (1, 2)),  # the second of three columns
        ((1, 0, 1, 1, 3), (1, 2)),  # an empty run of ones
        ((0, 1, 4, 1), (0, 3)),  # both corners
    ],
)
def test_runs_are_cut_to_their_columns(counts, columns):
    found = cropped(RunLengths(2, 3, counts), 2, 3)

    assert (found and (found.left, found.left + found.pixels.shape[1])) == columns
    assert np.array_equal(_put_back(found, 2, 3), rasterize(RunLengths(2, 3, counts), 2, 3))


def test_a_bitmap_for_another_size_is_cut_at_the_image():
    found = cropped(CroppedMask(np.ones((4, 4), np.uint8)), 2, 3)

    assert found.pixels.shape == (2, 3)
