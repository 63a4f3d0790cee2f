"""Detections of a server, the same for all protocols."""

import base64
import dataclasses
import io
from collections.abc import Iterable, Mapping

import numpy as np

from object_detection.structures.instances import Instances
from object_detection.structures.masks import MASK_THRESHOLD, CroppedMask, Masks, paste_mask
from object_detection.structures.run_lengths import decode as decode_rle


@dataclasses.dataclass(frozen=True, eq=False)
class Detection:
    """One detected object in an image."""

    box: tuple  # (ymin, xmin, ymax, xmax), fractions of the image in 0..1
    score: float  # in 0..1
    class_id: int  # of the label map
    label: str  # its name; "class 3" if the model has no names
    coded_mask: object = None  # [M][M] probabilities in the box, {"png": ...}, an RLE, or None

    def box_in(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return (ymin, xmin, ymax, xmax) in pixels of an image."""
        return tuple(float(v) * s for v, s in zip(self.box, (height, width) * 2, strict=True))

    def mask(self, height: int | None = None, width: int | None = None) -> np.ndarray | None:
        """Return the mask as bool [height, width]; None without a mask.

        Args:
            height, width: Size of the image. Run lengths contain it; other forms require it.

        Raises:
            ValueError: The size is unknown, or differs from that of the run lengths.
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
        box = self.box_in(height, width)
        return paste_mask(self.box_mask(), box, height, width) > MASK_THRESHOLD

    def box_mask(self) -> np.ndarray:
        """Return [M, M] float32 probabilities inside the box, if the server sent these."""
        if isinstance(self.coded_mask, dict):
            from PIL import Image

            with Image.open(io.BytesIO(base64.b64decode(self.coded_mask["png"]))) as image:
                return np.asarray(image, np.float32) / 255
        return np.asarray(self.coded_mask, np.float32)


def from_outputs(outputs: Mapping, names: Mapping, min_score: float = 0.0) -> list[Detection]:
    """Return the detections in one image's outputs under TFOD's names, without padding.

    Args:
        outputs: {"detection_boxes": [N][4], "detection_scores": [N], ...} of one image.
        names: {class id: name}.
        min_score: Least score.
    """
    count = int(outputs["num_detections"])
    classes = outputs.get("detection_classes")
    masks = outputs.get("detection_masks")
    detections = []
    for k in range(count):
        score = float(outputs["detection_scores"][k])
        if score < min_score:
            continue
        class_id = 1 if classes is None else int(classes[k])
        detections.append(
            Detection(
                box=tuple(float(v) for v in outputs["detection_boxes"][k]),
                score=score,
                class_id=class_id,
                label=names.get(class_id, f"class {class_id}"),
                coded_mask=None if masks is None else masks[k],
            )
        )
    return detections


def to_instances(detections: Iterable[Detection], height: int, width: int) -> Instances:
    """Return detections as `Instances` of an image of height x width pixels."""
    detections = list(detections)
    boxes = np.array([each.box_in(height, width) for each in detections], np.float32)
    crops = [_crop(each, height, width) for each in detections]
    has_masks = any(each.coded_mask is not None for each in detections)
    return Instances(
        height,
        width,
        boxes.reshape(-1, 4),
        np.array([each.class_id for each in detections], np.int64),
        np.array([each.score for each in detections], np.float32),
        Masks(crops, height, width) if has_masks else None,
    )


def _crop(detection, height, width):
    mask = detection.mask(height, width)
    if mask is None:
        return CroppedMask(np.zeros((0, 0), bool))
    return CroppedMask.from_image(mask)
