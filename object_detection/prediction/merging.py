"""Detections of several regions of an image, combined into those of the image.

Overlapping windows see the same pixels where they overlap. Both detect the same part of an object
there, whole or cut by a border, so two detections of one class are one object if their masks agree
within the overlap. The pieces are then joined; each pixel comes from the window in which it lies
deepest, where the model saw most of its surroundings.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from object_detection.prediction.modes import Region
from object_detection.prediction.prediction import Prediction
from object_detection.structures.instances import Instances
from object_detection.structures.masks import CroppedMask, Masks

AGREEMENT = 0.5  # least overlap (IoU) of two findings within what both windows see
INSIDE = 0.7  # share of a cut piece inside another finding that makes it a part of that
WHOLE = 0.9  # share of an object's pixels that makes one finding represent all of it
NEAR_BORDER = 0.02  # of a window's side: objects this near to its border may continue beyond it
LEAST_NEAR = 2  # pixels


class Finding(NamedTuple):
    """One object in one window."""

    box: np.ndarray  # [4] (ymin, xmin, ymax, xmax) pixels of the image
    score: float
    kind: int  # class id
    mask: CroppedMask | None  # None: the model gives only boxes
    window: int  # index of its window


def place(prediction: Prediction, region: Region, height: int, width: int) -> Prediction:
    """Return a prediction of a region's pixels as one of the image [height, width]."""
    shift = np.array([region.top, region.left] * 2, np.float32)
    masks = None
    if prediction.has_masks:
        # Thresholded at the size the model saw: in a larger image a box's mask rounds differently.
        crops = [
            crop._replace(top=crop.top + region.top, left=crop.left + region.left)
            for crop in map(prediction.crop, range(len(prediction)))
        ]
        masks = Masks(crops, height, width)
    instances = prediction.instances._replace(
        height=height, width=width, boxes=prediction.boxes + shift, masks=masks
    )
    return Prediction(instances, prediction.names)


def concatenate(predictions: Sequence[Prediction], height: int, width: int) -> Prediction:
    """Return all detections of several regions, best first; `regions` says where.

    Args:
        predictions: Of one image each, as `place` returns them; of no region for no boxes.
        height, width: Size of the image.
    """
    if not predictions:
        nothing = Instances(
            height,
            width,
            np.zeros([0, 4], np.float32),
            np.zeros(0, np.int32),
            np.zeros(0, np.float32),
            Masks([], height, width),
        )
        return Prediction(nothing, (), np.zeros(0, np.int64))
    masks = None
    if predictions[0].has_masks:
        masks = Masks([c for each in predictions for c in each.crops], height, width)
    together = Prediction(
        Instances(
            height,
            width,
            np.concatenate([each.boxes for each in predictions]),
            np.concatenate([each.classes for each in predictions]),
            np.concatenate([each.scores for each in predictions]),
            masks,
        ),
        tuple(name for each in predictions for name in each.names),
        np.repeat(np.arange(len(predictions)), [len(each) for each in predictions]),
    )
    return together.select(np.argsort(-together.scores, kind="stable"))


def merge_windows(
    predictions: Sequence[Prediction], windows: Sequence[Region], threshold: float
) -> Prediction:
    """Return the detections of overlapping windows, every object once.

    Args:
        predictions: Of one image each, as `place` returns them.
        windows: The regions they are of.
        threshold: Least score of the result.
    """
    height, width = predictions[0].height, predictions[0].width
    together = concatenate(predictions, height, width)
    findings = [
        Finding(
            together.boxes[k],
            float(together.scores[k]),
            int(together.classes[k]),
            together.crop(k),
            int(together.regions[k]),
        )
        for k in range(len(together))
    ]
    names = dict(zip(together.classes.tolist(), together.names, strict=True))
    merged = [each for each in merge(findings, windows, height, width) if each.score >= threshold]
    masks = Masks([each.mask for each in merged], height, width) if together.has_masks else None
    instances = Instances(
        height,
        width,
        np.array([each.box for each in merged], np.float32).reshape(-1, 4),
        np.array([each.kind for each in merged], np.int32),
        np.array([each.score for each in merged], np.float32),
        masks,
    )
    return Prediction(instances, tuple(names[each.kind] for each in merged))


def merge(findings, windows, height, width):
    """Merge findings that are the same object.

    Args:
        findings: A list of `Finding`; those of one window are different objects, or pieces of one
            object that the window's border cuts.
        windows: The `Region` of each window.
        height, width: Size of the image.

    Returns:
        A list of `Finding`, best first; `window` is that of its best piece.
    """
    pieces = [_Piece(each, windows[each.window], (height, width)) for each in findings]
    of_window = [[] for _ in windows]
    for number, piece in enumerate(pieces):
        of_window[piece.finding.window].append(number)
    pairs = sorted(_pairs(pieces, of_window, windows), key=lambda pair: (-pair[0], *pair[1:]))
    objects = [_one_of(group) for group in _groups(pieces, pairs)]
    objects.sort(key=lambda each: -each.finding.score)
    return [each.finding for each in _without_remains(objects)]


