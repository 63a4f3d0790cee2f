"""Takes padded batches in the resized frame apart into images in the frame they were stored in."""

from typing import NamedTuple

import numpy as np

from object_detection.metrics.images import ImageDetections, ImageLabels, ImageTruth
from object_detection.ops import ignore_regions
from object_detection.ops import masks as mask_ops
from object_detection.structures.batch import Batch, Detections


class EvaluatedImage(NamedTuple):
    """One image with what is true of it and what was found in it."""

    image_id: str
    truth: ImageTruth
    detections: ImageDetections
    height: int  # of the image as stored
    width: int
    pixels: np.ndarray | None  # [height, width, 3] uint8, where the pipeline kept them


def images_of(batch: Batch, detections: Detections) -> list[EvaluatedImage]:
    """Splits a batch; boxes become pixels of the stored images, padding is left out.

    The resized frame of an image is its true shape: what was padded below and on the right of it
    has no counterpart in the stored image.
    """
    if batch.truth.ignore is not None:
        batch, detections = _without_ignored(batch, detections)
    batch = to_numpy(with_whole_masks(batch))
    detections = to_numpy(detections)
    images = []
    for k, (height, width) in enumerate(batch.source_shape.tolist()):
        scale = np.array([height, width], np.float32) / batch.images.true_shape[k]
        scale = np.tile(scale.astype(np.float32), 2)
        images.append(
            EvaluatedImage(
                image_id=batch.image_id[k].decode(errors="replace"),
                truth=_truth_of(batch.truth, batch.labels, k, scale),
                detections=_detections_of(detections, k, scale),
                height=height,
                width=width,
                pixels=(
                    None if batch.source_pixels is None else batch.source_pixels[k, :height, :width]
                ),
            )
        )
    return images


def _without_ignored(batch, detections):
    """The batch and its detections without what lies mostly in ignore regions."""
    objects, found = ignore_regions.apply_ignore_regions(
        batch.truth, detections, batch.truth.ignore
    )
    truth = batch.truth._replace(valid=objects, ignore=None)
    return batch._replace(truth=truth), detections._replace(valid=found)


def _truth_of(truth, labels, k, scale) -> ImageTruth:
    valid = truth.valid[k]
    masks = None
    if truth.masks is not None:
        pixels, (height, width), _, present = (v if v is None else v[k] for v in truth.masks)
        with_mask = valid[: len(pixels)]
        masks = pixels[: len(with_mask)][with_mask][:, :height, :width]
        if present is not None and not present[: len(with_mask)][with_mask].all():
            masks = None  # not known, which is not the same as a mask without pixels
    return ImageTruth(
        boxes=truth.boxes[k][valid] * scale,
        classes=truth.classes[k][valid],
        crowd=truth.crowd[k][valid],
        difficult=truth.difficult[k][valid],
        area=truth.area[k][valid],
        masks=masks,
        group_of=None if truth.group_of is None else truth.group_of[k][valid],
        labels=None if labels is None else ImageLabels(*(_ids(ids[k]) for ids in labels)),
    )


def _ids(padded):
    """The ids among those of one image, as a set; unknown class texts have become -1."""
    return frozenset(padded[padded > 0].tolist())


def _detections_of(detections, k, scale) -> ImageDetections:
    valid = detections.valid[k]
    return ImageDetections(
        boxes=detections.boxes[k][valid] * scale,
        scores=detections.scores[k][valid],
        classes=detections.classes[k][valid],
        masks=None if detections.masks is None else detections.masks[k][valid],
    )


def with_whole_masks(batch: Batch) -> Batch:
    """Return the batch with whole masks in its ground truth."""
    masks = batch.truth.masks and mask_ops.whole_masks(batch.truth.masks)
    return batch._replace(truth=batch.truth._replace(masks=masks))


def to_numpy(structure):
    """The same NamedTuple with arrays instead of tensors, at every depth."""
    if structure is None:
        return None
    if hasattr(structure, "_fields"):
        return type(structure)(*(to_numpy(member) for member in structure))
    return structure.numpy()
