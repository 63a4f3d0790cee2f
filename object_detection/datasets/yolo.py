"""Reads YOLO's text files: a row an object, in shares of the image; boxes or polygons."""

import math
from collections import Counter
from functools import partial
from pathlib import Path

from object_detection.datasets import drawn, files, yolo_layout
from object_detection.datasets.drawn import NoObject
from object_detection.datasets.record import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
    Polygons,
)
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE
from object_detection.errors import AnnotationError

FARTHEST = 2.0  # image sides; a number beyond it is one of pixels
SLACK = 0.01  # image sides by which a keypoint may be outside its box
MOST_CROSSED = 40  # corners of a row that are looked at: more are a polygon's
NO_LABELS = "no label file: taken as an image without objects"


def read(place, names_file=None, *, image_dir=""):
    """Reads a data set.

    Args:
        place: data.yaml, obj.data, or a folder with one of them or with images and labels.
        names_file: names of the classes, one a line; None: as the data set has them.
        image_dir: folder of the images; '': where the data set says. The labels stay in `place`.

    Returns:
        Name of the split ("train", "val", "test", or "" where there are none) -> `AnnotationSet`,
        the ids of the categories as they stand in the rows, from 0.

    Raises:
        AnnotationError: no images, no names, or no label file for any image.
    """
    findings, poses = [], _Poses()
    layout = yolo_layout.find(place, names_file, findings, image_dir)
    categories = tuple(Category(name, number) for number, name in layout.names.items())
    labels, used, sets = _LabelFiles(layout), set(), {}
    for split, paths in layout.splits.items():
        about = [] if sets else findings  # those about the whole set go to its first split
        images = tuple(_image(path, layout, labels, poses, about) for path in paths)
        sets[split] = AnnotationSet(f"{place} {split}".strip(), categories, images, about)
        used |= labels.used
    if not used:
        path = next(path for paths in layout.splits.values() for path in paths)
        tried = ", ".join(str(each) for each in labels.places(path))
        raise AnnotationError(
            f"{place}: no image has a label file; for {path.name}, none of {tried}"
        )
    if layout.keypoint_numbers is None:
        poses.check(place)
    seen = set()
    for split, found in sets.items():
        about = found.findings
        if not layout.listed:
            folders = {path.parent for path in labels.of_images(layout.splits[split])} - seen
            about = [*about, *_orphans(folders, used, layout.root)]
            seen |= folders
        sets[split] = found._replace(findings=tuple(about))
    return sets


class _LabelFiles:
    """The label files of images, found by the images' names."""

    def __init__(self, layout):
        self.root, self.images, self.used = layout.root, layout.images, set()
        self._found, self._folders, self._below = {}, {}, None

    def places(self, image):
        """Where the rows of an image may be, the likeliest place first."""
        parts, name = image.parent.parts, f"{image.stem}.txt"
        for place in reversed(range(len(parts))):
            if parts[place].lower() == "images":
                for labels in ("labels", "Labels"):
                    yield Path(*parts[:place], labels, *parts[place + 1 :], name)
                break
        yield image.with_name(name)
        yield image.parent / "labels" / name
        yield image.parent.parent / "labels" / name
        if self.images != self.root and image.is_relative_to(self.images):
            name = image.relative_to(self.images).with_name(name)
            yield from (self.root / "labels" / name, self.root / name)
            yield from (folder / name.name for folder in self._label_folders())

    def find(self, image):
        """The label file of an image, or None: of its name, or of one that means the same."""
        if image not in self._found:
            places = list(dict.fromkeys(self.places(image)))
            found = next((each for each in places if files.is_file(each)), None)
            if found is None:
                stem = files.name_key(image.stem)
                found = next(
                    filter(None, (self._by_stem(p.parent).get(stem) for p in places)), None
                )
            self._found[image] = found
            if found:
                self.used.add(found)
        return self._found[image]

    def _label_folders(self):
        """The folders of text files below the root, sorted."""
        if self._below is None:
            self._below = sorted({path.parent for path in files.walk(self.root, {".txt"})})
        return self._below

    def of_images(self, images):
        """The label files of some images."""
        return [each for each in map(self.find, images) if each]

    def _by_stem(self, folder):
        """Label files of a folder by what their names mean; None for several of one meaning."""
        if folder not in self._folders:
            stems = {}
            for path in sorted(folder.glob("*.txt")) if folder.is_dir() else ():
                stem = files.name_key(path.stem)
                stems[stem] = None if stem in stems else path
            self._folders[folder] = stems
        return self._folders[folder]


def _image(path, layout, labels, poses, findings):
    name = files.relative_name(path, layout.images)
    found = labels.find(path)
    objects, seen = [], {}
    if found is None:
        findings.append(Finding(NOTED, NO_LABELS, name))
    else:
        where = files.relative_name(found, layout.root)
        try:
            rows = files.read_text(found).splitlines()
        except AnnotationError as error:
            rows = []
            findings.append(Finding(SKIPPED_IMAGE, str(error), name))
        for number, row in enumerate(rows, 1):
            key = f"{where} line {number}"
            if not row.strip():
                continue
            make = partial(_object, row, key, layout, poses, findings)
            one = drawn.attempt(make, key, findings)
            same = one and (one.class_name, one.box, one.mask)
            if same and seen.setdefault(same, number) != number:
                findings.append(Finding(NOTED, "the same object as in a row above", key))
            objects.append(one)
    return AnnotatedImage(name, name, name, tuple(filter(None, objects)), path, normalized=True)


