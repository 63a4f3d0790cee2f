"""Finding and opening the files of a data set that has come a long way from where it was made."""

import json
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from object_detection.annotations.record import AnnotationError

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .dib .gif .tif .tiff .webp .ppm .pgm .pnm .mpo .avif".split()
)


def read_text(path):
    """The text of a file in UTF-8 (or, where it begins with their mark, UTF-16).

    Raises:
        AnnotationError: it cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror}") from None
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise AnnotationError(f"{path} is not a text file in UTF-8") from None


def load_json(path, object_hook=None):
    """The content of a JSON file; `object_hook` as in `json.loads`.

    Raises:
        AnnotationError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(read_text(path), object_hook=object_hook)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path} is not whole JSON: line {error.lineno}, column {error.colno}: {error.msg}. "
            "Was it cut off while being copied?"
        ) from None
    except RecursionError:
        raise AnnotationError(f"{path} is JSON nested beyond all measure") from None


def load_xml(path):
    """The root element of an XML file.

    Raises:
        AnnotationError: it cannot be read, or is no XML.
    """
    try:
        # Some writers begin with a blank line, which XML forbids.
        return ElementTree.fromstring(Path(path).read_bytes().lstrip())
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror}") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise AnnotationError(f"{path} is not whole XML: {error}") from None


def walk(folder, suffixes):
    """Files under a folder with one of the suffixes (lower case), sorted by path; none hidden."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        found += [
            Path(place, name)
            for name in names
            if os.path.splitext(name)[1].lower() in suffixes and not name.startswith(".")
        ]
    return sorted(found)


def annotation_files(place, suffix):
    """The annotation files at a place: the file itself, or all of the suffix in that folder.

    Raises:
        AnnotationError: there is no such place.
    """
    place = Path(place)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise AnnotationError(f"there is no file or folder {place}")
    return walk(place, {suffix})


def relative_name(path, root):
    """The name of a file as records and reports have it: below the root, with forward slashes."""
    try:
        return Path(path).relative_to(root).as_posix()
    except ValueError:
        return Path(path).name


def name_parts(name):
    """The folders and the file of a name written on any system, or of a URL; '..' is left out."""
    name = str(name).strip()
    if "://" in name:
        return PurePosixPath(unquote(urlsplit(name).path)).parts[1:]
    path = PureWindowsPath(name)  # knows / and \ alike
    parts = path.parts[1:] if path.anchor else path.parts
    return tuple(part for part in parts if part not in (".", ".."))


class ImageFolder:
    """The images under a folder, found by names that are only nearly theirs.

    Args:
        root: the folder; it need not exist.
    """

    def __init__(self, root):
        self.root = Path(os.path.normpath(root))
        self._by_name = None  # lower-case file name -> paths
        self._by_stem = None

    def find(self, name, *, beside=None, any_suffix=False):
        """The image that a name means, or None.

        It is looked for as the name says below `beside`, then below the root. Else it is the one
        image under the root with most of the name's last parts, upper and lower case being the
        same: folders of another machine's disk do no harm. Where several fit equally well, none
        is taken.

        Args:
            name: a path, absolute or relative, of any system, or a URL.
            beside: folder to prefer: that of the annotation file.
            any_suffix: take `a.png` for `a.jpg` where no `a.jpg` is.
        """
        parts = name_parts(name)
        if not parts:
            return None
        relative = Path(*parts)
        stated = str(name).strip()
        for folder in filter(None, (beside, self.root)):
            # As it stands first: in '../images/a.jpg' the dots matter.
            for path in (stated, stated.replace("\\", "/"), relative):
                if Path(folder, path).is_file():
                    return Path(os.path.normpath(Path(folder, path)))
        self._index()
        found = self._best(self._by_name.get(parts[-1].lower(), ()), parts, beside)
        if found is None and any_suffix and parts[-1].lower() not in self._by_name:
            stem = os.path.splitext(parts[-1])[0].lower()
            found = self._best(self._by_stem.get(stem, ()), parts, beside)
        return found

    def path(self, name, *, beside=None, any_suffix=False):
        """Like `find`, but where nothing is found the path at which the file is missed."""
        found = self.find(name, beside=beside, any_suffix=any_suffix)
        return found or Path(beside or self.root).joinpath(*name_parts(name))

    def paths(self):
        """All images, sorted."""
        self._index()
        return sorted(path for paths in self._by_name.values() for path in paths)

    def _index(self):
        if self._by_name is not None:
            return
        self._by_name, self._by_stem = {}, {}
        for path in walk(self.root, IMAGE_SUFFIXES):
            self._by_name.setdefault(path.name.lower(), []).append(path)
            self._by_stem.setdefault(path.stem.lower(), []).append(path)

    def _best(self, paths, parts, beside):
        """The one path that shares most of its last folders with the name, or None."""
        wanted = [part.lower() for part in reversed(parts[:-1])]

        def shared(path):
            folders = [part.lower() for part in reversed(path.relative_to(self.root).parts[:-1])]
            count = 0
            while count < min(len(wanted), len(folders)) and wanted[count] == folders[count]:
                count += 1
            near = beside is not None and path.parent == Path(beside)
            return count, near, path.parent == self.root

        ranked = sorted(((shared(path), path) for path in paths), reverse=True)
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            return None
        return ranked[0][1]
