"""A second opinion on masks, by other means than the package's: even-odd on a grid of points."""

import numpy as np

from object_detection.datasets import masks

FINER = 8  # points a pixel in either direction


def even_odd(lines, height, width):
    """Pixels [height, width] bool of which more than half lies inside an odd number of the lines.

    Args:
        lines: closed lines, each a sequence of (x, y).
    """
    ys = (np.arange(height * FINER) + 0.5) / FINER
    xs = (np.arange(width * FINER) + 0.5) / FINER
    inside = np.zeros((len(ys), len(xs)), bool)
    for line in lines:
        points = np.asarray(line, float)
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            crossed = (ys >= min(y0, y1)) & (ys < max(y0, y1))
            at = x0 + (ys[crossed] - y0) * (x1 - x0) / (y1 - y0)
            inside[crossed] ^= xs[None, :] > at[:, None]
    return inside.reshape(height, FINER, width, FINER).mean(axis=(1, 3)) > 0.5


def where(inside, height, width):
    """Pixels [height, width] bool of which more than half lies in a region.

    Args:
        inside: (x, y) arrays -> bool.
    """
    ys, xs = np.mgrid[: height * FINER, : width * FINER]
    found = inside((xs + 0.5) / FINER, (ys + 0.5) / FINER)
    return found.reshape(height, FINER, width, FINER).mean(axis=(1, 3)) > 0.5


def iou(found, expected):
    """Overlap of an `AnnotatedObject`'s or another mask with pixels made by other means."""
    mask = getattr(found, "mask", found)
    pixels = masks.rasterize(mask, *expected.shape).astype(bool)
    return (pixels & expected).sum() / (pixels | expected).sum()


def star(x, y, inner, outer, spikes=7):
    """The corners of a star: an outline that turns both ways."""
    angles = np.arange(2 * spikes) * np.pi / spikes + 0.1
    radii = np.where(np.arange(2 * spikes) % 2, inner, outer)
    return np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1).tolist()
