"""Files that appear whole or not at all, whatever ends the process that writes them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give the path of a file to write in place of `path`; it takes its name when the block ends.

    If the block raises (Ctrl-C, too) the new file is removed, and one that was there before stays.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Write a file of bytes; it appears whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8; it appears whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
