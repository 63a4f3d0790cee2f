"""A mask image cut up by value: numbers of instances, or colors.

A worker process decodes each file once, for all objects of its photograph, then decides which
values, and which of their pixels, belong to which box.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from object_detection.errors import AnnotationError

VOID = 255  # VOC's border between objects, and "do not care"
MOST_VALUES = 5000  # of a mask image: each costs a look at every pixel
MANY_COLORS = 256  # more than these come of soft edges or of lossy compression
NEAR = 64  # in each channel: how far the color of a soft edge may lie from a main one
LEAST_MAIN = 0.0005  # share of the image that makes a color a main one
LEAST_INSIDE = 0.3  # share of its pixels that have it on all four sides


class Regions(NamedTuple):
    """An image cut up by value."""

    labels: np.ndarray  # [h, w] which of the `values` a pixel has
    values: np.ndarray  # [n] ids; or red + 256 green + 65536 blue
    extents: np.ndarray  # [n, 4] ymin, xmin, ymax, xmax of each
    of_colors: bool  # whether the values are colors

    def name(self, number):
        """What a report calls a value."""
        value = int(self.values[number])
        if not self.of_colors:
            return str(value)
        return "#{:02x}{:02x}{:02x}".format(*unpack(value))


def read_regions(path, *, numbered):
    """Cuts a mask image up by its values.

    Args:
        path: of the image.
        numbered: the pixels are meant as numbers: the colors of VOC's palette, and grays, are
            turned back into them.

    Raises:
        AnnotationError: it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            image.load()
            numbers, colors = _pixels(image)
    except FileNotFoundError:
        raise AnnotationError("there is no such mask file") from None
    except UnidentifiedImageError:
        raise AnnotationError("the mask file is not an image of a known format") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise AnnotationError(f"the mask file cannot be decoded: {error}") from None
    values, labels = _by_value(numbers if colors is None else colors)
    of_colors = colors is not None
    if of_colors and numbered:
        known = _as_numbers(values)
        if known is not None:
            values, of_colors = known, False
        elif numbers is not None:  # a palette of its own: its entries are the numbers
            (values, labels), of_colors = _by_value(numbers), False
    if of_colors and len(values) > MANY_COLORS:
        values, labels = _main_colors(values, labels)
    if len(values) > MOST_VALUES:
        raise AnnotationError(
            f"the mask file has {len(values)} values: it is a picture, not a mask of objects"
        )
    return Regions(labels, values, extents_of(labels, len(values)), of_colors)


def extents_of(labels: np.ndarray, count: int) -> np.ndarray:
    """Return ymin, xmin, ymax, xmax around the pixels of each label; zeros where there are none.

    Args:
        labels: [h, w] from 0 up to, without, `count`.
        count: number of labels.

    Returns:
        [count, 4] float64.
    """
    height, width = labels.shape
    low, high = np.full((2, count), max(height, width)), np.zeros((2, count), np.int64)
    for axis, places in enumerate(np.indices(labels.shape, sparse=True)):
        places = np.broadcast_to(places, labels.shape).ravel()
        np.minimum.at(low[axis], labels.ravel(), places)
        np.maximum.at(high[axis], labels.ravel(), places + 1)
    extents = np.concatenate([low, high]).T.astype(float)
    return np.where(high[0, :, None] > 0, extents, 0.0)


