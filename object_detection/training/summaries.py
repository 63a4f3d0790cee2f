"""TensorBoard's files: TFOD's names for the numbers and pictures of a run."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging


class Summaries:
    """An event file that can fail without taking the run with it.

    A full disk must not end a run that could still save its checkpoint later: the first failure
    is logged and nothing more is written.

    Args:
        directory: where the event file goes; None writes nothing (workers that are not the chief).
    """

    def __init__(self, directory: Path | str | None):
        self._writer = None
        if directory is not None:
            self._guarded(self._open, directory)

    def scalars(self, values: dict, step: int) -> None:
        """Writes numbers under their names."""

        def write():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)

        self._write(write)

    def image(self, name: str, images, step: int) -> None:
        """Writes pictures, uint8 [n, H, W, 3], as one entry."""
        self._write(
            lambda: tf.summary.image(name, np.asarray(images), step=step, max_outputs=len(images))
        )

    def flush(self) -> None:
        """Brings what was written to the disk."""
        if self._writer is not None:
            self._guarded(self._writer.flush)

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._guarded(self._writer.close)
            self._writer = None

    def _open(self, directory):
        self._writer = tf.summary.create_file_writer(str(directory))

    def _write(self, write):
        if self._writer is None:
            return
        with self._writer.as_default():
            self._guarded(write)

    def _guarded(self, action, *args):
        try:
            action(*args)
        except (OSError, tf.errors.OpError) as error:
            self._writer = None
            logging.error("TensorBoard summaries stop here, the run goes on: %s", error)
