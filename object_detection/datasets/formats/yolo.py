"""Reads YOLO's text files: a row an object, in shares of the image; boxes or polygons."""

import math
import os
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Finding,
    Polygons,
)
from object_detection.datasets.formats import shapes
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
        the ids of the categories as in the rows, from 0.

    Raises:
        AnnotationError: no images, no names, or no label file for any image.
    """
    findings, poses = [], _Poses()
    layout = find_layout(place, names_file, findings, image_dir)
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
    for split, annotations in sets.items():
        about = annotations.findings
        if not layout.listed:
            folders = {path.parent for path in labels.of_images(layout.splits[split])} - seen
            about = [*about, *_orphans(folders, used, layout.root)]
            seen |= folders
        sets[split] = annotations._replace(findings=tuple(about))
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
            label_file = next((each for each in places if files.is_file(each)), None)
            if label_file is None:
                stem = files.name_key(image.stem)
                label_file = next(
                    filter(None, (self._by_stem(p.parent).get(stem) for p in places)), None
                )
            self._found[image] = label_file
            if label_file:
                self.used.add(label_file)
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
    label_file = labels.find(path)
    objects, seen = [], {}
    if label_file is None:
        findings.append(Finding(NOTED, NO_LABELS, name))
    else:
        where = files.relative_name(label_file, layout.root)
        try:
            rows = files.read_text(label_file).splitlines()
        except AnnotationError as error:
            rows = []
            findings.append(Finding(SKIPPED_IMAGE, str(error), name))
        for number, row in enumerate(rows, 1):
            key = f"{where} line {number}"
            if not row.strip():
                continue
            make = partial(_object, row, key, layout, poses, findings)
            one = shapes.attempt(make, key, findings)
            same = one and (one.class_name, one.box, one.mask)
            if same and seen.setdefault(same, number) != number:
                findings.append(Finding(NOTED, "the same object as in a row above", key))
            objects.append(one)
    return AnnotatedImage(name, name, name, tuple(filter(None, objects)), path, normalized=True)


def _object(row, key, layout, poses, findings):
    """One row as an `AnnotatedObject` in shares of the image; raises `AnnotationError`."""
    first, *rest = row.replace(",", " ").split() or [""]
    class_id, places = _class_id(first), [shapes.number(each) for each in rest]
    if class_id != int(class_id) or int(class_id) not in layout.names:
        known = f"the names go from 0 to {max(layout.names)}"
        if len(layout.names) <= max(layout.names):
            known = f"the names have the numbers {', '.join(map(str, layout.names))[:80]}"
        raise AnnotationError(f"class {class_id:g}: {known}")
    if layout.keypoint_numbers and len(places) == 4 + layout.keypoint_numbers:
        places = places[:4]  # then come keypoints
    elif layout.keypoint_numbers and len(places) > 5:
        raise AnnotationError(
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
        raise AnnotationError(f"a row of {1 + len(places)} numbers is neither a box nor a polygon")
    if not all(abs(place) <= FARTHEST for place in places):
        raise AnnotationError("the row is not in shares of the image (0 to 1): pixels?")
    name = layout.names[int(class_id)]
    if len(places) > 4:
        return AnnotatedObject(key, name, mask=Polygons((tuple(places),)))
    x, y, width, height = places
    box = y - height / 2, x - width / 2, y + height / 2, x + width / 2
    return AnnotatedObject(key, name, box)


def _class_id(text):
    """The number of a class, also written "1.0"; raises `AnnotationError`."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise AnnotationError(f"the class is {text[:40]!r}, which is not the number of a class")
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
            if path not in used and path.name not in NAMES:
                reason = "label file without an image"
                yield Finding(SKIPPED_IMAGE, reason, files.relative_name(path, root))


YAMLS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
NAMES = ("classes.txt", "obj.names", "classes.names", "_darknet.labels", "labels.txt")
NAMES_BELOW = ("", "labels", "data", "annotations")
NO_NAMES = (
    "{root}: nothing says the names of the classes: no data.yaml with 'names', no classes.txt, no "
    "obj.names. Write them to a file, one a line in the order of their numbers, and give it as "
    "--names_file"
)


MOST_NUMBERED = 10_000  # names with gaps between their numbers are filled up to it
NO_VALUES = ("", "~", "null", "none")  # what YAML writes for nothing


class Layout(NamedTuple):
    """A data set as it lies on the disk."""

    root: Path
    images: Path  # the folder that names of images are relative to: `root`, or another one
    names: dict[int, str]  # of the classes, by their numbers
    splits: dict[str, tuple[Path, ...]]  # "" for the one of a set without splits -> its images
    listed: bool  # whether lists name the images, and there may be more
    keypoint_numbers: int | None  # that follow the box in a row; None: nothing says it


