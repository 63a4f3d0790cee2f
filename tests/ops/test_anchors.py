"""Anchors: positions and sizes worked by hand, and TFOD's generators."""

import math

import numpy as np
import pytest
import tensorflow as tf
from reference import blocks, needs_reference

from object_detection.ops import boxes
from object_detection.ops.anchors import GridAnchors, MultiscaleAnchors

GOLDEN = blocks("grid_anchors")
PYRAMID = MultiscaleAnchors(2, 6, 4.0, (1.0, 2.0, 0.5), 1)


def test_the_first_anchor_is_centred_on_the_offset():
    grid = GridAnchors((1.0,), (1.0,), base_size=(20, 40), stride=(10, 30), offset=(0, 0))
    # Two columns 30 apart; 20 high and 40 wide around (0, 0) and (0, 30).
    assert grid.generate([(1, 2)]).numpy().tolist() == [[-10, -20, 10, 20], [-10, 10, 10, 50]]


def test_the_order_is_rows_columns_ratios_scales():
    grid = GridAnchors((1.0, 2.0), (1.0, 4.0), base_size=(8, 8), stride=(100, 10))
    anchors = grid.generate([(2, 3)]).numpy()
    assert grid.per_location == (4,)
    assert anchors.shape == (2 * 3 * 4, 4)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    np.testing.assert_allclose(
        centres[::4], [[0, 0], [0, 10], [0, 20], [100, 0], [100, 10], [100, 20]]
    )
    sizes = (anchors[:, 2:] - anchors[:, :2])[:4]
    # Ratio 1 at scales 1 and 2; then ratio 4: half as high and twice as wide.
    np.testing.assert_allclose(sizes, [[8, 8], [16, 16], [4, 16], [8, 32]])


def test_the_ratio_does_not_change_the_area():
    grid = GridAnchors((0.5,), (0.3, 1.0, 2.7))
    np.testing.assert_allclose(boxes.area(grid.generate([(1, 1)])), [128.0**2] * 3, rtol=1e-5)


def test_a_level_has_its_own_stride_and_size():
    two_levels = MultiscaleAnchors(3, 4, 4.0, (1.0,), 2)
    anchors = two_levels.generate([(1, 2), (1, 1)]).numpy()
    assert two_levels.per_location == (2, 2)
    side = 32 * math.sqrt(2)  # the second scale of an octave, at level 3
    np.testing.assert_allclose(
        anchors,
        [
            [4 - 16, 4 - 16, 4 + 16, 4 + 16],
            [4 - side / 2, 4 - side / 2, 4 + side / 2, 4 + side / 2],
            [4 - 16, 12 - 16, 4 + 16, 12 + 16],
            [4 - side / 2, 12 - side / 2, 4 + side / 2, 12 + side / 2],
            [8 - 32, 8 - 32, 8 + 32, 8 + 32],
            [8 - side, 8 - side, 8 + side, 8 + side],
        ],
        rtol=1e-6,
    )


def test_shapes_may_be_tensors():
    made = tf.function(
        lambda size: PYRAMID.generate([(size // 2**i, size // 2**i) for i in range(5)])
    )
    np.testing.assert_array_equal(
        made(tf.constant(32)), PYRAMID.generate([(32 // 2**i, 32 // 2**i) for i in range(5)])
    )


def test_the_number_of_feature_maps_is_checked():
    with pytest.raises(ValueError, match="gives 5; a pyramid needs multiscale_anchor_generator"):
        GridAnchors((1.0,), (1.0,)).generate([(4, 4)] * 5)
    with pytest.raises(ValueError, match="min_level 2 and max_level 6.* gives 4 feature maps"):
        PYRAMID.generate([(4, 4)] * 4)


@needs_reference
def test_grids_as_in_tfod():
    grids = {
        "a": GridAnchors((0.25, 0.5, 1.0, 2.0), (0.5, 1.0, 2.0)),
        "b": GridAnchors(
            (0.5, 1.0), (0.7, 1.4), base_size=(128, 96), stride=(8, 12), offset=(4, 6)
        ),
        "c": GridAnchors(
            (0.5, 1.0, 2.0), (0.5, 1.0), base_size=(64, 80), stride=(8, 16), offset=(3, 5)
        ),
    }
    for name, grid in grids.items():
        found = grid.generate([tuple(GOLDEN[f"{name}_feature_map"])])
        np.testing.assert_allclose(found, GOLDEN[name], rtol=1e-6, atol=1e-5, err_msg=name)
    assert grids["a"].per_location + PYRAMID.per_location == tuple(GOLDEN["num_per_loc"])


@needs_reference
def test_a_pyramid_as_in_tfod():
    maps = [tuple(shape) for shape in GOLDEN["multiscale_maps"]]
    found = PYRAMID.generate(maps).numpy()
    counts = [h * w * a for (h, w), a in zip(maps, PYRAMID.per_location, strict=True)]
    assert counts == GOLDEN["multiscale_counts"].tolist()
    np.testing.assert_allclose(found[::7], GOLDEN["multiscale"], rtol=1e-6, atol=1e-5)
