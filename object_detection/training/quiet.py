"""TensorFlow's start without its chatter, which has buried many a user's own messages."""

import contextlib
import logging
import os
import sys
import tempfile
from pathlib import Path

_started: list[bool] = []  # whether `start_tensorflow` was done


def start_tensorflow() -> None:
    """Imports TensorFlow and finds its GPUs; what it says is shown only where it matters.

    It matters where TensorFlow fails to start, and where the machine has an NVIDIA GPU of which
    TensorFlow makes no use: the reason is then somewhere in its messages. Only the first call does
    anything.
    """
    if _started:
        return
    with _standard_error_kept() as said:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if Path("/dev/nvidia0").exists() and not gpus:
            said.show = True
    _started.append(True)
    tf.get_logger().setLevel("ERROR")
    logging.getLogger("absl").addFilter(_is_ours_or_serious)


def _is_ours_or_serious(record) -> bool:
    """TensorFlow's Python code logs trivia (of every checkpoint) under absl's name."""
    return record.levelno >= logging.WARNING or f"{os.sep}tensorflow{os.sep}" not in record.pathname


class _Said:
    show = False


@contextlib.contextmanager
def _standard_error_kept():
    """Keeps what C++ code writes to standard error; shows it after a failure or on request."""
    said = _Said()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        terminal = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield said
        except Exception:  # Ctrl-C is no failure of TensorFlow's
            said.show = True
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            if said.show:
                kept.seek(0)
                sys.stderr.write(kept.read().decode(errors="replace"))
