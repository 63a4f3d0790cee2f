"""Tables of counts and histograms over a set of images."""

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from object_detection.reports.findings import SEVERITIES

COCO_EDGES = (32.0, 96.0)  # sides of a square: COCO's small, medium and large
_SIDES = (0, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024)
_RATIOS = (1 / 5, 1 / 3, 1 / 2, 2 / 3, 3 / 2, 2, 3, 5)
_COUNTS = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200)
_SIZES_SHOWN = 12
_IDS_SHOWN = 5


class Table(NamedTuple):
    """A table for people; bars are drawn for its second column."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple]  # label, count, further cells
    note: str = ""


def tables(images, classes, *, file_findings=()):
    """Return all tables of a set of images.

    Args:
        images: List of `ImageFacts`.
        classes: The `Classes`.
        file_findings: (reason, count, names) of whole files.

    Returns:
        List of `Table`s.
    """
    readable = [image for image in images if image.size]
    boxes = _joined([_sides(image.objects.boxes) for image in readable])
    with_masks = [image.mask_area for image in readable if image.mask_area is not None]
    masks = np.sqrt(np.concatenate(with_masks)) if with_masks else np.zeros(0)
    made = [
        overview(images),
        findings(images, file_findings),
        of_classes(readable, classes),
        coco_sizes("Box sizes by COCO's classes", np.sqrt(boxes.prod(axis=1))),
        sides("Box sizes: square root of the area, in pixels", np.sqrt(boxes.prod(axis=1))),
        shapes(boxes),
    ]
    if with_masks:
        made += [
            coco_sizes("Mask sizes by COCO's classes", masks),
            sides("Mask sizes: square root of the area, in pixels", masks),
            filled(readable),
        ]
    made += [objects_an_image(readable), image_sizes(readable)]
    return [table for table in made if table.rows]


def overview(images):
    """Return the totals."""
    readable = [image for image in images if image.size]
    masks = sum(len(image.mask_area) for image in images if image.mask_area is not None)
    rows = [
        ("images", len(images)),
        ("of them not readable", len(images) - len(readable)),
        ("images without objects", sum(not len(image.objects.boxes) for image in readable)),
        ("objects", sum(len(image.objects.boxes) for image in images)),
        ("masks", masks),
        ("crowds", sum(int(image.objects.crowd.sum()) for image in images)),
        ("difficult objects", sum(int(image.objects.difficult.sum()) for image in images)),
    ]
    return Table("In all", ("", "count"), rows)


def findings(images, file_findings=()):
    """Return the findings, most severe first."""
    counts, where, ids = Counter(), defaultdict(int), defaultdict(list)
    for image in images:
        for finding in image.findings:
            kind = (finding.severity, finding.reason)
            counts[kind] += finding.count
            where[kind] += 1
            detail = f" ({finding.detail})" if finding.detail else ""
            if len(ids[kind]) < _IDS_SHOWN:
                ids[kind].append(f"{image.id}{detail}")
    rows = [
        (reason, count, "-", "lost", ", ".join(names)) for reason, count, names in file_findings
    ]
    for kind in sorted(counts, key=lambda kind: (SEVERITIES.index(kind[0]), -where[kind])):
        more = ", ..." if where[kind] > _IDS_SHOWN else ""
        rows.append((kind[1], counts[kind], where[kind], kind[0], "; ".join(ids[kind]) + more))
    return Table("Findings", ("", "count", "images", "kind", "where"), rows)


def of_classes(images, classes):
    """Return the objects by class, classes without objects last."""
    objects, holders, crowds, sizes = Counter(), Counter(), Counter(), defaultdict(list)
    for image in images:
        holders.update({int(number) for number in image.objects.classes})
        for number, is_crowd, side in zip(
            image.objects.classes, image.objects.crowd, _sides(image.objects.boxes), strict=True
        ):
            objects[int(number)] += 1
            crowds[int(number)] += int(is_crowd)
            sizes[int(number)].append(float(np.sqrt(side.prod())))
    rows = [
        (classes.name(n), objects[n], holders[n], crowds[n], f"{np.median(sizes[n]):.0f}", n)
        for n, _ in objects.most_common()
    ]
    empty = [number for number in sorted(classes.names) if not objects[number]]
    note = f"{len(empty)} classes have no object: " if empty else ""
    note += ", ".join(classes.name(number) for number in empty)
    header = ("", "objects", "images", "crowds", "median side", "id")
    return Table("Objects by class", header, rows, note)


def coco_sizes(title, lengths):
    """Return the counts of small, medium and large objects as COCO defines them."""
    counts = np.bincount(np.searchsorted(COCO_EDGES, lengths, side="right"), minlength=3)
    names = ("small (under 32 x 32)", "medium", "large (96 x 96 or more)")
    return Table(title, ("", "objects", "share"), _shares(names, counts))


def sides(title, lengths):
    """Return a finer histogram."""
    counts = np.histogram(lengths, [*_SIDES, np.inf])[0]
    names = [f"{low} to {high}" for low, high in zip(_SIDES, _SIDES[1:], strict=False)]
    rows = _shares([*names, f"{_SIDES[-1]} or more"], counts)
    return Table(title, ("", "objects", "share"), _trimmed(rows))


def shapes(boxes):
    """Return a histogram of height to width, by which to choose anchors' aspect ratios."""
    ratios = boxes[:, 0] / np.maximum(boxes[:, 1], 1e-6)
    counts = np.histogram(ratios, [0, *_RATIOS, np.inf])[0]
    edges = ["1:5", "1:3", "1:2", "2:3", "3:2", "2:1", "3:1", "5:1"]
    names = [f"{low} to {high}" for low, high in zip(edges, edges[1:], strict=False)]
    rows = _shares(["wider than 1:5", *names, "higher than 5:1"], counts)
    return Table("Box shapes: height to width", ("", "objects", "share"), _trimmed(rows))


