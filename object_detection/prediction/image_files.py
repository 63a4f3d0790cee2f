"""Which images are meant by files, folders and patterns."""

import glob
from pathlib import Path

IMAGE_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def find(patterns):
    """The image files that files, folders and patterns name, each once, sorted.

    Args:
        patterns: paths of files or folders, or patterns such as 'photos/**/*.jpg'.

    Raises:
        ValueError: a pattern that matches nothing.
    """
    files = set()
    for pattern in map(str, patterns):
        path = Path(pattern)
        if path.is_dir():
            matches = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_ENDINGS]
        elif path.is_file():
            matches = [path]
        else:
            matches = [Path(p) for p in glob.glob(pattern, recursive=True)]
            matches = [p for p in matches if p.is_file()]
        if not matches:
            kind = "folder has no images" if path.is_dir() else "pattern matches no file"
            raise ValueError(f"--images {pattern}: this {kind}.")
        files.update(matches)
    return sorted(files)
