"""Images with their objects, from records or from a COCO json, to be compared with detections."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from object_detection.datasets import checking
from object_detection.datasets.annotations import Finding
from object_detection.datasets.formats import coco
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.metrics.images import ImageTruth
from object_detection.reports import data_browser, ignore_regions, stored_view
from object_detection.reports.facts import LOST
from object_detection.reports.pictures import Objects

SHOWN_NAMES = 10
_BAD_RECORD = "record that cannot be decoded"


class TruthImage(NamedTuple):
    """One image."""

    id: str
    truth: ImageTruth  # masks are RLEs
    height: int
    width: int
    pixels: Callable  # () -> uint8 [height, width, 3], or None where the image cannot be read
    name: str  # file or record, for people
    loaded: np.ndarray | None = None  # the pixels, where they are at hand already
    ignore: dict | None = None  # RLE of the ignore regions


class TruthSet(NamedTuple):
    """A set of images; `images` can be gone through once."""

    categories: dict[int, str]
    images: object  # iterable of `TruthImage`
    origin: list[str]  # where it is from, for people
    notes: list[str]  # what was left out; complete when `images` has been gone through
    sizes: dict = {}  # image id -> (height, width), where they are known beforehand
    ignore_classes: tuple = ()  # names of the classes whose objects are ignore regions
    lost: Callable = int  # () -> objects and images left out so far


def from_records(patterns, label_map_path="", ignore_classes=()):
    """The set that record files hold.

    Args:
        patterns, label_map_path: of `data_browser.source_of_records`, which says what it raises.
        ignore_classes: texts of the objects that are ignore regions.
    """
    source = data_browser.source_of_records(patterns, label_map_path)
    notes = []
    shown = source.files[:4] + (["..."] if len(source.files) > 4 else [])
    origin = [f"ground truth: {', '.join(shown)}", f"classes: {source.classes.origin}"]
    ignore_classes = tuple(ignore_classes)
    names = {k: name for k, name in source.classes.names.items() if name not in ignore_classes}
    lost = Counter()  # objects and whole records, by reason
    images = _recorded(source, notes, ignore_classes, lost)
    return TruthSet(
        *(names, images, origin, notes),
        ignore_classes=ignore_classes,
        lost=lambda: lost.total(),
    )


def from_coco(annotations_file, image_dir="", ignore_classes=()):
    """The set of a COCO json.

    Args:
        annotations_file: path of the json.
        image_dir: folder of the images, which are only needed to be drawn or looked at; ''
            takes the folder of the json.
        ignore_classes: names of categories whose objects are ignore regions.

    Raises:
        AnnotationError: no json, or not COCO's form of it.
    """
    folder = image_dir or Path(annotations_file).parent
    content = coco.load(annotations_file)
    listed = coco.listed(content, annotations_file, folder)
    found, notes = listed.found, FindingNotes()
    notes.add(found.findings)
    names = [category.name for category in found.categories]
    categories = {
        c.id: c.name if names.count(c.name) == 1 else f"{c.name} ({c.id})" for c in found.categories
    }
    ignore = {k for k, name in categories.items() if name in ignore_classes}
    images = (
        _of_coco(image, listed.category_ids[image.source_id], notes, ignore)
        for image in found.images
    )
    images = (image for image in images if image is not None)
    sizes = {image.source_id: image.stated_size for image in found.images if image.stated_size}
    categories = {k: name for k, name in categories.items() if k not in ignore}
    origin = [f"ground truth: {annotations_file}"]
    ignore_classes = tuple(ignore_classes)
    return TruthSet(categories, images, origin, notes.lines, sizes, ignore_classes, notes.lost)


class FindingNotes:
    """Findings as lines for people, one a reason, with a count and the first names.

    Attributes:
        lines: the list; it grows and changes as findings are added.
    """

    def __init__(self):
        self.lines = []
        self._names, self._places, self._lost = {}, {}, 0

    def lost(self) -> int:
        """Return how many objects and images were left out so far."""
        return self._lost

    def add(self, findings: Iterable[Finding]) -> None:
        """Take in findings."""
        for finding in findings:
            self._lost += finding.group in (SKIPPED_IMAGE, SKIPPED_OBJECT)
            names = self._names.setdefault(finding.reason, [])
            names.append(finding.key)
            if finding.reason not in self._places:
                self._places[finding.reason] = len(self.lines)
                self.lines.append("")
            shown = ", ".join(names[:SHOWN_NAMES])
            more = f", ... and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            self.lines[self._places[finding.reason]] = (
                f"{finding.reason}: {len(names)} ({shown}{more})"
            )


def _recorded(source, notes, ignore_classes, lost):
    stored = stored_view.StoredView(
        source.files, source.classes, source.num_classes, ignore_classes
    )
    for raw, example, findings in stored.decoded():
        if example is None:
            why = ": ".join(filter(None, [findings[0].reason, findings[0].detail]))
            notes.append(f"not evaluated, cannot be decoded: {raw.place}: {why}")
            lost[_BAD_RECORD] += 1
            continue
        for finding in findings:
            lost[finding.reason] += finding.count if finding.severity == LOST else 0
        height, width = example.image.shape[:2]
        masks = None if example.masks is None else example.masks.pixels
        if masks is not None and len(masks) and masks.shape[1:] != (height, width):
            objects = Objects(example.boxes_normalized, example.classes, masks)
            masks = np.stack([objects.full_mask(k, height, width) for k in range(len(masks))])
        truth = ImageTruth(
            boxes=example.boxes_normalized * np.float32([height, width, height, width]),
            classes=example.classes,
            crowd=example.crowd,
            difficult=example.difficult,
            area=example.area,
            masks=masks,
        ).encoded()
        truth, ignore = ignore_regions.split(truth, example.ignore, height, width)
        identity, place = raw.id or raw.place, (raw.path, raw.index)
        yield TruthImage(
            *(identity, truth, height, width, _reread(stored, place), raw.place, example.image),
            ignore=ignore,
        )
    for reason, count in [*lost.items(), *stored.file_report.counts().items()]:
        if count and reason != _BAD_RECORD:  # each of these has a note of its own
            notes.append(f"{reason}: {count}")


def _reread(stored, place):
    """Reads the pixels of a record again: of most images nobody asks for them."""

    def pixels():
        for _, _, example in stored.examples({place}):
            return None if example is None else example.image

    return pixels


def _of_coco(image, category_ids, notes, ignore):
    """The `TruthImage`, or None where its size cannot be known; `ignore` holds ids of classes."""
    size = image.stated_size or _size_of(image.path)
    if size is None:
        reason = "not evaluated: the json states no size of the image, and there is no file"
        notes.add([Finding(SKIPPED_IMAGE, reason, image.filename)])
        return None
    height, width = size
    checked = checking.check_objects(image.objects, height, width, with_masks=checking.STATED)
    notes.add(checked.findings)
    if checked.masks_unknown:
        notes.add([Finding(SKIPPED_IMAGE, checking.NO_MASKS, image.filename)])
        return None
    kept, classes = checked.kept, [category_ids[place] for place in checked.places]
    masks = [each.mask and each.mask.to_rle(height, width) for each in kept]
    if any(mask is None for mask in masks) and any(mask is not None for mask in masks):
        reason = "masks are not scored in this image: some of its objects have none"
        notes.add([Finding(NOTED, reason, image.filename)])
    complete = all(mask is not None for mask in masks)
    truth = ImageTruth(
        boxes=np.array([each.box for each in kept]).reshape(-1, 4),
        classes=np.array(classes, np.int64),
        crowd=np.array([each.crowd for each in kept], bool),
        area=np.array([each.area for each in kept], np.float64),
        masks=masks if complete else None,
    )

    truth, ground = ignore_regions.split(truth, np.isin(truth.classes, list(ignore)), height, width)

    def pixels():
        return _pixels(image.path, size)

    return TruthImage(image.source_id, truth, height, width, pixels, image.filename, ignore=ground)


def _size_of(path):
    """(height, width) of an image file, or None."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, AttributeError, Image.DecompressionBombError):
        return None


def _pixels(path, size):
    """The image in the orientation that its annotations have; None where it cannot be had."""
    try:
        with Image.open(path) as image:
            if (image.height, image.width) != tuple(size):
                image = ImageOps.exif_transpose(image)
            upright = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, AttributeError, Image.DecompressionBombError):
        return None
    return upright if upright.shape[:2] == tuple(size) else None