def find_layout(place, names_file, findings, image_dir=""):
    """The `Layout` of a data set.

    Args:
        place: data.yaml, obj.data, or the folder with either or with images and labels.
        names_file: names of the classes, one a line; None: as the data set has them.
        findings: takes in what is to be told.
        image_dir: folder of the images; '': where the data set says.

    Raises:
        AnnotationError: no images, no names, or a file that cannot be read.
    """
    place = Path(place)
    if not place.exists():
        raise AnnotationError(f"there is no file or folder {place}")
    described = place if place.is_file() else _description(place)
    root = _direct(described.parent if described else place)
    images = _direct(Path(image_dir)) if image_dir else root
    entries, names, keypoints = {}, None, None
    if described and described.suffix.lower() == ".data":
        entries, names = _darknet(described, root)
    elif described:
        entries, names, keypoints = _yaml(described, findings)
    if names_file:
        names = _numbered(_lines(names_file))
    names = names or _numbered(_names_beside(root) or ())
    if not names:
        raise AnnotationError(NO_NAMES.format(root=root))
    splits, listed = _by_entries(entries, root, images, findings) if described else ({}, False)
    if described and not splits and not image_dir:
        values = (
            f"{key}: {'/'.join(each)}"
            for key, each_entries in entries.items()
            for each in each_entries
        )
        stated = ", ".join(values)[:300] or "none"
        raise AnnotationError(f"{described}: no images at the paths of its splits ({stated})")
    splits = splits or _by_folders(images)
    if not any(splits.values()):
        raise AnnotationError(f"{images}: no images are there")
    return Layout(root, images, names, splits, listed, keypoints)


def _description(folder):
    """The file in a folder that describes the data set, or None."""
    named = [folder / name for name in YAMLS if (folder / name).is_file()]
    others = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".yaml", ".yml") and "names:" in _text_of(path)
    )
    darknet = sorted(folder.glob("*.data"))
    return next(iter([*named, *others, *darknet]), None)


def _text_of(path):
    """The text of a file that may be of another tool; '' where it cannot be read."""
    try:
        return files.read_text(path)
    except AnnotationError:
        return ""


def _yaml(path, findings):
    """Splits, names and keypoint numbers of a data.yaml."""
    content = files.load_yaml(path)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise AnnotationError(
            f"{path}, line 1: {str(content)[:60]!r} is not 'key: value'; a space belongs after "
            "the colon, as in 'names: [cat, dog]'"
        )
    names = _yaml_names(content.get("names"), path)
    if names and str(content.get("nc", "")).isdecimal() and content["nc"] != str(len(names)):
        reason = f"'nc' is {content['nc'][:20]}, and there are {len(names)} names: the names hold"
        findings.append(Finding(NOTED, reason, path.name))
    shape, keypoints = content.get("kpt_shape"), None
    if isinstance(shape, list) and len(shape) == 2:
        if all(isinstance(each, str) and each.isdecimal() and len(each) < 5 for each in shape):
            keypoints = int(shape[0]) * int(shape[1])
    base = content.get("path")
    base = (base,) if isinstance(base, str) and base.lower() not in NO_VALUES else ()
    stated = content
    if not any(key in files.SPLITS for key in content) and isinstance(content.get("splits"), dict):
        stated = content["splits"]
    entries = {}
    for key, value in stated.items():
        places = [each for each in _flat(value) if each.lower() not in NO_VALUES]
        if key in files.SPLITS and places:
            entries[key] = [(*base, each) for each in places]
    return entries, names, keypoints


def _flat(value):
    """The texts of a YAML value: itself, or those of its lists."""
    if isinstance(value, list):
        return [text for each in value for text in _flat(each)]
    return [value] if isinstance(value, str) else []


def _yaml_names(names, path):
    """The names of the classes by their numbers; None where 'names' says none.

    Raises:
        AnnotationError: they are in none of the forms that YOLO's tools write.
    """
    if isinstance(names, str):
        if names.lower() in NO_VALUES:
            return None
        if len(names.splitlines()) == 1 and files.is_file(path.parent / names):
            return _numbered(_lines(path.parent / names))
        if len(names.splitlines()) == 1 and not names.endswith("\n"):
            raise AnnotationError(
                f"{path}: 'names' is {names[:60]!r}, which is neither a list nor a file in "
                f"{path.parent}; write a list, as in 'names: [cat, dog]'"
            )
        return _numbered([line.strip() for line in names.splitlines() if line.strip()])
    if isinstance(names, list) and names:
        if all(isinstance(each, dict) and {"id", "name"} <= each.keys() for each in names):
            return _by_number([(each["id"], each["name"]) for each in names], path)
        return _by_number(list(enumerate(names)), path)
    return _by_number(list(names.items()), path) if isinstance(names, dict) and names else None


def _numbered(names):
    return dict(enumerate(names))


