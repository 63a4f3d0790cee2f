"""Convolutions of enlarged maps, computed at the size before."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Parts(NamedTuple):
    """A map in parts: what acts on each pixel independently can be done before they are joined."""

    maps: list  # of [n, h, w, F], each with some of the map's pixels
    join: Callable  # maps -> [n, H, W, F]

    def joined(self):
        """The map."""
        return self.join(self.maps)


def convolve_repeated(x, kernel, *, scale):
    """`conv2d(repeat(x, scale), kernel, 1, "SAME")` for a 3x3 kernel: the same with less work.

    Where each cell is repeated `scale` times, neighbors are often the same number, so taps that
    read it are summed beforehand: at scale 2 each output pixel needs 2 x 2 products in place of
    3 x 3, and there are 4 kinds of pixels.

    Args:
        x: [n, h, w, C].
        kernel: [3, 3, C, F].
        scale: (rows, columns) into which a cell becomes, at least 1 each.

    Returns:
        `Parts` of [n, h * rows, w * columns, F]: one [n, h, w, F] for each kind of pixel.
    """
    rows, columns = (_taps_by_phase(factor) for factor in scale)
    shape, filters = tf.shape(x), kernel.shape[-1]
    maps = []
    for above, below in rows:
        for left, right in columns:
            own = _summed(_summed(kernel, above, below, 0), left, right, 1)
            padded = tf.pad(x, [[0, 0], [above, below], [left, right], [0, 0]])
            maps.append(tf.nn.conv2d(padded, own, 1, "VALID"))

    def join(maps):
        lines = [  # [n, h, w, columns * F]: a row of pixels
            tf.concat(maps[first : first + scale[1]], -1) for first in range(0, len(maps), scale[1])
        ]
        y = tf.stack(lines, 2)  # [n, h, rows, w, columns * F]
        return tf.reshape(y, [-1, shape[1] * scale[0], shape[2] * scale[1], filters])

    return Parts(maps, join)


def _taps_by_phase(scale):
    """Of each of the `scale` pixels of a cell: which taps read the cell before and the one after.

    The others read the cell itself.
    """
    return [(int(place == 0), int(place == scale - 1)) for place in range(scale)]


def _summed(kernel, before, after, axis):
    """The kernel with its taps on the cell itself summed along an axis."""
    first, *_, last = parts = tf.split(kernel, 3, axis)
    own = tf.add_n(parts[before : 3 - after])
    return tf.concat([first] * before + [own] + [last] * after, axis)
