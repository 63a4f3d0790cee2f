"""The outlines of masks as polygons along the borders of their pixels, in numpy.

A polygon at tolerance 0 is the mask: whoever fills it gets the same pixels back. Points are (x, y)
with pixel [0, 0] covering x and y from 0 to 1, COCO's convention.
"""

from typing import NamedTuple

import numpy as np

# Directions in the order of right turns: right, down, left, up as (x, y), y pointing down.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


class Outline(NamedTuple):
    """One connected part of a mask."""

    exterior: np.ndarray  # [n, 2] float64 (x, y), clockwise on the screen, not closed
    holes: list  # of [n, 2] float64, counter-clockwise


def trace(mask, top=0, left=0, tolerance=0.0):
    """The outlines of a mask.

    Args:
        mask: bool [h, w]. Pixels that touch at a corner only belong to different parts.
        top, left: where its first pixel lies; added to the points.
        tolerance: pixels that the simplified outline may lie off the exact one (Douglas-Peucker);
            0 keeps every corner. What is too small for the tolerance keeps its exact outline.

    Returns:
        A list of `Outline`, one a part, by their first pixels from the top.
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
                if owner == place
            ],
        )
        for place, exterior in enumerate(exteriors)
    ]


def flat(ring):
    """A ring [n, 2] as COCO's [x0, y0, x1, y1, ...]: a list of numbers, whole ones as ints."""
    values = np.round(ring, 2).ravel().tolist()
    return [int(value) if value.is_integer() else value for value in values]


def _rings(mask):
    """Each closed border as its corners [n, 2]; the object lies on the right of the way."""
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
    """{(x, y, direction) of each step along a border: the direction of the step after it}."""
    padded = np.pad(mask, 1)
    here = padded[1:-1, 1:-1]
    edges = []  # in reading order for each direction
    for direction, (neighbour, dx, dy) in enumerate(
        (
            (padded[:-2, 1:-1], 0, 0),  # nothing above: along the upper edge, to the right
            (padded[1:-1, 2:], 1, 0),
            (padded[2:, 1:-1], 1, 1),
            (padded[1:-1, :-2], 0, 1),
        )
    ):
        y, x = np.nonzero(here & ~neighbour)
        edges += [
            (a, b, direction) for a, b in zip((x + dx).tolist(), (y + dy).tolist(), strict=True)
        ]
    known = set(edges)
    steps = {}
    for x, y, direction in sorted(edges, key=lambda edge: (edge[1], edge[0], edge[2])):
        dx, dy = _STEPS[direction]
        # To the right first: round the same pixel, so that parts meeting at a corner stay apart.
        for turn in (1, 0, 3):
            following = (direction + turn) % 4
            if (x + dx, y + dy, following) in known:
                steps[x, y, direction] = following
                break
    return steps


def _doubled_area(ring):
    """Twice the signed area; positive for what runs clockwise on the screen."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _owner(hole, exteriors):
    """The place of the smallest exterior around a hole."""
    # A point inside the object, just outside of the hole: right of the way along its first edge.
    start, end = hole[0], hole[1]
    step = np.sign(end - start)
    point = (start + end) / 2 + 0.5 * np.array([-step[1], step[0]])
    around = [place for place, ring in enumerate(exteriors) if _is_inside(point, ring)]
    return min(around, key=lambda place: _doubled_area(exteriors[place]))


def _is_inside(point, ring):
    """Whether a point that is on no corner's height lies inside a ring of upright edges."""
    after = np.roll(ring, -1, axis=0)
    upright = ring[:, 0] == after[:, 0]
    low = np.minimum(ring[:, 1], after[:, 1])
    high = np.maximum(ring[:, 1], after[:, 1])
    crossed = upright & (ring[:, 0] > point[0]) & (low <= point[1]) & (point[1] < high)
    return bool(crossed.sum() % 2)


def _simplified(ring, tolerance):
    """A ring with as few of its corners as leave it within `tolerance` pixels."""
    if tolerance <= 0 or len(ring) <= 4:
        return ring
    # The corner farthest from the first one: the ring falls into two lines there.
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
    """How far points [n, 2] lie from the line between two points."""
    way = end - start
    length = float(np.hypot(*way))
    if not length:
        return np.hypot(*(points - start).T)
    offset = points - start
    return np.abs(way[0] * offset[:, 1] - way[1] * offset[:, 0]) / length
