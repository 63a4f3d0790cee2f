"""Segmentations that stand as text in a table."""

import pytest
from pycocotools import mask as coco_mask

from object_detection.datasets.annotations import Polygons, RunLengths
from object_detection.datasets.formats.csv_table import parse_segmentation
from object_detection.datasets.masks import rasterize
from object_detection.errors import AnnotationError

TRIANGLE = (1.0, 1.0, 5.0, 1.0, 5.0, 4.5)


@pytest.mark.parametrize(
    "text",
    [
        "[[1, 1, 5, 1, 5, 4.5]]",
        "[1, 1, 5, 1, 5, 4.5]",
        "((1, 1, 5, 1, 5, 4.5),)",
        "[[1, 1], [5, 1], [5, 4.5]]",
        "[(1, 1), (5, 1), (5, 4.5)]",
        "[[[1, 1], [5, 1], [5, 4.5]]]",
        '[{"x": 1, "y": 1}, {"x": 5, "y": 1}, {"x": 5, "y": 4.5}]',
        "1 1 5 1 5 4.5",
        " 1,1, 5,1, 5,4.5 ",
        "1;1;5;1;5;4.5",
    ],
)
def test_one_polygon_in_many_spellings(text):
    assert parse_segmentation(text) == Polygons((TRIANGLE,))


def test_several_polygons_are_parts_of_one_mask():
    mask = parse_segmentation("[[1, 1, 5, 1, 5, 4.5], [], [[10, 10], [12, 10], [12, 12]]]")

    assert mask == Polygons((TRIANGLE, (10.0, 10.0, 12.0, 10.0, 12.0, 12.0)))


@pytest.mark.parametrize("text", ["", "  ", "[]", "[[]]", "nan", "NaN", "None", "[[], []]"])
def test_no_mask(text):
    assert parse_segmentation(text) is None


def test_run_lengths_plain_and_compressed():
    assert parse_segmentation("{'size': [2, 3], 'counts': [2, 1, 3]}") == RunLengths(
        2, 3, (2, 1, 3)
    )
    packed = coco_mask.frPyObjects({"size": [2, 3], "counts": [2, 1, 3]}, 2, 3)["counts"].decode()

    for text in (
        f"{{'size': [2, 3], 'counts': {packed!r}}}",
        f'{{"size":[2,3],"counts":"{packed}"}}',
    ):
        assert rasterize(parse_segmentation(text), 2, 3).tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "polygon",
        "[[1, 2",
        "__import__('os').getcwd()",
        "[1, 'two', 3]",
        "[[True, False], [1, 2]]",
        "{'size': [2, 3]}",
        "{'size': 2, 'counts': 'x'}",
        "[" * 100_000,
        "1-2-3",
        "[1, 30if, 2]",
        "{'size': [1e999, 3], 'counts': [3]}",
    ],
)
def test_what_is_no_segmentation_is_said_and_never_executed(text):
    with pytest.raises(AnnotationError):
        parse_segmentation(text)