def _by_number(pairs, path):
    """Names by number of (number, name) pairs; small gaps are filled with the number as a name."""
    named = {}
    for key, name in pairs:
        if not isinstance(name, str):
            raise AnnotationError(
                f"{path}: the name of class {str(key)[:20]} is {str(name)[:60]!r}, which is no "
                "text; put a name that contains a colon or brackets in quotes"
            )
        text = str(key).strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise AnnotationError(
                f"{path}: the keys of 'names' are not numbers: {text[:40]!r}; write "
                "'names: {0: cat, 1: dog}' or a list"
            )
        number = int(text)
        if number < 0:
            raise AnnotationError(f"{path}: 'names' has the number {number}; classes start at 0")
        if number in named:
            raise AnnotationError(f"{path}: 'names' has the number {number} twice")
        named[number] = name.strip() or str(number)
    if max(named) < MOST_NUMBERED:
        return {number: named.get(number, str(number)) for number in range(max(named) + 1)}
    return dict(sorted(named.items()))


def _darknet(path, root):
    """Splits and names of an obj.data: `key = value` lines."""
    pairs = [line.partition("=") for line in files.read_text(path).splitlines()]
    content = {key.strip(): value.strip() for key, _, value in pairs if value.strip()}
    entries = {key: [(content[key],)] for key in files.SPLITS if key in content}
    stated = content.get("names") and _existing((content["names"],), root)
    return entries, _numbered(_lines(stated)) if stated else None


def _lines(path):
    return [line.strip() for line in files.read_text(path).splitlines() if line.strip()]


def _names_beside(root):
    for below in NAMES_BELOW:
        for name in NAMES:
            if (root / below / name).is_file():
                return _lines(root / below / name)
    return None


def _existing(parts, root):
    """The file or folder that an entry means, or None.

    Args:
        parts: the `path` of the description, if it has one, and the entry.
        root: folder of the description.

    Entries are written for the folder a training is started from, or for another machine: so the
    first of their parts are left out, one after another, until something is there.
    """
    if files.exists(Path(root, *parts)):
        return _direct(Path(root, *parts))
    for parent in (root, root.parent):
        parts_of_name = [part for entry in parts for part in files.name_parts(entry)]
        for left_out in range(len(parts_of_name)):
            if parent == root or not left_out:
                path = parent.joinpath(*parts_of_name[left_out:])
                if files.exists(path):
                    return path
    return None


def _direct(path):
    """A path without detours, as all names are compared."""
    return Path(os.path.normpath(path))


def _by_entries(entries, root, images_root, findings):
    """The images of each split, and whether any of them is by a list."""
    splits, listed = {}, False
    for key, values in entries.items():
        images = {}
        for parts in values:
            place = _existing(parts, images_root)
            if place is None and images_root != root:  # a list is with the data set all the same
                place = _existing(parts, root) if parts[-1].lower().endswith(".txt") else None
            if place is None or place == Path(place.anchor):  # not a whole disk
                reason = f"the images of '{key}' are not there: left out"
                findings.append(Finding(NOTED, reason, parts[-1][:200]))
            elif place.is_dir():
                images |= dict.fromkeys(files.walk(place, files.IMAGE_SUFFIXES))
            elif place.suffix.lower() == ".txt":
                listed = True
                images |= dict.fromkeys(_of_list(place, images_root, findings))
            else:
                listed = True
                images[place] = None
        if images:
            split = files.SPLITS[key]
            splits[split] = (*splits.get(split, ()), *images)
    return splits, listed


def _of_list(path, root, findings):
    """The images a list names; those that are not found at the place where they are missed."""
    folder = files.ImageFolder(root)
    for line in _lines(path):
        stated = Path(path.parent, line)
        image = _direct(stated) if files.is_file(stated) else _existing((line,), root)
        if not (image and files.is_file(image)):
            image = folder.find(line)
        fault = None if image else files.name_fault(line)
        if fault or not (image or files.name_parts(line)):
            reason = f"{path.name}: {fault or 'a line that names no image'}"
            findings.append(Finding(SKIPPED_IMAGE, reason, files.shortened(line)))
        else:
            yield image or folder.path(line)


def _by_folders(root):
    """Splits of a folder without a description: images/train or train/images, else all in it."""
    splits = {}
    parents = [root / "images", root] if (root / "images").is_dir() else [root]
    for parent in parents:
        for folder in sorted(path for path in parent.iterdir() if path.is_dir()):
            split = files.split_of(folder.name)
            if split:
                images = files.walk(folder, files.IMAGE_SUFFIXES)
                splits[split] = (*splits.get(split, ()), *images)
        splits = {split: images for split, images in splits.items() if images}
        if splits:
            return splits
    return {"": tuple(files.walk(root, files.IMAGE_SUFFIXES))}
