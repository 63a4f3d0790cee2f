"""Finds the images that files, folders and patterns name."""

import glob
import os
from pathlib import Path
from typing import NamedTuple

from object_detection import addresses
from object_detection.datasets import files

# Image files by their names that Pillow does not read, or only with a plugin.
_OTHER_IMAGES = frozenset(".heic .heif .jxl .svg .psd .raw .cr2 .nef .dng .arw".split())


class ImageFiles(NamedTuple):
    """Image files that files, folders and patterns name."""

    images: list[Path]  # each once, sorted
    left_out: dict[str, list[str]]  # reason -> names of files that are not read


def find(patterns, *, recursive=False) -> ImageFiles:
    """Find the image files that files, folders and patterns name.

    In a folder these are the files with endings in `files.IMAGE_SUFFIXES`, which converters read
    too, without hidden files (`.x`, and `._x` of macOS).

    Args:
        patterns: Paths of files or folders, or patterns such as 'photos/**/*.jpg'.
        recursive: Whether to read subfolders too.

    Raises:
        ValueError: A pattern that matches nothing, or an address (gs://...).
    """
    images, left_out = set(), {}
    for pattern in map(str, patterns):
        addresses.refuse(pattern, "--images")
        path = Path(pattern)
        if files.is_file(path):
            matches = [path]
        elif os.path.isdir(path):
            matches = _in_folder(path, recursive, left_out)
        else:
            matches = [Path(p) for p in glob.glob(pattern, recursive=True)]
            matches = [p for p in matches if files.is_file(p)]
        if not matches:
            kind = "folder has no images" if os.path.isdir(path) else "pattern matches no file"
            more = "".join(f" {reason}: {_first(names)}." for reason, names in left_out.items())
            raise ValueError(f"--images {pattern}: this {kind}.{more}")
        images.update(matches)
    return ImageFiles(sorted(images), left_out)


def _in_folder(folder, recursive, left_out):
    """Return the images of a folder; add its other files to `left_out`."""

    def leave_out(reason, name):
        left_out.setdefault(reason, []).append(name)

    matches = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(each for each in folders if not files.is_hidden(each))
        if not recursive:
            for name in folders:
                count = len(files.walk(Path(parent, name), files.IMAGE_SUFFIXES))
                if count:
                    reason = "images in folders below (--recursive reads them)"
                    leave_out(reason, f"{name}/ ({count})")
            folders.clear()
        for name in sorted(each for each in names if not files.is_hidden(each)):
            suffix = os.path.splitext(name)[1].lower()
            if suffix in files.IMAGE_SUFFIXES:
                matches.append(Path(parent, name))
            elif suffix in _OTHER_IMAGES:
                leave_out("images of formats that are not read", name)
            else:
                leave_out("files that are not images", name)
    return matches


def _first(names, count=5):
    more = f", ... and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def describe_left_out(left_out: dict[str, list[str]]) -> list[str]:
    """Return a line for each reason why files were left out."""
    return [
        f"left out, {reason}: {len(names)} ({_first(names)})" for reason, names in left_out.items()
    ]
