"""Files of the input pipeline: finds them by pattern, keeps them open, copies them to a local disk.

This module imports TensorFlow only for remote files and copies: a mistyped path is reported before
TensorFlow, whose start takes seconds.
"""

import collections
import glob
import hashlib
import logging
import os
import tempfile
import threading
from pathlib import Path

from object_detection.errors import RecordError
from object_detection.utils.messages import shorten

_PLACEHOLDER = "PATH_TO_BE_CONFIGURED"
_SHOWN = 5


def find_files(pattern, *, field):
    """Return the paths that match a glob, sorted.

    Args:
        pattern: path or glob, local or remote.
        field: name of the config field it comes from, for the message.

    Raises:
        RecordError: nothing matches.
    """
    if _PLACEHOLDER in pattern:
        raise RecordError(
            f"{field} still contains the placeholder: '{shorten(pattern, 300)}'. "
            "Put the path of your record files there."
        )
    if "://" in pattern:
        files = _remote_files(pattern)
    else:
        files = [path for path in glob.glob(pattern) if not os.path.isdir(path)]
    if not files:
        shown = shorten(pattern, 300)
        raise RecordError(f"{field}: no file matches '{shown}'. {_hint(pattern)}")
    return sorted(files)


def _remote_files(pattern):
    import tensorflow as tf

    try:
        return [path for path in tf.io.gfile.glob(pattern) if not tf.io.gfile.isdir(path)]
    except (tf.errors.OpError, ValueError):  # raised for some patterns in folders that do not exist
        return []


def _hint(pattern):
    """A sentence on what exists instead, in case of a mistyped path."""
    parts = pattern.replace("\\", "/").split("/")
    for depth in range(len(parts) - 1, 0, -1):
        folder = "/".join(parts[:depth]) or "/"
        if any(sign in folder for sign in "*?["):
            continue
        names = _names_in(folder)
        if names is not None:
            more = ", ..." if len(names) > _SHOWN else ""
            content = (
                f"contains {', '.join(map(shorten, names[:_SHOWN]))}{more}" if names else "is empty"
            )
            folder = shorten(folder, 300)
            if depth == len(parts) - 1:
                return f"The folder {folder} {content}."
            missing = shorten("/".join(parts[: depth + 1]), 300)
            return f"There is no folder {missing}; {folder} {content}."
    return "Relative paths start at the folder the command runs in."


def _names_in(folder):
    """The sorted names in a folder; None if it cannot be listed."""
    if "://" not in folder:
        try:
            return sorted(os.listdir(folder))
        except (OSError, ValueError):  # ValueError: a zero character or a lone surrogate in it
            return None
    import tensorflow as tf

    return sorted(tf.io.gfile.listdir(folder)) if tf.io.gfile.isdir(folder) else None


_HELD = 64  # number of open files; only the newest few wait to be opened a second time


class HeldFiles:
    """Keeps record files open until TensorFlow has opened them too.

    TensorFlow tries forever to open a file that does not exist where errors are ignored, and a file
    may vanish between the check and the opening. Local files are named by their open descriptor,
    which stays valid when a file is removed.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._files = collections.deque()

    def hold(self, path):
        """Return a path under which the file opens from now on, even after `path` is removed.

        Raises:
            OSError: the file cannot be opened or read.
        """
        file = open(path, "rb", buffering=0)
        try:
            file.read(1)
        except OSError:
            file.close()
            raise
        with self._lock:
            self._files.append(file)
            if len(self._files) > _HELD:
                self._files.popleft().close()
        opened = f"/proc/self/fd/{file.fileno()}"
        return opened if os.path.exists(opened) else path  # no guarantee without /proc

    def __del__(self):
        for file in self._files:
            file.close()


_LOG = logging.getLogger(__name__)


class LocalCopies:
    """Copies of record files on a local disk, made the first time each file is read.

    Several processes may share the folder. A copy is complete or absent. It is named by the path,
    length and time of its original: a file that was written again is copied again, and its former
    copy removed. If copying fails, as on a full disk, one warning is logged and originals are read.

    Args:
        folder: created if it does not exist.
    """

    def __init__(self, folder):
        self._folder = Path(folder).expanduser()
        self._lock = threading.Lock()
        self._failed = False

    def path_of(self, path):
        """Return the path of a file's copy, or `path` itself if there can be none."""
        import tensorflow as tf

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
                    "cache_folder %s: %s cannot be copied (%s); the original files are read.",
                    *(self._folder, path, fault),
                )
            return path

    def _places(self, path):
        """Path of the copy, and all copies of this path."""
        import tensorflow as tf

        status = tf.io.gfile.stat(path)
        of_path, of_state = (
            hashlib.sha256(text.encode()).hexdigest()[:16]
            for text in (path, f"{status.length} {status.mtime_nsec}")
        )
        name = f"{of_path}-{of_state}-{os.path.basename(path)}"
        return self._folder / name, list(self._folder.glob(f"{of_path}-*"))

    def _copy(self, path, copy):
        import tensorflow as tf

        self._folder.mkdir(parents=True, exist_ok=True)
        file, partial = tempfile.mkstemp(dir=self._folder, prefix="partial-")
        os.close(file)
        try:
            tf.io.gfile.copy(path, partial, overwrite=True)
            os.replace(partial, copy)  # atomic, for other processes that read
        finally:
            Path(partial).unlink(missing_ok=True)