class _Piece:
    """A finding with what merging needs.

    Attributes:
        mask: A tight `CroppedMask`; for models without masks the whole box.
        near: Distance from a border of the window that counts as at it, (rows, columns).
        cuts: For each side of the window, whether the image continues beyond it.
        is_cut: Whether the object may continue there.
        windows: The windows it was seen in.
    """

    def __init__(self, finding, region, size):
        self.finding, self.region, self.windows = finding, region, {finding.window}
        self.mask = (finding.mask or _filled(finding.box, size)).tight()
        self.near = tuple(
            int(max(LEAST_NEAR, NEAR_BORDER * side)) for side in (region.height, region.width)
        )
        self.cuts = np.array(
            [region.top > 0, region.left > 0, region.bottom < size[0], region.right < size[1]]
        )
        distances = np.abs(np.asarray(finding.box, np.float64) - np.array(region))
        self.is_cut = bool((self.cuts & (distances <= self.near * 2)).any())

    def part_in(self, area):
        """Return the mask within an area (top, left, bottom, right), bool of the area's size."""
        part = np.zeros((area[2] - area[0], area[3] - area[1]), bool)
        rows, columns = self.mask.window
        top, bottom = max(area[0], rows.start), min(area[2], rows.stop)
        left, right = max(area[1], columns.start), min(area[3], columns.stop)
        if top < bottom and left < right:
            part[top - area[0] : bottom - area[0], left - area[1] : right - area[1]] = (
                self.mask.pixels[
                    top - rows.start : bottom - rows.start,
                    left - columns.start : right - columns.start,
                ]
            )
        return part

    def depth(self, area):
        """Return the distance of each pixel to the nearest cutting border; negative outside."""
        far = 1e9
        ends = np.where(self.cuts, np.array(self.region), [-far, -far, far, far])
        y, x = np.arange(area[0], area[2]), np.arange(area[1], area[3])
        y = np.minimum(y - ends[0], ends[2] - 1 - y)
        x = np.minimum(x - ends[1], ends[3] - 1 - x)
        return np.minimum(y[:, np.newaxis], x)


def _filled(box, size):
    """Return a box as a mask, for models without masks."""
    top, left, bottom, right = np.clip(np.rint(box), 0, [*size, *size]).astype(int).tolist()
    return CroppedMask(np.ones((max(0, bottom - top), max(0, right - left)), bool), top, left)


def _pairs(pieces, of_window, windows):
    """Yield (agreement, a, b) of pieces in two windows that are the same object."""
    sides = np.array(windows)
    for first, window in enumerate(sides):
        low = np.maximum(window[:2], sides[first + 1 :, :2])
        high = np.minimum(window[2:], sides[first + 1 :, 2:])
        # What both see; a line where they only meet. Corners do not count.
        meeting = (high >= low).all(axis=1) & (high > low).any(axis=1)
        for other in np.flatnonzero(meeting) if of_window[first] else ():
            second = first + 1 + int(other)
            area = (*low[other].tolist(), *high[other].tolist())
            others = _reaching(pieces, of_window[second], area)
            for a in _reaching(pieces, of_window[first], area):
                for b in others:
                    agreement = _agreement(pieces[a], pieces[b], area)
                    if agreement:
                        yield agreement, a, b


def _reaching(pieces, numbers, area):
    """Return the pieces with pixels in or near an area, which may be a line."""
    reaching = []
    for number in numbers:
        piece = pieces[number]
        (rows, columns), (y, x) = piece.mask.window, piece.near
        if rows.start < area[2] + y and rows.stop > area[0] - y:
            if columns.start < area[3] + x and columns.stop > area[1] - x:
                reaching.append(number)
    return reaching


def _agreement(one, other, area):
    """Return how well two pieces agree within an area; 0 if they are not the same object."""
    if one.finding.kind != other.finding.kind:
        return 0.0
    if area[0] == area[2] or area[1] == area[3]:
        here, there = _along_border(one, area), _along_border(other, area)
    else:
        ends, others = _extent(one.mask), _extent(other.mask)
        if ends[0] >= others[2] or others[0] >= ends[2]:
            return 0.0
        if ends[1] >= others[3] or others[1] >= ends[3]:
            return 0.0
        low = [max(area[k], min(ends[k], others[k])) for k in (0, 1)]
        high = [min(area[k], max(ends[k], others[k])) for k in (2, 3)]
        here, there = one.part_in((*low, *high)), other.part_in((*low, *high))
    shared = int((here & there).sum())
    if not shared:
        return 0.0
    sizes = int(here.sum()), int(there.sum())
    overlap = shared / (sum(sizes) - shared)
    # One window may see two arms of what the other sees whole: each arm is a part of it.
    is_part = one.is_cut and other.is_cut and shared / min(sizes) >= INSIDE
    return overlap if overlap >= AGREEMENT or is_part else 0.0


