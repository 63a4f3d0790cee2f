"""Archives in which weights are handed around: tar, plain or compressed, and zip.

Keras' `.keras` files are zip archives too. What is foreign is read here alone, so that whatever a
damaged archive makes Python's readers raise ends as one sentence.
"""

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from object_detection.errors import CheckpointError

_CHUNK = 1 << 20  # bytes
_ZIP = b"PK\x03\x04"


class Archive:
    """An open archive.

    Args:
        path: of the file.
        opened: the `tarfile.TarFile` or `zipfile.ZipFile` of it.

    Attributes:
        names: of the files in it, in their order.
    """

    def __init__(self, path, opened):
        self._path, self._opened = path, opened
        if isinstance(opened, zipfile.ZipFile):
            members = {m.filename: m for m in opened.infolist() if not m.is_dir()}
        else:
            members = {m.name: m for m in opened if m.isfile()}
        self._members = members
        self.names = tuple(members)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Opens a member to read bytes from."""
        member = self._members[name]
        is_zip = isinstance(self._opened, zipfile.ZipFile)
        with self._opened.open(member) if is_zip else self._opened.extractfile(member) as file:
            yield file

    def extract(self, name: str, folder: Path) -> None:
        """Writes a member to its place below a folder.

        Raises:
            CheckpointError: its name leads out of the folder.
        """
        inner = PurePosixPath(name)
        if inner.is_absolute() or ".." in inner.parts or "\\" in name or ":" in inner.parts[0]:
            raise CheckpointError(
                f"{self._path} is refused: its member '{name}' would be written outside the "
                "folder it is unpacked in"
            )
        target = folder.joinpath(*inner.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.open(name) as packed, open(target, "wb") as file:
            shutil.copyfileobj(packed, file, _CHUNK)


@contextmanager
def opened(path) -> Iterator[Archive]:
    """Opens an archive of any kind.

    Args:
        path: of the file.

    Raises:
        CheckpointError: it is no archive, is damaged, or a member cannot be unpacked; also from
            what the caller reads of it.
    """
    try:
        # By its start: a plain tar that ends with a zip file would pass for one by its end.
        with open(path, "rb") as file:
            is_zip = file.read(len(_ZIP)) == _ZIP
        with zipfile.ZipFile(path) if is_zip else tarfile.open(path, "r:*") as own:
            yield Archive(path, own)
    except CheckpointError:
        raise
    except OSError as error:
        if error.errno is None:  # of a decompressor, not of the disk
            raise CheckpointError(_damaged(path, error)) from error
        raise CheckpointError(f"{path} cannot be unpacked: {error}") from error
    except Exception as error:  # every decompressor has errors of its own
        raise CheckpointError(_damaged(path, error)) from error


def _damaged(path, error):
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return f"{path} cannot be unpacked, it is cut off or no archive: {reason}. Download it again"
