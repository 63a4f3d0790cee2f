"""Which values of a mask image, and which of their pixels, belong to which box."""

from typing import NamedTuple

import numpy as np

from object_detection.datasets import mask_regions

IN_ORDER = 0.75  # how well a number must fit its own box, of how well it fits the best one
OWN = 0.5  # IoU of a colour's extent with a box from which on the colour is that object's alone
SHARED = 0.2  # IoU from which on a colour's pixels in a box may be a part of that object
INSIDE = 0.8  # share of a piece that lies in a box from which on the whole piece belongs there
FRAME = 20  # a frame is at most this part of the shorter side thick, or 2 pixels
ON_EDGE = 0.9  # share of the border that a frame covers
SLACK = 2.0  # pixels by which a box may differ from the object that fills the image within a frame
MOST_PIECES = 2000  # of one colour
MARGIN = 1.1  # half a box, with what brushes leave outside it


class Match(NamedTuple):
    """What came of it."""

    masks: dict[int, np.ndarray]  # object -> [h, w] bool
    moved: tuple[int, ...] = ()  # objects whose number is not their place in the file
    parted: tuple[int, ...] = ()  # objects that touch others of their colour: parted by the boxes
    left: tuple[int, ...] = ()  # values that are nobody's: their places in `Regions.values`
    stray: tuple[int, ...] = ()  # values with pixels far from every box they were looked for in


def by_number(regions, boxes, places):
    """Instances whose numbers are the places of their objects, unless the boxes say otherwise.

    Args:
        regions: the `Regions` of a SegmentationObject image.
        boxes: [n, 4] of the objects; NaN where one has none.
        places: [n] of the objects in their file, from 1.

    Returns:
        The `Match`.
    """
    kept = values_of_instances(regions)
    overlap = np.nan_to_num(_iou(regions.extents, boxes))
    owner = {} if regions.of_colours else {place: n for n, place in enumerate(places)}
    found = {}
    for value in kept:
        number = owner.get(int(regions.values[value]))
        if number is None:
            continue
        best = overlap[value].max()
        if np.isnan(boxes[number]).any() or 0 < IN_ORDER * best <= overlap[value, number]:
            found[number] = value
    moved = _best_pairs(overlap, SHARED, found, kept)
    return Match(
        {number: regions.labels == value for number, value in found.items()},
        moved=() if regions.of_colours else tuple(moved),
        left=tuple(value for value in kept if value not in found.values()),
    )


def values_of_instances(regions):
    """The places in `regions.values` of what is neither ground nor VOC's void."""
    void = mask_regions.VOID
    if regions.of_colours:
        void = mask_regions.pack(*mask_regions.palette_colour(void))
    elif regions.values.max() > void:
        void = 0  # ids of 16 bits: 255 is one of them
    return [n for n, value in enumerate(regions.values.tolist()) if value not in (0, void)]


def by_colour(regions, boxes, classes):
    """Objects of a mask where each has a colour of its own, or each class has one.

    A colour whose extent is a box is that object's, with all its pixels. What is left over is
    looked for inside the boxes; objects of one class may share a colour, and are told apart by its
    connected pieces, and where they touch by their boxes.

    Args:
        regions: the `Regions`.
        boxes: [n, 4] of the objects; NaN where one has none.
        classes: [n] names of the objects' classes.

    Returns:
        The `Match`.
    """
    regions, ground = _without_frame(regions, boxes)
    kept = [n for n in range(len(regions.values)) if n != ground]
    overlap = np.nan_to_num(_iou(regions.extents, boxes))
    found = {}
    _best_pairs(overlap, OWN, found, kept)
    if ground is not None and regions.values[ground] and len(found) < len(boxes):
        _best_pairs(overlap, INSIDE, found, [ground])  # nothing is black: it may be an object too
    alone = set(found)
    _share(regions, boxes, classes, found, kept)
    masks, parted, stray = {}, [], []
    for value in set(found.values()):
        owners = sorted(number for number in found if found[number] == value)
        mask = regions.labels == value
        if len(owners) == 1 and owners[0] in alone:
            masks[owners[0]] = mask
            continue
        pieces, touching = _part(mask, boxes[owners])
        masks |= {owners[n]: piece for n, piece in enumerate(pieces) if piece.any()}
        parted += [owners[n] for n in touching]
        if (mask & ~np.any(pieces, axis=0)).any():
            stray.append(value)
    left = tuple(value for value in kept if value not in found.values())
    return Match(masks, parted=tuple(sorted(parted)), left=left, stray=tuple(sorted(stray)))


