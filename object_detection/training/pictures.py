"""Pictures of a run: inputs of a step, evaluated images, and the batch of a step that failed."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from object_detection.structures import drawing
from object_detection.structures.batch import Batch
from object_detection.structures.instances import Instances
from object_detection.training.stored_frame import masks_of, to_numpy
from object_detection.utils import visualization_utils


def draw_inputs(batch: Batch, names: dict[int, str]) -> np.ndarray:
    """Draw every image of a batch with its boxes, masks and class names, its id above it.

    Args:
        batch: At least one image, pixels in uint8.
        names: {class: name}.

    Returns:
        uint8 [B, H, W, 3]; small images are enlarged.
    """
    arrays = to_numpy(batch)
    return np.stack([_draw_input(arrays, row, names) for row in range(len(arrays.image_id))])


def _draw_input(batch, row, names):
    truth, valid = batch.truth, batch.truth.valid[row]
    height, width = batch.images.true_shape[row].tolist()
    masks = truth.masks and masks_of(truth.masks._replace(present=None), row, valid)
    instances = Instances(
        height,
        width,
        truth.boxes[row][valid],
        truth.classes[row][valid],
        masks=None if masks is None else masks.resize(height, width),
        crowd=truth.crowd[row][valid],
    )
    picture = drawing.draw(batch.images.pixels[row], instances, names)
    return drawing.titled(picture, batch.image_id[row].decode(errors="replace"))


class EvalPictures:
    """Pictures of the first images of a pass.

    Args:
        settings: `EvalSettings`.
        categories: {id: name}.
    """

    def __init__(self, settings, categories):
        self._settings, self._categories = settings, categories
        self._drawn = []  # (image id, picture, picture of the detections only)

    def __len__(self):
        return len(self._drawn)

    def add(self, image):
        """Draw an `EvaluatedImage` if more are needed and its pixels were kept."""
        if len(self) >= self._settings.num_visualizations or image.pixels is None:
            return
        style, names = self._settings.style, self._categories
        drawn = drawing.draw(image.pixels, image.detections, names, style, truth=image.truth)
        truth = drawing.draw(image.pixels, image.truth, names)
        count = len(style.best(image.detections.scores))
        picture = drawing.side_by_side(drawn, count, truth, len(image.truth.boxes))
        exported = drawn if self._settings.visualization_export_dir else None
        self._drawn.append((image.image_id, picture, exported))

    def write(self, summaries, folder, step):
        """Write all: to TensorBoard, to `folder`, and to visualization_export_dir.

        Exports of an earlier step are overwritten, as in TFOD; an export folder that cannot be
        written to is logged as an error.
        """
        for k, (image_id, picture, _) in enumerate(self._drawn):
            summaries.image(f"eval_side_by_side_{k}_0", picture[None], step)
            path = Path(folder) / f"{k}_{_as_name(image_id)}.png"
            visualization_utils.save_image_array_as_png(picture, str(path))
        if self._settings.visualization_export_dir and self._drawn:
            try:
                self._export(Path(self._settings.visualization_export_dir))
            except OSError as error:
                logging.error("eval_config.visualization_export_dir: %s", error)

    def _export(self, folder):
        os.makedirs(folder, exist_ok=True)
        for k, (image_id, _, picture) in enumerate(self._drawn):
            name = f"export-image-{k}"
            if self._settings.keep_image_id_for_visualization_export:
                name += f"-{_as_name(image_id)}"
            visualization_utils.save_image_array_as_png(picture, str(folder / f"{name}.png"))


def _as_name(image_id):
    """Return an image's id as part of a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in image_id)[-80:]


def save_batches(folder: Path, batches: Iterable[Batch]) -> Path | None:
    """Write the batches of a failed step to a folder, which appears complete or not at all.

    Each is an `.npz` of all its tensors (`image_id`, `images.pixels`, `truth.boxes` ...), and a PNG
    of each image with its boxes.

    Args:
        folder: to create; an earlier one is replaced.
        batches: of every replica of this process.

    Returns:
        The folder, or None if it could not be written: the reason is in the log.
    """
    draft = folder.with_name(f".writing-{folder.name}")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for number, batch in enumerate(batches):
            values = _named(batch)
            np.savez_compressed(draft / f"batch{number}.npz", **values)
            for row in range(len(values["image_id"])):
                picture = _draw_failed(values, row)
                path = draft / f"batch{number}_image{row}.png"
                visualization_utils.save_image_array_as_png(picture, str(path))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        logging.error("The batch could not be saved for inspection: %s", error)
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


def _draw_failed(values, row):
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
