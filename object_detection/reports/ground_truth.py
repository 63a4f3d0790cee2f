"""Ground truth of evaluations: images with their objects from records or a COCO json."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps
from pycocotools import mask as rle_codec

from object_detection.datasets import checking
from object_detection.datasets.annotations import Finding
from object_detection.datasets.formats import coco
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE, SKIPPED_OBJECT
from object_detection.ops import ignore_regions
from object_detection.reports import data_browser, scanning
from object_detection.reports.findings import LOST
from object_detection.structures.batch import IgnoreRegions
from object_detection.structures.instances import EvaluatedImage, Instances
from object_detection.structures.masks import Masks

SHOWN_NAMES = 10
_BAD_RECORD = "record that cannot be decoded"


class GroundTruth(NamedTuple):
    """A set of annotated images; `images` can be iterated once."""

    categories: dict[int, str]
    images: Iterable[EvaluatedImage]  # without detections
    origin: list[str]  # where it comes from, for people
    notes: list[str]  # what was left out; complete after iterating `images`
    sizes: dict = {}  # image id -> (height, width), if known beforehand
    ignore_classes: tuple = ()  # names of the classes whose objects are ignore regions
    lost: Callable[[], int] = int  # returns the number of objects and images left out so far


def from_records(
    patterns: Sequence[str], label_map_path: str = "", ignore_classes: Iterable[str] = ()
) -> GroundTruth:
    """Read the ground truth of record files.

    Args:
        patterns, label_map_path: As for `data_browser.source_of_records`, also its errors.
        ignore_classes: Class texts of the objects that are ignore regions.
    """
    source = data_browser.source_of_records(patterns, label_map_path)
    notes = []
    shown = source.files[:4] + (["..."] if len(source.files) > 4 else [])
    origin = [f"ground truth: {', '.join(shown)}", f"classes: {source.classes.origin}"]
    ignore_classes = tuple(ignore_classes)
    names = {k: name for k, name in source.classes.names.items() if name not in ignore_classes}
    lost = Counter()  # objects and whole records, by reason
    images = _recorded(source, notes, ignore_classes, lost)
    return GroundTruth(
        *(names, images, origin, notes),
        ignore_classes=ignore_classes,
        lost=lambda: lost.total(),
    )


def from_coco(
    annotations_file: str, image_dir: str = "", ignore_classes: Iterable[str] = ()
) -> GroundTruth:
    """Read the ground truth of a COCO json.

    Args:
        annotations_file: Path of the json.
        image_dir: Folder of the images, which are only needed to run a model or draw; '' takes the
            folder of the json.
        ignore_classes: Names of categories whose objects are ignore regions.

    Raises:
        AnnotationError: Not a json file, or not in COCO's format.
    """
    folder = image_dir or Path(annotations_file).parent
    annotations, notes = coco.read(annotations_file, folder), FindingNotes()
    notes.add(annotations.findings)
    names = [category.name for category in annotations.categories]
    categories = {
        each.id: each.name if names.count(each.name) == 1 else f"{each.name} ({each.id})"
        for each in annotations.categories
    }
    ignore = {k for k, name in categories.items() if name in ignore_classes}
    images = (_of_coco(image, notes, ignore) for image in annotations.images)
    images = (image for image in images if image is not None)
    sizes = {
        image.source_id: image.stated_size for image in annotations.images if image.stated_size
    }
    categories = {k: name for k, name in categories.items() if k not in ignore}
    origin = [f"ground truth: {annotations_file}"]
    ignore_classes = tuple(ignore_classes)
    return GroundTruth(categories, images, origin, notes.lines, sizes, ignore_classes, notes.lost)


class FindingNotes:
    """Findings as lines for people, one for each reason, with a count and the first names.

    Attributes:
        lines: The list; it grows and changes as findings are added.
    """

    def __init__(self):
        self.lines = []
        self._names, self._rows, self._lost = {}, {}, 0

    def lost(self) -> int:
        """Return how many objects and images were left out so far."""
        return self._lost

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings."""
        for finding in findings:
            self._lost += finding.group in (SKIPPED_IMAGE, SKIPPED_OBJECT)
            names = self._names.setdefault(finding.reason, [])
            names.append(finding.key)
            if finding.reason not in self._rows:
                self._rows[finding.reason] = len(self.lines)
                self.lines.append("")
            shown = ", ".join(names[:SHOWN_NAMES])
            more = f", ... and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            self.lines[self._rows[finding.reason]] = (
                f"{finding.reason}: {len(names)} ({shown}{more})"
            )


def _recorded(source, notes, ignore_classes, lost):
    scanner = scanning.RecordScanner(
        source.files, source.classes, source.num_classes, ignore_classes
    )
    for raw, example, findings in scanner.decoded():
        if example is None:
            why = ": ".join(filter(None, [findings[0].reason, findings[0].detail]))
            notes.append(f"not evaluated, cannot be decoded: {raw.place}: {why}")
            lost[_BAD_RECORD] += 1
            continue
        for finding in findings:
            lost[finding.reason] += finding.count if finding.severity == LOST else 0
        height, width = example.image.shape[:2]
        masks = None if example.masks is None else Masks.from_dense(example.masks.pixels)
        if masks is not None and (masks.height, masks.width) != (height, width):
            masks = masks.resize(height, width)
        truth = Instances(
            height,
            width,
            boxes=example.boxes_normalized * np.float32([height, width, height, width]),
            classes=example.classes,
            crowd=example.crowd,
            difficult=example.difficult,
            area=example.area,
            masks=masks,
        ).encoded()
        truth, ignore = split_ignored(truth, example.ignore)
        pixels = _RecordPixels(scanner, (raw.path, raw.index), example.image)
        yield EvaluatedImage(raw.id or raw.place, truth, None, pixels, raw.place, ignore)
        pixels.release()
    for reason, count in [*lost.items(), *scanner.file_report.counts().items()]:
        if count and reason != _BAD_RECORD:  # each bad record has its own note
            notes.append(f"{reason}: {count}")