def filled(images):
    """Return a histogram of the share of its box that a mask fills."""
    shares = [
        image.mask_area / np.maximum(_sides(image.objects.boxes).prod(axis=1), 1e-6)
        for image in images
        if image.mask_area is not None
    ]
    shares = np.concatenate(shares) if shares else np.zeros(0)
    edges = np.array([0, 0.2, 0.4, 0.6, 0.8, 0.95])
    counts = np.histogram(shares, [*edges, np.inf])[0]
    pairs = zip(edges, edges[1:], strict=False)
    names = [f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in pairs]
    rows = _shares([*names, "95 % or more"], counts)
    return Table("Share of its box that a mask fills", ("", "objects", "share"), _trimmed(rows))


def objects_an_image(images):
    """Return a histogram of objects per image; max_number_of_boxes must allow the largest."""
    counts = np.array([len(image.objects.boxes) for image in images], int)
    upper = [*_COUNTS[1:], np.inf]
    rows = []
    for low, high in zip(_COUNTS, upper, strict=True):
        number = int(((counts >= low) & (counts < high)).sum())
        single = high - low == 1
        name = (
            f"{low}" if single else f"{low} or more" if high == np.inf else f"{low} to {high - 1}"
        )
        rows.append((name, number, _percent(number, len(counts))))
    most = max(images, key=lambda image: len(image.objects.boxes), default=None)
    note = f"at most {len(most.objects.boxes)}, in {most.id}" if most else ""
    return Table("Objects an image", ("", "images", "share"), _trimmed(rows), note)


def image_sizes(images):
    """Return heights and widths, most frequent first."""
    counts = Counter(image.size for image in images).most_common()
    rows = [
        (f"{height} x {width}", number, _percent(number, len(images)))
        for (height, width), number in counts[:_SIZES_SHOWN]
    ]
    rest = sum(number for _, number in counts[_SIZES_SHOWN:])
    if rest:
        name = f"{len(counts) - _SIZES_SHOWN} other sizes"
        rows.append((name, rest, _percent(rest, len(images))))
    note = ""
    if len(counts) > 1:
        size = np.array([size for size, _ in counts])
        note = (
            f"height {size[:, 0].min()} to {size[:, 0].max()}, "
            f"width {size[:, 1].min()} to {size[:, 1].max()}"
        )
    return Table("Image sizes: height x width", ("", "images", "share"), rows, note)


def _sides(boxes):
    """Return heights and widths of boxes, [n, 2]."""
    return boxes[:, 2:] - boxes[:, :2]


def _joined(arrays):
    return np.concatenate(arrays) if arrays else np.zeros((0, 2), np.float32)


def _shares(names, counts):
    """Return the rows of a histogram; empty if there is nothing to count."""
    total = int(sum(counts))
    if not total:
        return []
    return [
        (name, int(count), _percent(count, total))
        for name, count in zip(names, counts, strict=True)
    ]


def _percent(count, total):
    return f"{100 * count / max(total, 1):.1f} %"


def _trimmed(rows):
    """Return the rows without the empty ones at both ends."""
    full = [number for number, row in enumerate(rows) if row[1]]
    return rows[full[0] : full[-1] + 1] if full else []
