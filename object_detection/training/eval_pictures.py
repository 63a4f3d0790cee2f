"""The pictures of an evaluation: detections beside the truth, in TensorBoard and as files."""

import os
from pathlib import Path

from absl import logging

from object_detection.utils import side_by_side, visualization_utils


class EvalPictures:
    """Draws the first images of a pass.

    Args:
        settings: `EvalSettings`.
        categories: {id: name}.
    """

    def __init__(self, settings, categories):
        self._settings, self._categories = settings, categories
        self._drawn = []  # (image id, picture, the detections alone)

    def __len__(self):
        return len(self._drawn)

    def add(self, image):
        """Draws an `EvaluatedImage` if there are too few yet and its pixels were kept."""
        if len(self) >= self._settings.num_visualizations or image.pixels is None:
            return
        found, count = side_by_side.draw_detections(
            image.pixels, image.detections, image.truth, self._categories, self._settings.style
        )
        truth = side_by_side.draw_truth(image.pixels, image.truth, self._categories)
        picture = side_by_side.beside(found, count, truth, len(image.truth.boxes))
        exported = found if self._settings.visualization_export_dir else None
        self._drawn.append((image.image_id, picture, exported))

    def write(self, summaries, folder, step):
        """Writes all: to TensorBoard, to `folder`, and to visualization_export_dir.

        What was exported of an earlier step is overwritten, as TFOD does; a folder for it that
        cannot be written to is an error in the log.
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
        for k, (image_id, _, found) in enumerate(self._drawn):
            name = f"export-image-{k}"
            if self._settings.keep_image_id_for_visualization_export:
                name += f"-{_as_name(image_id)}"
            visualization_utils.save_image_array_as_png(found, str(folder / f"{name}.png"))


def _as_name(image_id):
    """An image's id as part of a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in image_id)[-80:]
