"""The lists of images of a VOC data set: `ImageSets/Main/train.txt` and its many relatives."""

import shlex
from pathlib import Path

from object_detection.annotations.files import name_parts, read_text, walk
from object_detection.annotations.record import AnnotationError, Finding
from object_detection.annotations.report import DERIVED, NOTED

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".xml")
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
        image_set: 'train' and so on.
        masks: prefer the list of the segmentation set, whose images have masks.

    Returns:
        The names in the order of the list, and findings. Without a folder ImageSets: of all xmls.

    Raises:
        AnnotationError: there are lists, and none of this set.
    """
    folder = next(
        (root / name for name in ("ImageSets", "imagesets") if (root / name).is_dir()), None
    )
    if folder is None:
        note = f"there is no folder ImageSets: every xml is taken for the set '{image_set}'"
        return list(have), [Finding(DERIVED, note, root.name)]
    for paths in _lists(folder, image_set, masks=masks):
        found, findings = _names(paths, have)
        if found:
            return found, findings
    sets = sorted({path.stem for path in folder.glob("*/*.txt") if "_" not in path.stem})
    raise AnnotationError(
        f"{folder} has no list of the set '{image_set}' (--set) that names an image; "
        f"it has {', '.join(sets) or 'none'}"
    )


def _names(paths, have):
    """The images that lists name together, each once, and findings."""
    found, findings = {}, []
    for path in paths:
        for line in read_text(path).splitlines():
            name = _name(line, have)
            if name in found and len(paths) == 1:
                findings.append(Finding(NOTED, f"listed twice in {path.name}: taken once", name))
            elif name:
                found[name] = True
    return list(found), findings


def _lists(folder, image_set, *, masks):
    """Where a set's list may stand, best first: a file, or those of all classes together."""
    # TFOD reads the list of the aeroplanes: as every class's, in VOC it names all images of the set.
    order = ["Main/{}", "Main/aeroplane_{}", "Segmentation/{}", "Layout/{}", "Action/{}", "{}"]
    if masks:
        order.insert(0, "Segmentation/{}")
    paths = [folder / f"{pattern.format(image_set)}.txt" for pattern in order]
    yield from ([path] for path in paths if path.is_file())
    yield sorted(Path(folder, "Main").glob(f"*_{image_set}.txt"))


def _name(line, have):
    """The image that a line names: with or without suffix, folders, quotes, a flag behind it."""
    line = line.strip()
    if not line:
        return ""
    if line.startswith(('"', "'")):
        try:
            line = shlex.split(line)[0]
        except ValueError:
            line = line.strip("\"'")
    words = line.split()
    if line not in have and len(words) > 1:
        line = " ".join(words[:-1]) if words[-1] in FLAGS else words[0]
    parts = name_parts(line)
    stem = parts[-1] if parts else ""
    for suffix in IMAGE_SUFFIXES:
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
    # Below the xmls' folder as it says, else by the bare name: lists may name images elsewhere.
    for candidate in ("/".join((*parts[:-1], stem)), stem):
        if candidate in have:
            return candidate
    return stem