def extent_of(mask):
    """ymin, xmin, ymax, xmax around the pixels of a mask [h, w]; zeros if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return (0.0, 0.0, 0.0, 0.0)
    return float(rows[0]), float(columns[0]), float(rows[-1] + 1), float(columns[-1] + 1)


def pack(red, green, blue):
    """A color as one number."""
    return red + (green << 8) + (blue << 16)


def unpack(values):
    """(red, green, blue) of packed colors."""
    return values & 255, values >> 8 & 255, values >> 16 & 255


def palette_color(number):
    """The color that VOC's palette shows for a number: its bits, dealt out to the channels."""
    channels = [0, 0, 0]
    for place in range(3):
        for channel in range(3):
            channels[channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return tuple(channels)


def _pixels(image):
    """The image as numbers and as colors, each [h, w]; None where it is not of that kind."""
    if image.mode == "P":
        return np.asarray(image).astype(np.int64), _packed(image)
    if image.mode in ("LA", "PA"):
        gray, alpha = np.moveaxis(np.asarray(image), -1, 0)
        return np.where(alpha > 0, gray, 0).astype(np.int64), None
    if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
        return np.asarray(image).astype(np.int64), None
    return None, _packed(image)


def _packed(image):
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    # What is transparent is nothing, whatever color it would have.
    return np.where(rgba[..., 3] > 0, pack(*np.moveaxis(rgba[..., :3], -1, 0)), 0)


def _by_value(pixels):
    values, labels = np.unique(pixels, return_inverse=True)
    return values, labels.reshape(pixels.shape)  # some versions of NumPy give it flat


def _as_numbers(values):
    """Colors of VOC's palette as their numbers, else grays as theirs; None: neither."""
    known = {pack(*palette_color(number)): number for number in range(VOID + 1)}
    if all(value in known for value in values.tolist()):
        return np.array([known[value] for value in values.tolist()])
    red, green, blue = unpack(values)
    return red if ((red == green) & (green == blue)).all() else None


def _main_colors(values, labels):
    """Soft edges counted to the main color next to theirs."""
    counts = np.bincount(labels.ravel(), minlength=len(values))
    colors = np.stack(unpack(values), axis=-1)
    main = []
    for number in np.argsort(-counts, kind="stable").tolist():
        if main and counts[number] < LEAST_MAIN * labels.size:
            break
        if not main or (np.abs(colors[main] - colors[number]).max(axis=1) > NEAR).all():
            main.append(number)
    # Blurred edges make colors of their own, in bands too thin to have an inside.
    nearest = _nearest(colors, main)[labels]
    inner = nearest[1:-1, 1:-1]
    inside = np.ones(inner.shape, bool)
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        inside &= inner == nearest[rows:, columns:][: inner.shape[0], : inner.shape[1]]
    shares = np.bincount(inner[inside], minlength=len(main)) / np.bincount(nearest.ravel())
    wide = [number for number, share in zip(main, shares, strict=True) if share >= LEAST_INSIDE]
    main = wide or main
    return values[main], _nearest(colors, main)[labels]


def _nearest(colors, main):
    """Which of the main colors each color is nearest to."""
    return np.stack([np.abs(colors - colors[one]).max(axis=1) for one in main]).argmin(axis=0)


IN_ORDER = 0.75  # how well a number must fit its own box, of how well it fits the best one
OWN = 0.5  # IoU of a color's extent with a box from which on the color is only that object's
SHARED = 0.2  # IoU from which on a color's pixels in a box may be a part of that object
INSIDE = 0.8  # share of a piece that lies in a box from which on the whole piece belongs there
FRAME = 20  # a frame is at most this part of the shorter side thick, or 2 pixels
ON_EDGE = 0.9  # share of the border that a frame covers
SLACK = 2.0  # pixels by which a box may differ from the object that fills the image within a frame
MOST_PIECES = 2000  # of one color
MARGIN = 1.1  # half a box, with what brushes leave outside it


class Match(NamedTuple):
    """What came of it."""

    masks: dict[int, np.ndarray]  # object -> [h, w] bool
    moved: tuple[int, ...] = ()  # objects whose number is not their place in the file
    parted: tuple[int, ...] = ()  # objects that touch others of their color: parted by the boxes
    left: tuple[int, ...] = ()  # values that are nobody's: their places in `Regions.values`
    stray: tuple[int, ...] = ()  # values with pixels far from every box they were looked for in


def match_by_number(regions, boxes, places):
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
    owner = {} if regions.of_colors else {place: n for n, place in enumerate(places)}
    value_of = {}
    for value in kept:
        number = owner.get(int(regions.values[value]))
        if number is None:
            continue
        best = overlap[value].max()
        if np.isnan(boxes[number]).any() or 0 < IN_ORDER * best <= overlap[value, number]:
            value_of[number] = value
    moved = _best_pairs(overlap, SHARED, value_of, kept)
    return Match(
        {number: regions.labels == value for number, value in value_of.items()},
        moved=() if regions.of_colors else tuple(moved),
        left=tuple(value for value in kept if value not in value_of.values()),
    )


def values_of_instances(regions):
    """The places in `regions.values` of what is neither ground nor VOC's void."""
    void = VOID
    if regions.of_colors:
        void = pack(*palette_color(void))
    elif regions.values.max() > void:
        void = 0  # ids of 16 bits: 255 is one of them
    return [n for n, value in enumerate(regions.values.tolist()) if value not in (0, void)]


def match_by_color(regions, boxes, classes):
    """Objects of a mask where each has a color of its own, or each class has one.

    A color whose extent is a box is that object's, with all its pixels. What is left over is
    looked for inside the boxes; objects of one class may share a color, and are distinguished by
    its connected pieces, and where they touch by their boxes.

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
    value_of = {}
    _best_pairs(overlap, OWN, value_of, kept)
    if ground is not None and regions.values[ground] and len(value_of) < len(boxes):
        _best_pairs(
            overlap, INSIDE, value_of, [ground]
        )  # nothing is black: it may be an object too
    sole = set(value_of)
    _share(regions, boxes, classes, value_of, kept)
    masks, parted, stray = {}, [], []
    for value in set(value_of.values()):
        owners = sorted(number for number in value_of if value_of[number] == value)
        mask = regions.labels == value
        if len(owners) == 1 and owners[0] in sole:
            masks[owners[0]] = mask
            continue
        pieces, touching = _part(mask, boxes[owners])
        masks |= {owners[n]: piece for n, piece in enumerate(pieces) if piece.any()}
        parted += [owners[n] for n in touching]
        if (mask & ~np.any(pieces, axis=0)).any():
            stray.append(value)
    left = tuple(value for value in kept if value not in value_of.values())
    return Match(masks, parted=tuple(sorted(parted)), left=left, stray=tuple(sorted(stray)))


def _iou(first, second):
    """Overlap [n, m] of boxes [n, 4] with boxes [m, 4]."""
    first, second = np.reshape(first, (-1, 1, 4)), np.reshape(second, (1, -1, 4))
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [np.prod(each[..., 2:] - each[..., :2], axis=-1) for each in (first, second)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)


def _best_pairs(overlap, least, value_of, values):
    """Add object -> value to `value_of`, best overlap first; return the objects added."""
    pairs = [(overlap[value, n], value, n) for value in values for n in range(overlap.shape[1])]
    taken, added = set(value_of.values()), []
    for score, value, number in sorted(pairs, key=lambda pair: -pair[0]):
        if score >= least and number not in value_of and value not in taken:
            value_of[number] = value
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
        extent = np.add(extent_of(inner == within), depth)
        is_object = (np.abs(np.subtract(boxes, extent)) <= SLACK).all(axis=1).any()
        if within == ground or is_object:
            break
        frame = np.ones(labels.shape, bool)
        frame[depth:-depth, depth:-depth] = False
        labels = np.where(frame & (labels == ground), within, labels)
        extents = extents_of(labels, len(regions.values))
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


def _share(regions, boxes, classes, value_of, values):
    """Adds the objects without a color of their own: the color that fills their box best."""
    owners = {}
    for number, value in value_of.items():
        owners.setdefault(value, set()).add(classes[number])
    pairs = []
    for number in set(range(len(boxes))) - value_of.keys():
        if np.isnan(boxes[number]).any():
            continue
        inside = _window(boxes[number], regions.labels.shape)
        part = regions.labels[inside]
        for value in set(np.unique(part).tolist()) & set(values):
            shift = [inside[0].start, inside[1].start] * 2
            extent = np.add(extent_of(part == value), shift)
            pairs.append((_iou(extent, boxes[number]).item(), number, value))
    for score, number, value in sorted(pairs, key=lambda pair: -pair[0]):
        allowed = owners.get(value, {classes[number]}) == {classes[number]}
        if score >= SHARED and number not in value_of and allowed:
            value_of[number] = value
            owners.setdefault(value, set()).add(classes[number])


def _window(box, shape):
    """Rows and columns of a box with the pixel around it, inside an image."""
    low = [int(max(np.floor(side) - 1, 0)) for side in box[:2]]
    high = [int(min(np.ceil(side) + 1, limit)) for side, limit in zip(box[2:], shape, strict=True)]
    return tuple(slice(min(a, b), max(a, b)) for a, b in zip(low, high, strict=True))


def _part(mask, boxes):
    """The pixels of one color, dealt out to the boxes of its objects.

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
    parts = [np.zeros(mask.shape, bool) for _ in boxes]
    touching = set()
    for (rows, columns), distance, several in zip(pieces, apart, owners, strict=True):
        several = sorted(several)
        if not several:
            continue  # far from every box
        nearest = np.array(several)[distance[several].argmin(axis=0)]
        near = distance.min(axis=0) <= MARGIN
        for number in several:
            own = (nearest == number) & (near | (len(several) == 1))
            parts[number][rows[own], columns[own]] = True
        touching |= set(several) if len(several) > 1 else set()
    return parts, sorted(touching)


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
