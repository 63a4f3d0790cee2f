"""Where a YOLO data set has its images, its splits and the names of its classes."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from object_detection.datasets import files
from object_detection.datasets.record import Finding
from object_detection.datasets.report import NOTED, SKIPPED_IMAGE
from object_detection.errors import AnnotationError

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


def find(place, names_file, findings, image_dir=""):
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
        values = (f"{key}: {'/'.join(each)}" for key, found in entries.items() for each in found)
        stated = ", ".join(values)[:300] or "none"
        raise AnnotationError(
            f"{described}: no images are where its splits are said to be ({stated})"
        )
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
        wanted = [part for entry in parts for part in files.name_parts(entry)]
        for left_out in range(len(wanted)):
            if parent == root or not left_out:
                path = parent.joinpath(*wanted[left_out:])
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
        found = _direct(stated) if files.is_file(stated) else _existing((line,), root)
        if not (found and files.is_file(found)):
            found = folder.find(line)
        fault = None if found else files.name_fault(line)
        if fault or not (found or files.name_parts(line)):
            reason = f"{path.name}: {fault or 'a line that names no image'}"
            findings.append(Finding(SKIPPED_IMAGE, reason, files.shortened(line)))
        else:
            yield found or folder.path(line)


def _by_folders(root):
    """Splits of a folder without a description: images/train or train/images, else all in it."""
    splits = {}
    parents = [root / "images", root] if (root / "images").is_dir() else [root]
    for parent in parents:
        for folder in sorted(path for path in parent.iterdir() if path.is_dir()):
            split = files.split_of(folder.name)
            if split:
                found = files.walk(folder, files.IMAGE_SUFFIXES)
                splits[split] = (*splits.get(split, ()), *found)
        splits = {split: images for split, images in splits.items() if images}
        if splits:
            return splits
    return {"": tuple(files.walk(root, files.IMAGE_SUFFIXES))}
