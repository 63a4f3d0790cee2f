"""TensorBoard's files: TFOD's names for the numbers and pictures of a run.

Written with TensorFlow's own `tf.summary.write`, since `tf.summary.scalar` and `image` need the
package tensorboard, which TensorFlow no longer brings along; only looking at the files needs it.
"""

from pathlib import Path

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
                tf.summary.write(name, tf.constant(value, tf.float32), step, _metadata("scalars"))

        self._write(write)

    def image(self, name: str, images, step: int) -> None:
        """Writes pictures, uint8 [n, H, W, 3], as one entry."""

        def write():
            pixels = tf.convert_to_tensor(images)
            height, width = pixels.shape[1:3]
            pngs = [tf.io.encode_png(picture) for picture in pixels]
            tensor = tf.stack([str(width), str(height), *pngs])
            tf.summary.write(name, tensor, step, _metadata("images"))

        self._write(write)

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


def _metadata(plugin: str):
    """What tells TensorBoard how to show an entry: `scalars` or `images`."""
    kinds = {"scalars": "DATA_CLASS_SCALAR", "images": "DATA_CLASS_BLOB_SEQUENCE"}
    return tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin),
        data_class=kinds[plugin],
    )
