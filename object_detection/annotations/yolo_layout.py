"""Where a YOLO data set has its images, its splits and the names of its classes."""

import os
from pathlib import Path
from typing import NamedTuple

from object_detection.annotations import files, small_yaml
from object_detection.annotations.record import AnnotationError, Finding
from object_detection.annotations.report import NOTED

SPLITS = {  # the names in use -> ours
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
YAMLS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
NAMES = ("classes.txt", "obj.names", "classes.names", "_darknet.labels", "labels.txt")
NAMES_BELOW = ("", "labels", "data", "annotations")
NO_NAMES = (
    "{root}: nothing says the names of the classes: no data.yaml with 'names', no classes.txt, no "
    "obj.names. Write them to a file, one a line in the order of their numbers, and give it as "
    "--names_file"
)


class Layout(NamedTuple):
    """A data set as it lies on the disk."""

    root: Path
    names: tuple[str, ...]  # of the classes, by their numbers
    splits: dict[str, tuple[Path, ...]]  # "" for the one of a set without splits -> its images
    listed: bool  # whether lists name the images, and there may be more
    keypoint_numbers: int  # that follow the box in a row


def find(place, names_file, findings):
    """The `Layout` of a data set.

    Args:
        place: data.yaml, obj.data, or the folder with either or with images and labels.
        names_file: names of the classes, one a line; None: as the data set has them.
        findings: takes in what is to be told.

    Raises:
        AnnotationError: no images, no names, or a file that cannot be read.
    """
    place = Path(place)
    if not place.exists():
        raise AnnotationError(f"there is no file or folder {place}")
    described = place if place.is_file() else _description(place)
    root = _direct(described.parent if described else place)
    entries, names, keypoints = {}, None, 0
    if described and described.suffix.lower() == ".data":
        entries, names = _darknet(described, root)
    elif described:
        entries, names, keypoints = _yaml(described)
    if names_file:
        names = _lines(names_file)
    names = names or _names_beside(root)
    if not names:
        raise AnnotationError(NO_NAMES.format(root=root))
    splits, listed = _by_entries(entries, root, findings) if described else ({}, False)
    if described and not splits:
        stated = ", ".join(f"{key}: {value}" for key, value in entries.items()) or "none"
        raise AnnotationError(
            f"{described}: no images are where its splits are said to be ({stated})"
        )
    splits = splits or _by_folders(root)
    if not any(splits.values()):
        raise AnnotationError(f"{root}: no images are there")
    return Layout(root, tuple(names), splits, listed, keypoints)


def _description(folder):
    """The file in a folder that describes the data set, or None."""
    named = [folder / name for name in YAMLS if (folder / name).is_file()]
    others = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".yaml", ".yml") and "names:" in files.read_text(path)
    )
    darknet = sorted(folder.glob("*.data"))
    return next(iter([*named, *others, *darknet]), None)


def _yaml(path):
    """Splits, names and keypoint numbers of a data.yaml."""
    content = small_yaml.parse(files.read_text(path), path)
    names = content.get("names")
    if isinstance(names, dict):
        names = _by_number(names, path)
    elif isinstance(names, str):
        names = _lines(path.parent / names)  # the name of a file
    keypoints = 0
    shape = content.get("kpt_shape")
    if isinstance(shape, list) and len(shape) == 2 and all(str(each).isdigit() for each in shape):
        keypoints = int(shape[0]) * int(shape[1])
    base = content.get("path")
    base = (base,) if isinstance(base, str) else ()
    entries = {}
    for key, value in content.items():
        if key in SPLITS and value:
            values = value if isinstance(value, list) else [value]
            entries[key] = [(*base, each) for each in values if isinstance(each, str)]
    return entries, names and [str(name) for name in names], keypoints


def _by_number(names, path):
    try:
        numbered = {int(number): name for number, name in names.items()}
    except ValueError:
        raise AnnotationError(f"{path}: the keys of 'names' are not numbers: {names}") from None
    if min(numbered) < 0:
        raise AnnotationError(f"{path}: 'names' has the number {min(numbered)}")
    return [numbered.get(number) or str(number) for number in range(max(numbered) + 1)]


def _darknet(path, root):
    """Splits and names of an obj.data: `key = value` lines."""
    pairs = [line.partition("=") for line in files.read_text(path).splitlines()]
    content = {key.strip(): value.strip() for key, _, value in pairs if value.strip()}
    entries = {key: [(content[key],)] for key in SPLITS if key in content}
    stated = content.get("names") and _existing((content["names"],), root)
    return entries, _lines(stated) if stated else None


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
    if Path(root, *parts).exists():
        return _direct(Path(root, *parts))
    for parent in (root, root.parent):
        wanted = [part for entry in parts for part in files.name_parts(entry)]
        for left_out in range(len(wanted)):
            if parent == root or not left_out:
                path = parent.joinpath(*wanted[left_out:])
                if path.exists():
                    return path
    return None


def _direct(path):
    """A path without detours, as all names are compared."""
    return Path(os.path.normpath(path))


def _by_entries(entries, root, findings):
    """The images of each split, and whether any of them is by a list."""
    splits, listed = {}, False
    for key, values in entries.items():
        images = {}
        for parts in values:
            place = _existing(parts, root)
            if place is None:
                reason = f"the images of '{key}' are not there: left out"
                findings.append(Finding(NOTED, reason, parts[-1]))
            elif place.is_dir():
                images |= dict.fromkeys(files.walk(place, files.IMAGE_SUFFIXES))
            elif place.suffix.lower() == ".txt":
                listed = True
                images |= dict.fromkeys(_of_list(place, root))
            else:
                listed = True
                images[place] = None
        if images:
            split = SPLITS[key]
            splits[split] = (*splits.get(split, ()), *images)
    return splits, listed


def _of_list(path, root):
    """The images a list names; those that are not found at the place where they are missed."""
    folder = files.ImageFolder(root)
    for line in _lines(path):
        if Path(path.parent, line).is_file():
            yield _direct(Path(path.parent, line))
        else:
            yield _existing((line,), root) or folder.path(line)


def _by_folders(root):
    """Splits of a folder without a description: images/train or train/images, else all in it."""
    splits = {}
    parents = [root / "images", root] if (root / "images").is_dir() else [root]
    for parent in parents:
        for folder in sorted(path for path in parent.iterdir() if path.is_dir()):
            split = SPLITS.get(folder.name.lower())
            if split and split not in splits:
                splits[split] = tuple(files.walk(folder, files.IMAGE_SUFFIXES))
        splits = {split: images for split, images in splits.items() if images}
        if splits:
            return splits
    return {"": tuple(files.walk(root, files.IMAGE_SUFFIXES))}
