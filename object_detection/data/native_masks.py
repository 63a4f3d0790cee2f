"""Decoding of masks in C, ten times as fast as TensorFlow's."""

import ctypes
from typing import NamedTuple

import numpy as np

from object_detection.data import native
from object_detection.data.image_headers import MAX_PIXELS


def decode(encoded, corners=None, size=(0, 0)):
    """Masks of plain PNG files: 8-bit gray, not interlaced.

    Args:
        encoded: [g] array of bytes.
        corners: [g, 2] int64 (row, column) of the first pixel of each; without it all masks have
            the size of the first.
        size: (height, width) of the masks, with `corners`.

    Returns:
        [g, height, width] uint8 of 0 and 1. [0, 0, 0] where there is no object, where a file is
        broken or of another kind or reaches out of its frame, or where there is no compiler.
    """
    library, nothing = native.load(), np.zeros((0, 0, 0), np.uint8)
    files = library and _arguments(library, encoded, corners, size)
    if not files:
        return nothing
    masks = native.zeros(len(encoded), *files.size)
    good = library.od_decode(*files.of(encoded), masks.ctypes.data)
    return masks if good else nothing


def decode_cropped(encoded, corners=None, size=(0, 0)):
    """Masks as of `decode`, each cut to the least rectangle that holds its object.

    Returns:
        [g, h, w] uint8, padded with zeros to the largest; [0, 0, 0] as of `decode`.
        [g, 2] int32 (row, column) of each one's first pixel in the whole mask.
        [2] int32 (height, width) of the whole masks.
    """
    library, count = native.load(), len(encoded)
    nothing = np.zeros((0, 0, 0), np.uint8), np.zeros((0, 2), np.int32), np.zeros(2, np.int32)
    files = library and _arguments(library, encoded, corners, size)
    if not files:
        return nothing
    parts = np.empty(count * int(np.prod(files.size)), np.uint8)
    extents = np.zeros((count, 4), np.int64)
    places = parts.ctypes.data, extents.ctypes.data
    if not library.od_decode_cut(*files.of(encoded), *places):
        return nothing
    masks = native.zeros(count, *np.maximum(extents[:, 2:].max(axis=0), 1))
    start = 0
    for mask, (height, width) in zip(masks, extents[:, 2:].tolist(), strict=True):
        part = parts[start : start + height * width]
        mask[:height, :width] = part.reshape(height, width)
        start += height * width
    return masks, extents[:, :2].astype(np.int32), np.array(files.size, np.int32)


class _Files(NamedTuple):
    """What both functions of the library take."""

    size: tuple[int, int]  # of the frames
    corners: np.ndarray | None  # [g, 2] int64

    def of(self, encoded):
        """The arguments, which hold addresses in `encoded`."""
        count = len(encoded)
        lengths = (ctypes.c_size_t * count)(*map(len, encoded))
        corners = None if self.corners is None else self.corners.ctypes.data
        return (ctypes.c_char_p * count)(*encoded), lengths, count, *self.size, corners


def _arguments(library, encoded, corners, size):
    """`_Files`, or None where there is no plain file."""
    if not len(encoded):
        return None
    if corners is not None:
        corners = np.ascontiguousarray(corners, np.int64)
        return _Files(tuple(int(side) for side in size), corners)
    sides = ctypes.c_uint32(), ctypes.c_uint32()
    if not library.od_size(encoded[0], len(encoded[0]), *map(ctypes.byref, sides)):
        return None
    if sides[0].value * sides[1].value > MAX_PIXELS:
        return None
    return _Files(tuple(side.value for side in sides), None)
