"""Pictures of an evaluation: detections next to the truth, in TensorBoard and as files."""

import os
from pathlib import Path

from absl import logging

from object_detection.structures import drawing
from object_detection.utils import visualization_utils


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
