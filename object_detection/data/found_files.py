"""Finds the files that a path or pattern of a config names, local ones without TensorFlow's help.

(A path that is mistyped is told before TensorFlow, whose start takes seconds, is asked anything.)
"""

import glob
import os

from object_detection.errors import RecordError
from object_detection.utils.messages import shorten

_PLACEHOLDER = "PATH_TO_BE_CONFIGURED"
_SHOWN = 5


def find_files(pattern, *, field):
    """Paths that match a glob, sorted.

    Args:
        pattern: path or glob, local or remote.
        field: name of the config field it comes from, for the message.

    Raises:
        RecordError: where nothing matches.
    """
    if _PLACEHOLDER in pattern:
        raise RecordError(
            f"{field} still holds the placeholder: '{shorten(pattern, 300)}'. "
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
    """What there is instead, for whoever mistyped a path."""
    parts = pattern.replace("\\", "/").split("/")
    for depth in range(len(parts) - 1, 0, -1):
        folder = "/".join(parts[:depth]) or "/"
        if any(sign in folder for sign in "*?["):
            continue
        names = _names_in(folder)
        if names is not None:
            more = ", ..." if len(names) > _SHOWN else ""
            held = f"holds {', '.join(map(shorten, names[:_SHOWN]))}{more}" if names else "is empty"
            folder = shorten(folder, 300)
            if depth == len(parts) - 1:
                return f"The folder {folder} {held}."
            return (
                f"There is no folder {shorten('/'.join(parts[: depth + 1]), 300)}; {folder} {held}."
            )
    return "Relative paths start at the folder the command runs in."


def _names_in(folder):
    """What a folder holds, sorted; None where it is no folder that can be listed."""
    if "://" not in folder:
        try:
            return sorted(os.listdir(folder))
        except (OSError, ValueError):  # ValueError: a zero character or a lone surrogate in it
            return None
    import tensorflow as tf

    return sorted(tf.io.gfile.listdir(folder)) if tf.io.gfile.isdir(folder) else None
