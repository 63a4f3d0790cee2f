"""Anchors: the boxes the region proposal network refines (Faster R-CNN section 3.1.1).

`GridAnchors` covers one feature map with all scales, `MultiscaleAnchors` gives each level of a
pyramid its own size (FPN section 4.1). Order and positions are TFOD's, since published weights
were trained on them: rows outermost, then columns, then aspect ratios, then scales.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.errors import ConfigError


class GridAnchors(NamedTuple):
    """Anchors of every scale and aspect ratio at each cell of one feature map."""

    scales: tuple[float, ...]  # of the side of a square anchor, in units of base_size
    aspect_ratios: tuple[float, ...]  # width / height; the area does not hang on it
    base_size: tuple[float, float] = (256, 256)  # (height, width) pixels
    stride: tuple[float, float] = (16, 16)  # pixels from cell to cell (down, right)
    offset: tuple[float, float] = (0, 0)  # where the first center is; not half a cell in (TFOD)

    @property
    def per_location(self):
        """Number of anchors at a cell: a tuple with one entry for each level, here one."""
        return (len(self.scales) * len(self.aspect_ratios),)

    def generate(self, feature_shapes):
        """All anchors.

        Args:
            feature_shapes: list of one (height, width) of a feature map, ints or scalar tensors.

        Returns:
            [height * width * A, 4] float32 pixels, not clipped.

        Raises:
            ConfigError: not exactly one feature map.
        """
        if len(feature_shapes) != 1:
            raise ConfigError(
                f"grid_anchor_generator serves one feature map but this feature extractor gives "
                f"{len(feature_shapes)}; a pyramid needs multiscale_anchor_generator"
            )
        return _tile(_cell_anchors(self), self.stride, feature_shapes[0])


class MultiscaleAnchors(NamedTuple):
    """Anchors of one size, and its fractions of an octave, at each cell of each pyramid level.

    The stride of level l is 2 ** l and the first center half of that. (TFOD moves the center
    only where the image's side is a multiple of the stride, but its Faster R-CNN does not tell
    the generator the side, and then the center is always moved.)
    """

    min_level: int
    max_level: int
    anchor_scale: float  # the side of a square anchor at level l is anchor_scale * 2 ** l
    aspect_ratios: tuple[float, ...]  # width / height
    scales_per_octave: int

    @property
    def per_location(self):
        """Number of anchors at a cell: a tuple with one entry for each level."""
        return tuple(grid.per_location[0] for grid in self._grids())

    def generate(self, feature_shapes):
        """All anchors, level after level from the finest.

        Args:
            feature_shapes: list of (height, width), one for each level.

        Returns:
            [N, 4] float32 pixels, not clipped.

        Raises:
            ConfigError: not one feature map for each level.
        """
        grids = self._grids()
        if len(feature_shapes) != len(grids):
            raise ConfigError(
                f"multiscale_anchor_generator has min_level {self.min_level} and max_level "
                f"{self.max_level}, but this feature extractor gives {len(feature_shapes)} feature "
                "maps; give both the min_level and max_level of the extractor's fpn"
            )
        anchors = [
            grid.generate([shape]) for grid, shape in zip(grids, feature_shapes, strict=True)
        ]
        return tf.concat(anchors, axis=0)

    def _grids(self):
        octaves = [octave / self.scales_per_octave for octave in range(self.scales_per_octave)]
        return [
            GridAnchors(
                scales=tuple(2.0**octave for octave in octaves),
                aspect_ratios=tuple(self.aspect_ratios),
                base_size=(self.anchor_scale * 2.0**level,) * 2,
                stride=(2.0**level,) * 2,
                offset=(2.0**level / 2,) * 2,
            )
            for level in range(self.min_level, self.max_level + 1)
        ]


def _cell_anchors(grid):
    """[A, 4] float32 numpy: the anchors of the first cell."""
    y, x = grid.offset
    anchors = []
    for ratio in grid.aspect_ratios:
        for scale in grid.scales:
            height = scale / math.sqrt(ratio) * grid.base_size[0]
            width = scale * math.sqrt(ratio) * grid.base_size[1]
            anchors.append([y - height / 2, x - width / 2, y + height / 2, x + width / 2])
    return np.array(anchors, np.float32)


def _tile(cell_anchors, stride, feature_shape):
    """Moves the first cell's anchors to every cell: [h * w * A, 4]."""
    down, right = (
        tf.range(tf.cast(count, tf.float32)) * step
        for count, step in zip(feature_shape, stride, strict=True)
    )
    still = tf.zeros_like
    of_row = tf.stack([down, still(down), down, still(down)], -1)[:, tf.newaxis] + cell_anchors
    of_column = tf.stack([still(right), right, still(right), right], -1)[:, tf.newaxis]
    of_column = tf.tile(of_column, [1, len(cell_anchors), 1])
    # As matrices: with four dimensions TensorFlow takes twice as long.
    of_rows = tf.tile(tf.reshape(of_row, [-1, 4 * len(cell_anchors)]), [1, tf.size(right)])
    return tf.reshape(of_rows + tf.reshape(of_column, [1, -1]), [-1, 4])
