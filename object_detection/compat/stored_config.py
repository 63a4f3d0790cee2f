"""The pipeline.config that lies with stored weights, in their folder or their archive."""

import tarfile
import zlib
from pathlib import Path

from object_detection.compat import checkpoint_paths
from object_detection.compat.checkpoint_paths import CheckpointError

NAME = "pipeline.config"
_LARGEST = 1 << 24  # bytes; configs have some thousands


def find(path) -> tuple[str, bytes] | None:
    """(where it is, its bytes) for weights at a path, or None where there is no config with them.

    Args:
        path: see `checkpoint_files.open_stored`.

    Raises:
        CheckpointError: no weights at `path`, or an archive that cannot be read.
    """
    place = checkpoint_paths.find(path)
    if place.form == "archive":
        return _in_archive(place.path)
    inner = Path(place.path)
    # Of checkpoint/ckpt-0 and saved_model/ the export's folder is the one above.
    folders = (inner, inner.parent, inner.parent.parent)
    found = next((f / NAME for f in folders if (f / NAME).is_file()), None)
    return None if found is None else (str(found), found.read_bytes())


def _in_archive(path):
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if member.isfile() and Path(member.name).name == NAME:
                    with archive.extractfile(member) as file:
                        return f"{path} ({member.name})", file.read(_LARGEST)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise CheckpointError(f"{path} cannot be unpacked: {error}. Download it again") from error
    return None
