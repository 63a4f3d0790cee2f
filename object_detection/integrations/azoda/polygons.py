"""Masks as in azoda's CSVs: flat polygons whose union is the mask, with holes."""

import numpy as np

from object_detection.structures import polygons


def mask_to_polygons(mask, tolerance=0.0):
    """Return the polygons of a mask, such as that of `unmold_mask`.

    Flat polygons have no holes. A hole is cut out by a slit without width: the polygon runs along
    it to the hole, around it and back, which pycocotools and OpenCV fill correctly.

    Args:
        mask: bool [h, w].
        tolerance: distance in pixels of simplified polygons to the mask's border; 0 is exact.

    Returns:
        A list with one [x1, y1, x2, y2, ...] for each connected part.
    """
    parts = polygons.trace(mask, tolerance=tolerance)
    return [polygons.flatten(_with_holes(part)) for part in parts]


def _with_holes(part):
    """Return an `Outline` as one ring [n, 2]; each hole is connected to the ring on its left."""
    ring = part.exterior
    for hole in sorted(part.holes, key=lambda hole: hole[:, 0].min()):
        start = int(hole[:, 0].argmin())
        hole = np.roll(hole, -start, axis=0)
        place, x = _left_of(hole[0], ring)
        gate = np.array([[x, hole[0, 1]]])
        ring = np.concatenate([ring[: place + 1], gate, hole, hole[:1], gate, ring[place + 1 :]])
    return ring


def _left_of(point, ring):
    """Return (index of the nearest edge of a ring to the left of a point, its x there)."""
    x, y = point
    begin, end = ring, np.roll(ring, -1, axis=0)
    height = end[:, 1] - begin[:, 1]
    flat = height == 0
    share = np.where(flat, 0, (y - begin[:, 1]) / np.where(flat, 1, height))
    cut = np.where(
        flat,
        np.maximum(begin[:, 0], end[:, 0]),
        begin[:, 0] + share * (end[:, 0] - begin[:, 0]),
    )
    inside = (np.minimum(begin[:, 1], end[:, 1]) <= y) & (y <= np.maximum(begin[:, 1], end[:, 1]))
    cut = np.where(inside & (cut <= x), cut, -np.inf)
    place = int(cut.argmax())
    return place, cut[place]
