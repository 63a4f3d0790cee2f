"""Keeps the batch of a step that went wrong, as numbers and as pictures."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from object_detection.structures.batch import Batch
from object_detection.utils import visualization_utils


def keep_batches(folder: Path, batches: Iterable[Batch]) -> Path | None:
    """Writes batches to a folder, which appears whole or not at all.

    Each is an `.npz` of all its tensors (`image_id`, `images.pixels`, `truth.boxes` ...), and a PNG
    of each image with its boxes.

    Args:
        folder: to be made; what was there is replaced.
        batches: of every replica of this process.

    Returns:
        The folder, or None where it could not be written: the reason is in the log.
    """
    draft = folder.with_name(f".writing-{folder.name}")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for number, batch in enumerate(batches):
            values = _named(batch)
            np.savez_compressed(draft / f"batch{number}.npz", **values)
            for row in range(len(values["image_id"])):
                picture = _drawn(values, row)
                path = draft / f"batch{number}_image{row}.png"
                visualization_utils.save_image_array_as_png(picture, str(path))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        logging.error("The batch could not be kept for inspection: %s", error)
        return None
    return folder


def _named(batch, prefix="") -> dict[str, np.ndarray]:
    """Every tensor of a nested structure under its dotted name."""
    values = {}
    for name, value in batch._asdict().items():
        if hasattr(value, "_asdict"):
            values |= _named(value, f"{prefix}{name}.")
        elif value is not None:
            values[prefix + name] = np.asarray(value)
    return values


def _drawn(values, row):
    """The image as the model sees it, with its boxes and class numbers."""
    height, width = values["images.true_shape"][row]
    pixels = np.nan_to_num(values["images.pixels"][row, :height, :width])
    image = np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))
    valid = values["truth.valid"][row]
    boxes = values["truth.boxes"][row][valid]
    finite = np.isfinite(boxes).all(axis=1)
    classes = values["truth.classes"][row][valid]
    names = [[str(number)] for number in classes[finite]]
    if finite.any():
        shares = boxes[finite] / np.array([height, width, height, width], np.float32)
        visualization_utils.draw_bounding_boxes_on_image_array(
            image, shares, display_str_list_list=names
        )
    return image
