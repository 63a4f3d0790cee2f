"""Polygons of masks: traces outlines along the borders of pixels, and fills polygons as COCO does.

A polygon traced at tolerance 0 is exact: filling it gives the same pixels back. Points are (x, y);
pixel [0, 0] covers x and y from 0 to 1, which is COCO's convention.

Needs NumPy only; filling imports pycocotools when it is first called.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from object_detection.errors import MaskError

MAX_COORDINATE = 1e6  # pixels; a vertex farther out is a corrupt number
MAX_OUTLINE = 4e6  # pixels; pycocotools needs about 200 bytes for each
# Directions in the order of right turns: right, down, left, up as (x, y), y pointing down.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


class Outline(NamedTuple):
    """Outline of one connected part of a mask."""

    exterior: np.ndarray  # [n, 2] float64 (x, y), clockwise on the screen, not closed
    holes: list[np.ndarray]  # each [n, 2] float64, counterclockwise


def trace(mask: np.ndarray, top: int = 0, left: int = 0, tolerance: float = 0.0) -> list[Outline]:
    """Return the outlines of a mask.

    Args:
        mask: Bool [h, w]. Pixels that only touch at a corner belong to different parts.
        top, left: Row and column of the first pixel; added to the points.
        tolerance: Pixels by which the simplified outline may deviate from the exact one
            (Douglas-Peucker); 0 keeps every corner. Parts too small for the tolerance keep their
            exact outline.

    Returns:
        One `Outline` for each part, ordered by their first pixels from the top.
    """
    rings = _rings(np.asarray(mask, bool))
    exteriors = [ring for ring in rings if _doubled_area(ring) > 0]
    holes = [ring for ring in rings if _doubled_area(ring) < 0]
    owners = [_owner(hole, exteriors) for hole in holes]
    shift = np.array([left, top], np.float64)
    return [
        Outline(
            _simplified(exterior, tolerance) + shift,
            [
                _simplified(hole, tolerance) + shift
                for hole, owner in zip(holes, owners, strict=True)
                if owner == index
            ],
        )
        for index, exterior in enumerate(exteriors)
    ]


def flatten(ring: np.ndarray) -> list[float]:
    """Return a ring [n, 2] as COCO's [x0, y0, x1, y1, ...]; integral values become ints."""
    values = np.round(ring, 2).ravel().tolist()
    return [int(value) if value.is_integer() else value for value in values]


def usable_polygons(parts: Iterable[Sequence[float]]) -> list[Sequence[float]]:
    """Return the polygons of three points or more; smaller ones have no area.

    Args:
        parts: Polygons, each (x0, y0, x1, y1, ...) in pixels.

    Raises:
        MaskError: An x without a y, a vertex that is not a position in an image, or an
            outline too long for an object.
    """
    parts = [part for part in parts if len(part) >= 6]
    length = 0.0
    for part in parts:
        if len(part) % 2:
            raise MaskError(f"a polygon of {len(part)} numbers: x without y")
        points = np.asarray(part, np.float64)
        if not np.isfinite(points).all() or np.abs(points).max() > MAX_COORDINATE:
            raise MaskError("a polygon with a vertex that is no place in an image")
        points = points.reshape(-1, 2)
        length += np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum()
    if length > MAX_OUTLINE:
        raise MaskError(
            f"polygons whose outline is {length:.0f} pixels long; at most {MAX_OUTLINE:.0f} "
            "are drawn"
        )
    return parts


def to_rle(parts: Sequence[Sequence[float]], height: int, width: int) -> dict:
    """Return the union of polygons as a COCO RLE, filled as COCO's own tools fill them.

    Args:
        parts: One or more polygons, checked by `usable_polygons`.
        height, width: Size of the image in pixels.
    """
    from pycocotools import mask as rle_codec

    codes = rle_codec.frPyObjects([list(part) for part in parts], height, width)
    return codes[0] if len(codes) == 1 else rle_codec.merge(codes)


