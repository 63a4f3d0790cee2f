"""Modes of prediction: a model sees all of an image, a region, given boxes, or sliding windows.

A mode is a plain value. Its `regions` are the parts of an image that it cuts out; `merging`
combines the detections in them.
"""

import re
from typing import NamedTuple

import numpy as np

_SIDE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%|px|)\s*")


class Region(NamedTuple):
    """A rectangle of whole pixels of an image; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Return the pixels [h, w, 3] of the region."""
        return image[self.top : self.bottom, self.left : self.right]


class FullImage(NamedTuple):
    """Mode in which the model sees the whole image."""

    def regions(self, height, width, boxes=None):
        """Return the one region: the whole image."""
        _no_boxes(boxes)
        return [Region(0, 0, height, width)]


class RegionOfInterest(NamedTuple):
    """Mode in which the model sees the image without a border on each side.

    Each border is a number of pixels (40, '40px') or a share of the image's side ('10%', rounded
    down to pixels).
    """

    left: int | str = 0
    top: int | str = 0
    right: int | str = 0
    bottom: int | str = 0

    def regions(self, height, width, boxes=None):
        """Return the one region.

        Raises:
            ValueError: A border is not a number of pixels or percent, or nothing is left.
        """
        _no_boxes(boxes)
        region = Region(
            pixels_of(self.top, height),
            pixels_of(self.left, width),
            height - pixels_of(self.bottom, height),
            width - pixels_of(self.right, width),
        )
        if region.height < 1 or region.width < 1:
            raise ValueError(
                f"nothing is left of an image of {height} x {width} (height x width) without its "
                f"borders: left {self.left}, top {self.top}, right {self.right}, bottom "
                f"{self.bottom}"
            )
        return [region]


class GivenBoxes(NamedTuple):
    """Mode in which the model sees one box after the other, each enlarged by a padding.

    `boxes` apply to every image: [n, (ymin, xmin, ymax, xmax)] pixels; boxes passed to `predict`
    take precedence. Each padding is a number of pixels or a share of the box's side ('10%'). Parts
    beyond the image are cut off.
    """

    boxes: object = None
    left: int | str = 0
    top: int | str = 0
    right: int | str = 0
    bottom: int | str = 0

    def regions(self, height, width, boxes=None):
        """Return one region for each box.

        Raises:
            ValueError: There are no boxes, they are not [n, 4] finite numbers, or one of them has
                no pixel in the image.
        """
        boxes = self.boxes if boxes is None else boxes
        if boxes is None:
            raise ValueError(
                "the mode GivenBoxes needs boxes: GivenBoxes(boxes=...) or predict(..., boxes=...)"
            )
        boxes = np.asarray(boxes, np.float64)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise ValueError(
                f"boxes must be [n, (ymin, xmin, ymax, xmax)] in pixels, got {boxes.tolist()}"[:300]
            )
        return [self._region(box, height, width) for box in boxes.tolist()]

    def _region(self, box, height, width):
        ymin, xmin, ymax, xmax = box
        rows, columns = ymax - ymin, xmax - xmin
        region = Region(
            max(0, int(np.floor(ymin)) - pixels_of(self.top, rows)),
            max(0, int(np.floor(xmin)) - pixels_of(self.left, columns)),
            min(height, int(np.ceil(ymax)) + pixels_of(self.bottom, rows)),
            min(width, int(np.ceil(xmax)) + pixels_of(self.right, columns)),
        )
        if rows <= 0 or columns <= 0 or region.height < 1 or region.width < 1:
            raise ValueError(
                f"box {[round(v, 2) for v in box]} (ymin, xmin, ymax, xmax) has no pixel in an "
                f"image of {height} x {width} (height x width)"
            )
        return region


class SlidingWindow(NamedTuple):
    """Mode in which the model sees overlapping windows; objects cut by borders are joined again.

    The overlap should be large enough to recognize an object from it; start with a quarter of the
    window. Windows larger than the image are cut to it; the last windows of a row and of a column
    are moved back into the image.
    """

    height: int = 512
    width: int = 512
    overlap_y: int = 128  # pixels that neighbors share at least
    overlap_x: int = 128

    def regions(self, height, width, boxes=None):
        """Return the windows, row by row.

        Raises:
            ValueError: An invalid size, or an overlap that leaves no step to the next window.
        """
        _no_boxes(boxes)
        tops = _starts(height, self.height, self.overlap_y, "height", "overlap_y")
        lefts = _starts(width, self.width, self.overlap_x, "width", "overlap_x")
        rows, columns = min(self.height, height), min(self.width, width)
        return [Region(y, x, y + rows, x + columns) for y in tops for x in lefts]


def pixels_of(side: int | str, length: float) -> int:
    """Return a border in whole pixels.

    Args:
        side: A number of pixels, '12px' or '12', or '12.5%' of `length`.
        length: Pixels that percentages refer to.

    Raises:
        ValueError: Another text, or a negative border.
    """
    text = str(side)
    match = _SIDE.fullmatch(text)
    if match is None:
        raise ValueError(f"a border is {text!r}; write pixels (40 or 40px) or a share (10%)")
    number = float(match[1])
    return int(length * number / 100) if match[2] == "%" else int(number)


def _starts(length, window, overlap, window_name, overlap_name):
    if window < 1:
        raise ValueError(f"{window_name} of a sliding window must be at least 1, got {window}")
    if overlap < 0 or overlap >= window:
        raise ValueError(
            f"{overlap_name} must be at least 0 and less than the window's {window_name} "
            f"({window}), got {overlap}"
        )
    last = max(0, length - window)
    return [*range(0, last, window - overlap), last]


def _no_boxes(boxes):
    if boxes is not None:
        raise ValueError("boxes were given, but only the mode GivenBoxes looks at boxes")
