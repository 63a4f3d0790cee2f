"""The pipeline.config that lies with stored weights, in their folder or their archive."""

import logging
from pathlib import Path

from object_detection.compat import archives, checkpoint_paths

NAME = "pipeline.config"
# Where a folder has a pipeline.config of the user's, the config as run lies beside it.
RESOLVED = "pipeline.resolved.config"
_CLOCK = 2.0  # seconds by which the times of files written together may differ
_LARGEST = 1 << 24  # bytes; configs have some thousands

_log = logging.getLogger(__name__)


def in_folder(folder: Path) -> Path | None:
    """Return the config as run that a folder holds, or None.

    `pipeline.resolved.config` comes first: it is there only beside a pipeline.config that the user
    wrote, which may lack the run's overrides.
    """
    found = [Path(folder) / name for name in (RESOLVED, NAME)]
    found = [path for path in found if path.is_file()]
    if len(found) == 2 and found[1].stat().st_mtime > found[0].stat().st_mtime + _CLOCK:
        _log.warning(
            "%s is newer than %s, which is the config as run and is read. To use the newer one, "
            "give its path.",
            found[1],
            found[0].name,
        )
    return found[0] if found else None


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
    found = next(filter(None, map(in_folder, folders)), None)
    return None if found is None else (str(found), found.read_bytes())


def _in_archive(path):
    with archives.opened(path) as archive:
        names = {Path(name).name: name for name in reversed(archive.names)}
        name = names.get(RESOLVED, names.get(NAME))
        if name is None:
            return None
        with archive.open(name) as file:
            return f"{path} ({name})", file.read(_LARGEST)
