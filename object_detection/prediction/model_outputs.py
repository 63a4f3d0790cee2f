"""The arrays that a model gives, read as `Prediction`s: whatever form its masks have."""

import numpy as np

from object_detection.prediction.prediction import Prediction
from object_detection.structures.masks import CroppedMask


def prediction_of(outputs, place, size, seen, *, threshold, classes, name_of):
    """One image's `Prediction`, the best first.

    Args:
        outputs: arrays of a batch under TFOD's names. Masks are `detection_masks` [B, N, M, M],
            probabilities inside each box; or, in models that give no such, masks of the image:
            `detection_masks_reframed` [B, N, h, w], or `detection_masks_rle` [B, N], the `counts`
            of COCO's codes.
        place: which image of the batch.
        size: (height, width) of the image whose pixels the result is in.
        seen: (height, width) that the model saw it at.
        threshold: least score.
        classes: ids that are kept, or None for all.
        name_of: gives the name of an id.
    """
    height, width = size
    count = int(outputs["num_detections"][place])
    scores = outputs["detection_scores"][place, :count]
    if "detection_classes" in outputs:
        numbers = outputs["detection_classes"][place, :count].astype(np.int32)
    else:  # a model of one stage proposes regions without a class
        numbers = np.ones(count, np.int32)
    chosen = scores >= threshold
    if classes is not None:
        chosen &= np.isin(numbers, classes)
    kept = np.flatnonzero(chosen)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    boxes = outputs["detection_boxes"][place][kept]
    box_masks, crops = _masks(outputs, place, kept, size, seen)
    return Prediction(
        boxes=(boxes * np.array([height, width, height, width])).astype(np.float32),
        scores=scores[kept],
        classes=numbers[kept],
        names=tuple(name_of(k) for k in numbers[kept]),
        height=height,
        width=width,
        box_masks=box_masks,
        crops=crops,
    )


def _masks(outputs, place, kept, size, seen):
    """(masks inside boxes, crops of masks of the image), one of them or both None."""
    if "detection_masks" in outputs:
        return outputs["detection_masks"][place][kept], None
    if "detection_masks_reframed" in outputs:
        whole = outputs["detection_masks_reframed"][place]
        masks = [CroppedMask(whole[k] > 0, 0, 0) for k in kept]
    elif "detection_masks_rle" in outputs:
        codes = outputs["detection_masks_rle"][place]
        masks = [CroppedMask.from_rle({"size": list(seen), "counts": codes[k]}) for k in kept]
    else:
        return None, None
    if tuple(size) != tuple(seen):
        rows, columns = (
            (np.arange(side) * 2 + 1) * before // (2 * side)
            for side, before in zip(size, seen, strict=True)
        )
        masks = [CroppedMask(m.full(*seen)[rows][:, columns], 0, 0) for m in masks]
    return None, tuple(mask.tight() for mask in masks)