def _along_border(piece, line):
    """Return where a piece touches the line at which its window meets the next, bool [n]."""
    top, left, bottom, right = line
    (y, x), region = piece.near, piece.region
    if top == bottom:
        strip = (top - y, left, top, right) if region.bottom == top else (top, left, top + y, right)
        return piece.part_in(strip).any(axis=0)
    strip = (top, left - x, bottom, left) if region.right == left else (top, left, bottom, left + x)
    return piece.part_in(strip).any(axis=1)


def _groups(pieces, pairs):
    """Return lists of pieces of one object each, joined in order of agreement.

    Objects that one window separates stay separate, whatever another window detects: pieces of one
    window can only be one object if its border cuts them and they do not overlap.
    """
    group_of = list(range(len(pieces)))
    members = {number: [number] for number in group_of}
    for _, a, b in pairs:
        one, other = group_of[a], group_of[b]
        if one == other or _are_separate(pieces, members[one], members[other]):
            continue
        for number in members[other]:
            group_of[number] = one
        members[one] += members.pop(other)
    return [[pieces[number] for number in numbers] for numbers in members.values()]


def _are_separate(pieces, group, others):
    for a in group:
        for b in others:
            one, other = pieces[a], pieces[b]
            if one.windows == other.windows:
                (rows, columns), pixels = one.mask.window, one.mask.pixels
                area = (rows.start, columns.start, rows.stop, columns.stop)
                both_cut = one.is_cut and other.is_cut
                if not both_cut or (other.part_in(area) & pixels).any():
                    return True
    return False


def _one_of(group):
    """Return the pieces of one object as one `_Piece`."""
    best = max(group, key=lambda piece: piece.finding.score)
    if len(group) == 1:
        return best
    windows = set().union(*(piece.windows for piece in group))
    top, left = (min(getattr(piece.mask, side) for piece in group) for side in ("top", "left"))
    ends = [piece.mask.window for piece in group]
    bottom, right = max(rows.stop for rows, _ in ends), max(columns.stop for _, columns in ends)
    mask = CroppedMask(_joined_pixels(group, (top, left, bottom, right)), top, left).tight()
    whole = [piece for piece in group if not piece.is_cut]
    if whole:
        chosen = max(whole, key=lambda piece: piece.finding.score)
        if chosen.mask.pixels.sum() >= WHOLE * mask.pixels.sum():
            chosen.finding = chosen.finding._replace(score=best.finding.score)
            chosen.windows = windows
            return chosen
    boxes = np.stack([piece.finding.box for piece in group])
    box = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    has_mask = best.finding.mask is not None
    best.finding = best.finding._replace(box=box, mask=mask if has_mask else None)
    best.mask, best.windows, best.is_cut = mask, windows, False
    return best


def _joined_pixels(group, area):
    """Return an object's pixels within an area, each from the window in which it is deepest."""
    pixels = np.zeros((area[2] - area[0], area[3] - area[1]), bool)
    deepest = np.full(pixels.shape, -1.0)
    by_window = {}
    for piece in group:  # together the pieces of one window are what it sees
        by_window.setdefault(piece.finding.window, []).append(piece)
    for pieces in by_window.values():
        depth = pieces[0].depth(area)
        deeper = depth > deepest
        seen = np.logical_or.reduce([piece.part_in(area) for piece in pieces])
        pixels[deeper] = seen[deeper]
        deepest = np.maximum(deepest, depth)
    return pixels


def _without_remains(objects):
    """Return the objects without cut pieces that lie inside another object of the class.

    A border may leave so little of an object that its detection agrees with no other.
    """
    ends = np.array([_extent(each.mask) for each in objects]).reshape(-1, 4)
    sizes = np.array([each.mask.pixels.sum() for each in objects])
    kept = []
    for k, piece in enumerate(objects):
        near = (ends[:, :2] < ends[k, 2:]).all(axis=1) & (ends[:, 2:] > ends[k, :2]).all(axis=1)
        near &= sizes > sizes[k]
        others = [objects[other] for other in np.flatnonzero(near)] if piece.is_cut else ()
        if not any(_holds(other, piece) for other in others):
            kept.append(piece)
    return kept


def _holds(other, piece):
    """Return whether a piece lies inside another finding that other windows support."""
    if other.finding.kind != piece.finding.kind or other.windows <= piece.windows:
        return False
    shared = (other.part_in(_extent(piece.mask)) & piece.mask.pixels).sum()
    return bool(shared >= INSIDE * piece.mask.pixels.sum())


def _extent(mask):
    rows, columns = mask.window
    return rows.start, columns.start, rows.stop, columns.stop