class _RecordPixels:
    """Pixels of a record: held until `release`, then decoded again when needed.

    A model reads every image once, while only the worst images are drawn.
    """

    def __init__(self, scanner, key, pixels):
        self._scanner, self._key, self._pixels = scanner, key, pixels

    def release(self):
        self._pixels = None

    def __call__(self):
        if self._pixels is not None:
            return self._pixels
        for _, _, example in self._scanner.examples({self._key}):
            return None if example is None else example.image
        return None


def _of_coco(image, notes, ignore):
    """Return the `EvaluatedImage`, or None if its size is unknown; `ignore` is a set of ids."""
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
    kept = checked.kept
    masks = [each.mask and each.mask.to_rle(height, width) for each in kept]
    if any(mask is None for mask in masks) and any(mask is not None for mask in masks):
        reason = "masks are not scored in this image: some of its objects have none"
        notes.add([Finding(NOTED, reason, image.filename)])
    complete = all(mask is not None for mask in masks)
    truth = Instances(
        height,
        width,
        boxes=np.array([each.box for each in kept]).reshape(-1, 4),
        classes=np.array([each.category_id for each in kept], np.int64),
        crowd=np.array([each.crowd for each in kept], bool),
        area=np.array([each.area for each in kept], np.float64),
        masks=Masks.from_checked_rle(masks, height, width) if complete else None,
    )
    truth, regions = split_ignored(truth, np.isin(truth.classes, list(ignore)))

    def pixels():
        return _pixels(image.path, size)

    return EvaluatedImage(image.source_id, truth, None, pixels, image.filename, regions)


def _size_of(path):
    """Return (height, width) of an image file, or None."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, AttributeError, Image.DecompressionBombError):
        return None


def _pixels(path, size):
    """Return the image in the orientation of its annotations; None if it cannot be read."""
    try:
        with Image.open(path) as image:
            if (image.height, image.width) != tuple(size):
                image = ImageOps.exif_transpose(image)
            upright = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, AttributeError, Image.DecompressionBombError):
        return None
    return upright if upright.shape[:2] == tuple(size) else None


class _BatchOfOne(NamedTuple):
    """Objects of one image as a batch."""

    boxes: tf.Tensor  # [1, n, 4] pixels
    classes: tf.Tensor  # [1, n]
    valid: tf.Tensor  # [1, n] bool


def split_ignored(truth: Instances, is_ignored: np.ndarray) -> tuple[Instances, dict | None]:
    """Separate true objects from ignore regions.

    Args:
        truth: All annotated objects.
        is_ignored: [n] bool.

    Returns:
        The true objects, and the RLE of the ignore regions; None without any.
    """
    if not np.any(is_ignored):
        return truth, None
    regions = truth.select(is_ignored)
    if regions.masks is None:
        codes = [_filled(box, truth.height, truth.width) for box in regions.boxes]
    else:
        codes = regions.masks.to_rle()
    return truth.select(~is_ignored), rle_codec.merge(codes)


def without_ignored(image: EvaluatedImage) -> EvaluatedImage:
    """Return an image without the objects and detections that lie in its ignore regions."""
    if image.ignore is None:
        return image
    truth, detections = image.truth, image.detections
    size = tf.constant([[image.height, image.width]])
    area = tf.constant(rle_codec.decode(image.ignore)[np.newaxis])
    finite = detections.is_finite()
    objects, kept = ignore_regions.apply_ignore_regions(
        _batch_of_one(truth.boxes, truth.classes, np.ones(len(truth.boxes), bool)),
        _batch_of_one(
            np.where(finite[:, np.newaxis], detections.boxes, 0), detections.classes, finite
        ),
        IgnoreRegions(area, size, size),
    )
    # Boxes that are not finite stay: the metrics count and report them.
    kept = ~finite | kept.numpy()[0]
    return image._replace(
        truth=truth.select(objects.numpy()[0]), detections=detections.select(kept)
    )


def _batch_of_one(boxes, classes, valid):
    return _BatchOfOne(
        tf.constant(np.asarray(boxes, np.float32).reshape(1, -1, 4)),
        tf.constant(np.asarray(classes, np.int64)[np.newaxis]),
        tf.constant(valid[np.newaxis]),
    )


def _filled(box, height, width):
    """Return the RLE of the pixels whose center is inside a box."""
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    ymin, xmin, ymax, xmax = box
    inside = np.outer((rows >= ymin) & (rows < ymax), (columns >= xmin) & (columns < xmax))
    return rle_codec.encode(np.asfortranarray(inside.astype(np.uint8)))
