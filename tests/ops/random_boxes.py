"""Boxes for tests that need many of them."""

import numpy as np


def random_boxes(seed, *shape, side=100.0):
    """Boxes [*shape, 4] with corners anywhere in a square of this side."""
    corners = np.random.default_rng(seed).uniform(0, side, (*shape, 2, 2)).astype(np.float32)
    return np.concatenate([corners.min(-2), corners.max(-2)], axis=-1)


def clustered_boxes(seed, count, *, clusters=20, side=100.0):
    """Boxes [count, 4] around a few places, so that many overlap much, as a detector's do."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, side, (clusters, 2))[rng.integers(0, clusters, count)]
    centre = centre + rng.normal(0, side / 50, (count, 2))
    half = rng.uniform(side / 20, side / 8, (count, 2))
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
