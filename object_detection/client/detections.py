"""What a server found, the same whichever protocol it came by."""

import base64
import dataclasses
import io

import numpy as np

from object_detection.structures.masks import paste_mask
from object_detection.structures.run_lengths import decode as decode_rle


@dataclasses.dataclass(frozen=True, eq=False)
class Detection:
    """One object in an image."""

    box: tuple  # (ymin, xmin, ymax, xmax), shares of the image from 0 to 1
    score: float  # 0 to 1
    class_id: int  # of the label map
    label: str  # its name; "class 3" where the model has none
    coded_mask: object = None  # [M][M] probabilities in the box, {"png": ...}, an RLE, or None

    def box_in(self, height, width):
        """(ymin, xmin, ymax, xmax) in pixels of an image."""
        return tuple(float(v) * s for v, s in zip(self.box, (height, width) * 2, strict=True))

    def mask(self, height=None, width=None):
        """The mask as bool [height, width], None without one.

        Args:
            height, width: of the image. A run-length code knows them; other forms have to be told.

        Raises:
            ValueError: the size is not known, or another than the code's.
        """
        if self.coded_mask is None:
            return None
        if isinstance(self.coded_mask, dict) and "counts" in self.coded_mask:
            full = decode_rle(self.coded_mask)
            if (height or full.shape[0], width or full.shape[1]) != full.shape:
                raise ValueError(f"the mask is of {full.shape}, not of {(height, width)}")
            return full
        if height is None or width is None:
            raise ValueError("give height and width: this mask is one of its box")
        return paste_mask(self.box_mask(), self.box_in(height, width), height, width) > 0.5

    def box_mask(self):
        """[M, M] float32 probabilities inside the box, where the server sent these."""
        if isinstance(self.coded_mask, dict):
            from PIL import Image

            with Image.open(io.BytesIO(base64.b64decode(self.coded_mask["png"]))) as image:
                return np.asarray(image, np.float32) / 255
        return np.asarray(self.coded_mask, np.float32)


def from_outputs(outputs, names, min_score=0.0):
    """Detections of one image's outputs under TFOD's names, the padding left out.

    Args:
        outputs: {"detection_boxes": [N][4], "detection_scores": [N], ...} of one image.
        names: {class id: name}.
        min_score: those that score less are left out.
    """
    count = int(outputs["num_detections"])
    classes = outputs.get("detection_classes")
    masks = outputs.get("detection_masks")
    found = []
    for k in range(count):
        score = float(outputs["detection_scores"][k])
        if score < min_score:
            continue
        class_id = 1 if classes is None else int(classes[k])
        found.append(
            Detection(
                box=tuple(float(v) for v in outputs["detection_boxes"][k]),
                score=score,
                class_id=class_id,
                label=names.get(class_id, f"class {class_id}"),
                coded_mask=None if masks is None else masks[k],
            )
        )
    return found
