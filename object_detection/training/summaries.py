"""Writes TensorBoard's event files with TFOD's names for the numbers and pictures of a run.

They are written with TensorFlow's own `tf.summary.write`: `tf.summary.scalar` and `image` need the
package tensorboard, which TensorFlow no longer installs; only viewing the files needs it.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging


class Summaries:
    """An event file whose failure does not end the run.

    A full disk must not end a run that could still save its checkpoint later: the first failure
    is logged and nothing more is written.

    Args:
        directory: where the event file goes; None writes nothing (workers that are not the chief).
    """

    def __init__(self, directory: Path | str | None):
        self._writer = None
        if directory is not None:
            self._guarded(self._open, directory)

    @property
    def is_open(self) -> bool:
        """Return whether the file can be written."""
        return self._writer is not None

    def scalars(self, values: dict, step: int) -> None:
        """Write numbers under their names."""

        def write():
            for name, value in values.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step, _metadata("scalars"))

        self._write(write)

    def image(self, name: str, images, step: int) -> None:
        """Write pictures, uint8 [n, H, W, 3], as one entry."""

        def write():
            pixels = tf.convert_to_tensor(images)
            height, width = pixels.shape[1:3]
            pngs = [tf.io.encode_png(picture) for picture in pixels]
            tensor = tf.stack([str(width), str(height), *pngs])
            tf.summary.write(name, tensor, step, _metadata("images"))

        self._write(write)

    def text(self, name: str, text: str, step: int) -> None:
        """Write text in Markdown."""
        self._write(lambda: tf.summary.write(name, tf.constant(text), step, _metadata("text")))

    def code(self, name: str, text: str, step: int) -> None:
        """Write text that is shown verbatim in a monospaced font."""
        # Markdown's older form of code, which no text can end, as it could end a fence of marks.
        self.text(name, "".join(f"    {line}\n" for line in text.splitlines()), step)

    def histogram(self, name: str, edges, counts, step: int) -> None:
        """Write a distribution: [k + 1] ascending edges, [k] counts of the values in between."""
        rows = np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)
        entry = _metadata("histograms")
        self._write(lambda: tf.summary.write(name, tf.constant(rows), step, entry))

    def curve(self, name: str, counts, title: str, step: int) -> None:
        """Write a precision-recall curve.

        Args:
            counts: [n, 3] of the right detections, of the wrong ones and of the objects missed
                among those that score at least 0, 1 / (n - 1), 2 / (n - 1) ... 1.
            title: shown on the page.
        """
        right, wrong, missed = np.asarray(counts, np.float64).T
        rows = [right, wrong, np.zeros_like(right), missed]  # there are no true negatives
        rows += [right / np.maximum(right + wrong, 1), right / np.maximum(right + missed, 1)]
        tensor = tf.constant(np.stack(rows), tf.float32)
        # PrCurvePluginData of TensorBoard: field 2 is the number of thresholds.
        content = b"\x10" + _varint(len(right))
        entry = _metadata("pr_curves", content, title)
        self._write(lambda: tf.summary.write(name, tensor, step, entry))

    def flush(self) -> None:
        """Flush the file to disk."""
        if self._writer is not None:
            self._guarded(self._writer.flush)

    def close(self) -> None:
        """Close the file."""
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
            logging.error("TensorBoard summaries stop here, the run continues: %s", error)


def _metadata(plugin: str, content: bytes = b"", title: str = ""):
    """What tells TensorBoard which of its pages shows an entry, and how."""
    kinds = {"scalars": "DATA_CLASS_SCALAR", "images": "DATA_CLASS_BLOB_SEQUENCE"}
    metadata = tf.compat.v1.SummaryMetadata
    return metadata(
        plugin_data=metadata.PluginData(plugin_name=plugin, content=content),
        data_class=kinds.get(plugin, "DATA_CLASS_TENSOR"),
        display_name=title,
    )


def _varint(number: int) -> bytes:
    """A number >= 0 as protobuf writes it: 7 bits a byte, the lowest first."""
    digits = []
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])
