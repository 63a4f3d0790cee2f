"""Imports TensorFlow without its start-up messages, which bury the user's own."""

import contextlib
import logging
import os
import sys
import tempfile
from pathlib import Path

_started: list[bool] = []  # whether `import_tensorflow_quietly` was done


def import_tensorflow_quietly() -> None:
    """Import TensorFlow and find its GPUs; show its messages only where they matter.

    They matter where TensorFlow fails to start, and where the machine has an NVIDIA GPU that
    TensorFlow does not use: the messages then contain the reason. Only the first call has an
    effect.
    """
    if _started:
        return
    with _capture_stderr() as captured:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if Path("/dev/nvidia0").exists() and not gpus:
            captured.show = True
    _started.append(True)
    tf.get_logger().setLevel("ERROR")
    logging.getLogger("absl").addFilter(_is_ours_or_serious)


def _is_ours_or_serious(record) -> bool:
    """TensorFlow's Python code logs trivia (of every checkpoint) under absl's name."""
    return record.levelno >= logging.WARNING or f"{os.sep}tensorflow{os.sep}" not in record.pathname


class CapturedStderr:
    """Whether what was captured is shown at the end."""

    show = False


@contextlib.contextmanager
def _capture_stderr():
    """Capture what C++ code writes to standard error; show it after a failure or on request."""
    captured = CapturedStderr()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        terminal = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield captured
        except Exception:  # Ctrl-C is not TensorFlow's failure
            captured.show = True
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            if captured.show:
                kept.seek(0)
                sys.stderr.write(kept.read().decode(errors="replace"))
