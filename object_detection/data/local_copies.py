"""Copies of record files on a disk of this machine, made the first time each file is read."""

import hashlib
import logging
import os
import tempfile
import threading
from pathlib import Path

import tensorflow as tf

_LOG = logging.getLogger(__name__)


class LocalCopies:
    """Gives paths of copies in a folder; several processes may share it.

    A copy is whole or not there. It goes by the path, length and time of its original: a file that
    was written again is copied again, and its former copy removed. Where copying fails, as on a
    full disk, that is said once and originals are read.

    Args:
        folder: made if it is not there.
    """

    def __init__(self, folder):
        self._folder = Path(folder).expanduser()
        self._lock = threading.Lock()
        self._failed = False

    def path_of(self, path):
        """Path of a file's copy, or `path` itself where there can be none."""
        try:
            copy, former = self._places(path)
            if not copy.exists() and not self._failed:
                self._copy(path, copy)
                for old in set(former) - {copy}:
                    old.unlink(missing_ok=True)
            return str(copy) if copy.exists() else path
        except (OSError, tf.errors.OpError) as fault:
            with self._lock:
                first, self._failed = not self._failed, True
            if first:
                _LOG.warning(
                    "cache_folder %s: %s cannot be copied (%s); files are read where they are.",
                    *(self._folder, path, fault),
                )
            return path

    def _places(self, path):
        """Where the copy belongs, and all copies of this path."""
        status = tf.io.gfile.stat(path)
        of_path, of_state = (
            hashlib.sha256(text.encode()).hexdigest()[:16]
            for text in (path, f"{status.length} {status.mtime_nsec}")
        )
        name = f"{of_path}-{of_state}-{os.path.basename(path)}"
        return self._folder / name, list(self._folder.glob(f"{of_path}-*"))

    def _copy(self, path, copy):
        self._folder.mkdir(parents=True, exist_ok=True)
        file, partial = tempfile.mkstemp(dir=self._folder, prefix="partial-")
        os.close(file)
        try:
            tf.io.gfile.copy(path, partial, overwrite=True)
            os.replace(partial, copy)  # at once, for whoever reads beside us
        finally:
            Path(partial).unlink(missing_ok=True)