def _iou(first, second):
    """Overlap [n, m] of boxes [n, 4] with boxes [m, 4]."""
    first, second = np.reshape(first, (-1, 1, 4)), np.reshape(second, (1, -1, 4))
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [np.prod(each[..., 2:] - each[..., :2], axis=-1) for each in (first, second)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)


def _best_pairs(overlap, least, found, values):
    """Adds object -> value to `found`, best overlap first, each once; returns the new objects."""
    pairs = [(overlap[value, n], value, n) for value in values for n in range(overlap.shape[1])]
    taken, added = set(found.values()), []
    for score, value, number in sorted(pairs, key=lambda pair: -pair[0]):
        if score >= least and number not in found and value not in taken:
            found[number] = value
            taken.add(value)
            added.append(number)
    return added


def _without_frame(regions, boxes):
    """The regions without a thin frame along the border, and the place of the ground's value.

    Some tools draw a frame around the image: it covers the border and is neither an object nor the
    ground. Its pixels are given to the ground within it. Where the inside is as large as a box, it
    is that object, and what surrounds it is the ground.
    """
    labels, ground = regions.labels, _ground(regions.labels, regions.values)
    if np.mean(_edge(labels) == ground) < ON_EDGE:
        return regions, ground
    for depth in range(1, max(2, min(labels.shape) // FRAME) + 1):
        inner = labels[depth:-depth, depth:-depth]
        if not inner.size:
            break
        if np.mean(_edge(inner) == ground) >= ON_EDGE / 2:
            continue
        within = int(np.bincount(_edge(inner)).argmax())
        extent = np.add(mask_regions.extent(inner == within), depth)
        is_object = (np.abs(np.subtract(boxes, extent)) <= SLACK).all(axis=1).any()
        if within == ground or is_object:
            break
        frame = np.ones(labels.shape, bool)
        frame[depth:-depth, depth:-depth] = False
        labels = np.where(frame & (labels == ground), within, labels)
        extents = mask_regions.extents(labels, len(regions.values))
        return regions._replace(labels=labels, extents=extents), within
    return regions, ground


def _edge(labels):
    """The labels along the border of an array [h, w]."""
    return np.concatenate([labels[[0, -1]].ravel(), labels[:, [0, -1]].ravel()])


def _ground(labels, values):
    """The value that is no object: black; where the border has none, what it has most of."""
    counts = np.bincount(_edge(labels), minlength=len(values))
    black = np.flatnonzero(values == 0)
    return int(black[0]) if black.size and counts[black[0]] else int(counts.argmax())


def _share(regions, boxes, classes, found, values):
    """Adds the objects without a colour of their own: the colour that fills their box best."""
    owners = {}
    for number, value in found.items():
        owners.setdefault(value, set()).add(classes[number])
    pairs = []
    for number in set(range(len(boxes))) - found.keys():
        if np.isnan(boxes[number]).any():
            continue
        inside = _window(boxes[number], regions.labels.shape)
        part = regions.labels[inside]
        for value in set(np.unique(part).tolist()) & set(values):
            shift = [inside[0].start, inside[1].start] * 2
            extent = np.add(mask_regions.extent(part == value), shift)
            pairs.append((_iou(extent, boxes[number]).item(), number, value))
    for score, number, value in sorted(pairs, key=lambda pair: -pair[0]):
        allowed = owners.get(value, {classes[number]}) == {classes[number]}
        if score >= SHARED and number not in found and allowed:
            found[number] = value
            owners.setdefault(value, set()).add(classes[number])


def _window(box, shape):
    """Rows and columns of a box with the pixel around it, inside an image."""
    low = [int(max(np.floor(side) - 1, 0)) for side in box[:2]]
    high = [int(min(np.ceil(side) + 1, limit)) for side, limit in zip(box[2:], shape, strict=True)]
    return tuple(slice(min(a, b), max(a, b)) for a, b in zip(low, high, strict=True))


def _part(mask, boxes):
    """The pixels of one colour, dealt out to the boxes of its objects.

    Returns:
        A list of masks [h, w] bool, one a box, and which of them were cut apart where they touch.
    """
    pieces = list(_pieces(mask))
    apart = [_distance(rows, columns, boxes) for rows, columns in pieces]  # each [n, pixels]
    owners = [
        _owners(piece, distance, boxes) for piece, distance in zip(pieces, apart, strict=True)
    ]
    for number in set(range(len(boxes))) - set().union(*owners):
        # Nothing is left for this one: it is a part of the piece that its box holds most of.
        shares = [np.count_nonzero(distance[number] <= 1) for distance in apart]
        if shares and max(shares):
            owners[int(np.argmax(shares))].add(number)
    found = [np.zeros(mask.shape, bool) for _ in boxes]
    touching = set()
    for (rows, columns), distance, several in zip(pieces, apart, owners, strict=True):
        several = sorted(several)
        if not several:
            continue  # far from every box
        nearest = np.array(several)[distance[several].argmin(axis=0)]
        near = distance.min(axis=0) <= MARGIN
        for number in several:
            own = (nearest == number) & (near | (len(several) == 1))
            found[number][rows[own], columns[own]] = True
        touching |= set(several) if len(several) > 1 else set()
    return found, sorted(touching)


def _owners(piece, apart, boxes):
    """The boxes that a connected piece belongs to: one, unless it spans several."""
    rows, columns = piece
    inside = (apart <= MARGIN).mean(axis=1) >= INSIDE
    if inside.any():
        extent = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        return {int(np.where(inside, _iou(extent, boxes)[0], -1).argmax())}
    return set(apart.argmin(axis=0)[apart.min(axis=0) <= MARGIN].tolist())


def _distance(rows, columns, boxes):
    """How far pixels lie from the middle of each box, [n, pixels], as a share of half the box."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    half = np.maximum(half, 0.5)
    down = np.abs(rows + 0.5 - middle[:, :1]) / half[:, :1]
    across = np.abs(columns + 0.5 - middle[:, 1:]) / half[:, 1:]
    return np.maximum(down, across)


def _pieces(mask):
    """(rows, columns) of each piece of a mask [h, w] whose pixels touch, corners included."""
    height, width = mask.shape
    stride = width + 1  # an empty column at the end keeps the rows apart
    flat = np.zeros((height, stride), np.int8)
    flat[:, :width] = mask
    steps = np.diff(flat.ravel(), prepend=0)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    # Runs of the row above that touch run k: from first[k] up to, without, last[k].
    first = np.searchsorted(ends, starts - stride, side="left")
    last = np.searchsorted(starts, ends - stride, side="right")
    parent = list(range(len(starts)))

    def root(run):
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    for run, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        for above in range(low, high):
            parent[root(above)] = root(run)
    group = np.array([root(run) for run in range(len(starts))], np.int64)
    lengths = ends - starts
    places = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    of_pixel = np.repeat(group, lengths)
    order = np.argsort(of_pixel, kind="stable")
    ends = np.flatnonzero(np.diff(of_pixel[order])) + 1
    pieces = np.split(places[order], ends) if places.size else []
    if len(pieces) > MOST_PIECES:  # noise: the small ones are nobody's
        pieces = sorted(pieces, key=len, reverse=True)[:MOST_PIECES]
    yield from (np.divmod(piece, stride) for piece in pieces)