def _rings(mask):
    """Return each closed border as its corners [n, 2], with the object on the right-hand side."""
    follow = _border_steps(mask)
    rings = []
    while follow:
        x, y, direction = next(iter(follow))
        point, ring = (x, y), []
        while (*point, direction) in follow:
            following = follow.pop((*point, direction))
            point = point[0] + _STEPS[direction][0], point[1] + _STEPS[direction][1]
            if following != direction:
                ring.append(point)
            direction = following
        rings.append(np.array(ring, np.float64))
    return rings


def _border_steps(mask):
    """Return {(x, y, direction) of each step along a border: direction of the next step}."""
    padded = np.pad(mask, 1)
    here = padded[1:-1, 1:-1]
    edges = []  # in reading order for each direction
    for direction, (neighbor, dx, dy) in enumerate(
        (
            (padded[:-2, 1:-1], 0, 0),  # nothing above: along the upper edge, to the right
            (padded[1:-1, 2:], 1, 0),
            (padded[2:, 1:-1], 1, 1),
            (padded[1:-1, :-2], 0, 1),
        )
    ):
        y, x = np.nonzero(here & ~neighbor)
        edges += [
            (a, b, direction) for a, b in zip((x + dx).tolist(), (y + dy).tolist(), strict=True)
        ]
    known = set(edges)
    steps = {}
    for x, y, direction in sorted(edges, key=lambda edge: (edge[1], edge[0], edge[2])):
        dx, dy = _STEPS[direction]
        # Turn right first, around the same pixel, so that parts that touch at a corner stay apart.
        for turn in (1, 0, 3):
            following = (direction + turn) % 4
            if (x + dx, y + dy, following) in known:
                steps[x, y, direction] = following
                break
    return steps


def _doubled_area(ring):
    """Return twice the signed area; positive for rings that run clockwise on the screen."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _owner(hole, exteriors):
    """Return the index of the smallest exterior around a hole."""
    # A point inside the object, just outside the hole: to the right of its first edge.
    start, end = hole[0], hole[1]
    step = np.sign(end - start)
    point = (start + end) / 2 + 0.5 * np.array([-step[1], step[0]])
    around = [index for index, ring in enumerate(exteriors) if _is_inside(point, ring)]
    return min(around, key=lambda index: _doubled_area(exteriors[index]))


def _is_inside(point, ring):
    """Return whether a point level with no corner lies inside a ring of axis-parallel edges."""
    after = np.roll(ring, -1, axis=0)
    upright = ring[:, 0] == after[:, 0]
    low = np.minimum(ring[:, 1], after[:, 1])
    high = np.maximum(ring[:, 1], after[:, 1])
    crossed = upright & (ring[:, 0] > point[0]) & (low <= point[1]) & (point[1] < high)
    return bool(crossed.sum() % 2)


def _simplified(ring, tolerance):
    """Return a ring with as few corners as keep it within `tolerance` pixels."""
    if tolerance <= 0 or len(ring) <= 4:
        return ring
    # Split the ring into two lines at the corner farthest from the first one.
    far = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.concatenate([ring, ring[:1]])
    kept = np.zeros(len(closed), bool)
    kept[[0, far, len(ring)]] = True
    pending = [(0, far), (far, len(ring))]
    while pending:
        start, end = pending.pop()
        if end - start < 2:
            continue
        between = closed[start + 1 : end]
        distances = _distances(between, closed[start], closed[end])
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance:
            middle = start + 1 + worst
            kept[middle] = True
            pending += [(start, middle), (middle, end)]
    simple = closed[:-1][kept[:-1]]
    if len(simple) < 3 or _doubled_area(simple) * _doubled_area(ring) <= 0:
        return ring
    return simple


def _distances(points, start, end):
    """Return the distances of points [n, 2] from the line through two points."""
    line = end - start
    length = float(np.hypot(*line))
    if not length:
        return np.hypot(*(points - start).T)
    offset = points - start
    return np.abs(line[0] * offset[:, 1] - line[1] * offset[:, 0]) / length
