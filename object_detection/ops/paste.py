"""Masks of boxes pasted into images and encoded, in numpy, inside the boxes only.

The numbers are those of `masks.paste`. A whole image's mask is built only where it is asked for;
encoding needs none: it reads the runs off the crop.
"""

from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_codec

from object_detection.client import run_lengths

# Least height or width of a box, as a fraction of the image (TFOD).
_LEAST_EXTENT = 1e-4


class MaskCrop(NamedTuple):
    """The part of an image's mask that can be object; all around it is none."""

    pixels: np.ndarray  # [h, w] bool, inside the image
    top: int  # row and column of the image that the first pixel lies at
    left: int

    def full(self, height, width):
        """The whole mask, bool [height, width]."""
        mask = np.zeros((height, width), bool)
        mask[self.window] = self.pixels
        return mask

    @property
    def window(self):
        """(rows, columns) of the image that the crop covers, as slices."""
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def tight(self):
        """The same without rows and columns at its sides that hold no object."""
        rows = np.flatnonzero(self.pixels.any(axis=1))
        columns = np.flatnonzero(self.pixels.any(axis=0))
        if not len(rows):
            return MaskCrop(self.pixels[:0, :0], self.top, self.left)
        pixels = self.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return MaskCrop(pixels, self.top + int(rows[0]), self.left + int(columns[0]))


def paste_mask(mask, box, height, width):
    """The mask of a box as a mask of its image.

    Args:
        mask: [M, M'] float, read bilinearly; its outermost centres lie on the box's border.
        box: (ymin, xmin, ymax, xmax) pixels of the image; may reach beyond it.
        height, width: of the image.

    Returns:
        [height, width] float32, 0 outside the box.
    """
    pasted = np.zeros((height, width), np.float32)
    crop, top, left = _paste_crop(mask, box, height, width)
    pasted[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return pasted


def encode_mask(mask, box, height, width, threshold=0.5):
    """The COCO run-length code of `paste_mask(...) > threshold`.

    Args:
        mask, box, height, width: as in `paste_mask`.
        threshold: 0 or more, so that the outside of the box is outside of the mask.

    Returns:
        {"size": [height, width], "counts": bytes}.
    """
    return encode_crop(crop_mask(mask, box, height, width, threshold), height, width)


def crop_mask(mask, box, height, width, threshold=0.5):
    """`paste_mask(...) > threshold` as a `MaskCrop`, which takes no more memory than the box."""
    crop, top, left = _paste_crop(mask, box, height, width)
    return MaskCrop(crop > threshold, int(top), int(left))


def encode_crop(crop, height, width):
    """The COCO run-length code of the mask of an image whose `MaskCrop` is given."""
    counts = _runs(crop.pixels, crop.top, crop.left, height, width)
    return rle_codec.frPyObjects({"size": [height, width], "counts": counts}, height, width)


def decode_crop(code):
    """A COCO run-length code as a tight `MaskCrop`; raises `RunLengthError` for what is none."""
    return MaskCrop(run_lengths.decode(code), 0, 0).tight()


def encode_masks(masks, boxes, height, width, threshold=0.5):
    """`encode_mask` of each of masks [D, M, M'] in boxes [D, 4]: a list of D codes."""
    return [
        encode_mask(mask, box, height, width, threshold)
        for mask, box in zip(masks, boxes, strict=True)
    ]


def encode_bitmaps(masks):
    """The COCO run-length codes of [g, height, width] masks, where > 0 is object.

    Only the rows and columns that a mask has pixels in are gone through for its runs.
    """
    return [_encode_bitmap(mask) for mask in np.asarray(masks)]


def _encode_bitmap(mask):
    height, width = mask.shape
    columns = np.flatnonzero(mask.max(axis=0, initial=0) > 0)
    if not len(columns):
        return rle_codec.frPyObjects(
            {"size": [height, width], "counts": [height * width]}, height, width
        )
    left, right = columns[0], columns[-1] + 1
    rows = np.flatnonzero(mask[:, left:right].max(axis=1) > 0)
    top, bottom = rows[0], rows[-1] + 1
    counts = _runs(mask[top:bottom, left:right] > 0, top, left, height, width)
    return rle_codec.frPyObjects({"size": [height, width], "counts": counts}, height, width)


def _paste_crop(mask, box, height, width):
    """The part of a pasted mask that can be other than 0, and its top row and left column."""
    mask = np.asarray(mask, np.float32)
    top, y, y_after, y_lerp = _readings(box[0], box[2], height, mask.shape[0])
    left, x, x_after, x_lerp = _readings(box[1], box[3], width, mask.shape[1])
    # In the order of TensorFlow's kernel: along x first, each as a + (b - a) * fraction. The
    # mask's rows are fewer than the image's, so they are stretched along x while they are few.
    before, lines = mask.take(x, axis=1), mask.take(x_after, axis=1)
    lines -= before
    lines *= x_lerp
    lines += before
    before, crop = lines.take(y, axis=0), lines.take(y_after, axis=0)
    crop -= before
    crop *= y_lerp[:, np.newaxis]
    crop += before
    return crop, top, left


def _readings(low, high, image_side, mask_side):
    """What the image's pixels read along one axis, as TensorFlow's crop_and_resize computes it.

    Args:
        low, high: ends of the box in pixels of the image.

    Returns:
        first: the first pixel of the image inside the box; the arrays begin there.
        before, after: [n] int, the mask's pixels on either side.
        lerp: [n] float32, how far from `before` to `after`.
    """
    low, high = np.float32(low) / np.float32(image_side), np.float32(high) / np.float32(image_side)
    extent = np.maximum(high - low, np.float32(_LEAST_EXTENT))
    start, end = -low / extent, (np.float32(1.0) - low) / extent
    last = np.float32(mask_side - 1)
    if image_side > 1:
        step = (end - start) * last / np.float32(image_side - 1)
        point = start * last + np.arange(image_side, dtype=np.float32) * step
    else:
        point = np.array([0.5 * np.float64(start + end) * last], np.float32)
    # Points never fall, so those inside are one run.
    first = int(point.searchsorted(0, "left"))
    point = point[first : int(point.searchsorted(last, "right"))]
    before = np.floor(point)
    return first, before.astype(np.intp), np.ceil(point).astype(np.intp), point - before


def _runs(crop, top, left, height, width):
    """COCO's counts of a mask that is `crop` [h, w] bool at (top, left) and 0 elsewhere.

    Runs go down the columns and begin with one of zeros, which may be empty.
    """
    total = height * width
    # The crop's columns one after the other, a 0 before each and after the last: where two
    # neighbours differ is a border of a run.
    crop_height, crop_width = crop.shape
    pixels = np.zeros(crop_width * (crop_height + 1) + 1, bool)
    pixels[1:].reshape(crop_width, crop_height + 1)[:, :-1] = crop.T
    borders = np.flatnonzero(pixels[1:] != pixels[:-1])
    # From the crop's columns of height + 1 to the image's.
    borders += borders // (crop_height + 1) * (height - crop_height - 1) + (left * height + top)
    # Runs that touch the image's border go on in the next column: two equal borders cancel.
    if len(borders) > 2 and crop_height == height:
        double = np.flatnonzero(borders[1:] == borders[:-1])
        borders = np.delete(borders, np.concatenate([double, double + 1]))
    counts = np.empty(len(borders) + 1, np.int64)
    counts[:-1], counts[-1] = borders, total
    counts[1:] -= borders
    return counts[:-1].tolist() if len(counts) > 1 and counts[-1] == 0 else counts.tolist()