def _object(row, key, layout, poses, findings):
    """One row as an `AnnotatedObject` in shares of the image; raises `NoObject`."""
    first, *rest = row.replace(",", " ").split() or [""]
    class_id, places = _class_id(first), [drawn.number(each) for each in rest]
    if class_id != int(class_id) or int(class_id) not in layout.names:
        known = f"the names go from 0 to {max(layout.names)}"
        if len(layout.names) <= max(layout.names):
            known = f"the names have the numbers {', '.join(map(str, layout.names))[:80]}"
        raise NoObject(f"class {class_id:g}: {known}")
    if layout.keypoint_numbers and len(places) == 4 + layout.keypoint_numbers:
        places = places[:4]  # then come keypoints
    elif layout.keypoint_numbers and len(places) > 5:
        raise NoObject(
            f"a row of {1 + len(places)} numbers; by 'kpt_shape' a row has 5, or "
            f"{5 + layout.keypoint_numbers} with its keypoints"
        )
    elif len(places) > 5 and layout.keypoint_numbers is None:
        poses.add(places, key)
    if len(places) == 5 or (len(places) > 6 and len(places) % 2):
        reason = "the row ends in a number too many, taken as the confidence of a prediction"
        findings.append(Finding(NOTED, reason, key))
        places.pop()
    if len(places) < 4 or len(places) % 2:
        raise NoObject(f"a row of {1 + len(places)} numbers is neither a box nor a polygon")
    if not all(abs(place) <= FARTHEST for place in places):
        raise NoObject("the row is not in shares of the image (0 to 1): pixels?")
    name = layout.names[int(class_id)]
    if len(places) > 4:
        return AnnotatedObject(key, name, mask=Polygons((tuple(places),)))
    x, y, width, height = places
    box = y - height / 2, x - width / 2, y + height / 2, x + width / 2
    return AnnotatedObject(key, name, box)


def _class_id(text):
    """The number of a class, also written "1.0"; raises `NoObject`."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise NoObject(f"the class is {text[:40]!r}, which is not the number of a class")
    return number


class _Poses:
    """How many of the long rows of a data set without `kpt_shape` look like keypoints."""

    def __init__(self):
        self.rows, self.forms, self.first = 0, Counter(), ""

    def add(self, places, key):
        """Take in a row, without its class, of more numbers than a box has."""
        self.rows += 1
        form = _pose_of(places)
        if form:
            self.forms[form] += 1
            self.first = self.first or f"{key} has {1 + len(places)} numbers"

    def check(self, place):
        """Raise `AnnotationError` where half of the rows or more are keypoints, not polygons."""
        if not self.rows or 2 * self.forms.total() < self.rows:
            return
        ((number, size), _), *_ = self.forms.most_common(1)
        raise AnnotationError(
            f"{place}: {self.first}. The rows look like a box with {number} keypoints of {size} "
            "numbers each, and nothing states it: they would be read as polygons. Add "
            f"'kpt_shape: [{number}, {size}]' to data.yaml (keypoints, numbers of each); the boxes "
            "are read then. If the rows are polygons, add 'kpt_shape: [0, 0]'"
        )


def _pose_of(places):
    """The form of keypoints that a long row has after a box, as `kpt_shape`; None: a polygon.

    Args:
        places: the row's numbers after its class.
    """
    x, y, width, height = places[:4]
    low, high = (x - width / 2, y - height / 2), (x + width / 2, y + height / 2)
    if min(low) < -SLACK or max(high) > 1 + SLACK or min(width, height) <= 0:
        return None  # no box
    rest = places[4:]
    for size in (3, 2):
        points = [rest[start : start + size] for start in range(0, len(rest), size)]
        if len(rest) % size or (size == 3 and any(p[2] not in (0, 1, 2) for p in points)):
            continue
        if all(_is_keypoint(point, low, high) for point in points):
            if size == 3 or _crosses_itself(places):
                return len(points), size
    return None


def _is_keypoint(point, low, high):
    """Whether a point is in a box, or is (0, 0): not labeled."""
    inside = all(a - SLACK <= p <= b + SLACK for p, a, b in zip(point, low, high, strict=False))
    return inside or not any(point[:2])


def _crosses_itself(places):
    """Whether two edges of a polygon cross, as no drawn outline does."""
    points = list(zip(places[::2], places[1::2], strict=True))[:MOST_CROSSED]
    edges = list(zip(points, [*points[1:], points[0]], strict=True))

    def side(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    return any(
        side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
        for number, (a, b) in enumerate(edges)
        for c, d in edges[number + 1 :]
    )


def _orphans(folders, used, root):
    """Label files that no image belongs to."""
    for folder in sorted(folders):
        for path in sorted(folder.glob("*.txt")):
            if path not in used and path.name not in yolo_layout.NAMES:
                reason = "label file without an image"
                yield Finding(SKIPPED_IMAGE, reason, files.relative_name(path, root))
