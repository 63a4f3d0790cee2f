"""The lists of images of a VOC data set: `ImageSets/Main/train.txt` and its many relatives."""

import os
from collections.abc import Iterable
from pathlib import Path

from object_detection.datasets.annotations import Finding
from object_detection.datasets.files import IMAGE_SUFFIXES, name_parts, read_text, split_of, walk
from object_detection.datasets.report import DERIVED, NOTED
from object_detection.errors import AnnotationError

FLAGS = ("-1", "0", "1")  # behind a name in the list of a class


class Files:
    """Files below a folder by their path without suffix; upper and lower case matter least.

    Args:
        folder: the folder; None: there are no files.
        suffixes: in lower case.
    """

    def __init__(self, folder, suffixes):
        paths = walk(folder, suffixes) if folder else ()
        names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
        self._exact = dict(zip(names, paths, strict=True))
        self._lower = {name.lower(): path for name, path in self._exact.items()}

    def __iter__(self):
        return iter(sorted(self._exact))

    def __contains__(self, name):
        return name.lower() in self._lower

    def get(self, name):
        """The file of that name, or None."""
        return self._exact.get(name) or self._lower.get(name.lower())


def names(root, have, image_set, *, masks):
    """The names of a set's images.

    Args:
        root: folder that may hold ImageSets.
        have: the xmls there are: `Files`.
        image_set: 'train' and so on; '': the only list there is, else 'train'.
        masks: prefer the list of the segmentation set, whose images have masks.

    Returns:
        The names in the order of the list, and findings. Without a folder ImageSets: of all xmls.

    Raises:
        AnnotationError: there are lists, and none of this set.
    """
    folder = _folder(root)
    if folder is None:
        divided = by_folders(have)
        split = split_of(image_set or "train")
        if divided and split in divided:
            return divided[split], []
        note = f"there is no folder ImageSets: every xml is taken for the set '{image_set}'"
        return list(have), [Finding(DERIVED, note, root.name)]
    only = set_names(root)
    if not image_set:  # nothing is asked for
        image_set = only[0] if len(only) == 1 else "train"
    for paths in _lists(folder, image_set, masks=masks):
        listed, findings = _names(paths, have)
        if listed:
            return listed, findings
    raise AnnotationError(
        f"{folder} has no list of the set '{image_set}' (--set) that names an image; "
        f"it has {', '.join(only) or 'none'}"
    )


def set_names(root: Path) -> list[str]:
    """Return the names of a data set's lists, sorted; those of single classes are left out."""
    folder = _folder(root)
    paths = folder.glob("**/*.txt") if folder else ()
    return sorted({path.stem for path in paths if "_" not in path.stem})


def by_folders(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of files in folders such as train and val by split; {} where some are not.

    Args:
        names: paths below the folder of the xmls, without suffix.
    """
    divided = {}
    for name in names:
        divided.setdefault(split_of(name.partition("/")[0]) if "/" in name else None, []).append(
            name
        )
    return divided if None not in divided and len(divided) > 1 else {}


def _folder(root):
    """The folder of the lists, or None."""
    folders = (root / name for name in ("ImageSets", "imagesets"))
    return next((folder for folder in folders if folder.is_dir()), None)


def _names(paths, have):
    """The images that lists name together, each once, and findings."""
    listed, findings = {}, []
    for path in paths:
        for line in read_text(path).splitlines():
            name = _name(line, have)
            if name in listed and len(paths) == 1:
                findings.append(Finding(NOTED, f"listed twice in {path.name}: taken once", name))
            elif name:
                listed[name] = True
    return list(listed), findings


def _lists(folder, image_set, *, masks):
    """Where a set's list may be, best first: a file, or those of all classes together."""
    # TFOD reads the list of the aeroplanes: like every class's, in VOC it names the whole set.
    order = ["Main/{}", "Main/aeroplane_{}", "Segmentation/{}", "Layout/{}", "Action/{}", "{}"]
    if masks:
        order.insert(0, "Segmentation/{}")
    paths = [folder / f"{pattern.format(image_set)}.txt" for pattern in order]
    yield from ([path] for path in paths if path.is_file())
    yield sorted(Path(folder, "Main").glob(f"*_{image_set}.txt"))


def _name(line, have):
    """The image that a line names: with or without suffix, folders, quotes, a flag behind it."""
    words = line.split()
    if not words:
        return ""
    texts = [line.strip(), words[0]]
    if words[-1] in FLAGS:
        texts.insert(1, line.rstrip().removesuffix(words[-1]).strip())
    forms = [form for text in texts for form in _forms(text.strip("\"'"))]
    return next((form for form in forms if form in have), words[0])


def _forms(text):
    """What a text may mean as a name: unchanged, below its folders, without them."""
    parts = name_parts(text)
    if not parts:
        return []
    stem = parts[-1]
    if os.path.splitext(stem)[1].lower() in IMAGE_SUFFIXES | {".xml"}:
        stem = os.path.splitext(stem)[0]
    return [text, "/".join((*parts[:-1], stem)), stem]
