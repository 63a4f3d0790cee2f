"""Splits padded batches in the resized frame into images in the frame they were stored in."""

import numpy as np

from object_detection.ops import ignore_regions
from object_detection.structures.batch import Batch, CroppedMasks, Detections
from object_detection.structures.instances import EvaluatedImage, ImageLabels, Instances
from object_detection.structures.masks import Masks


def images_of(batch: Batch, detections: Detections) -> list[EvaluatedImage]:
    """Split a batch; boxes become pixels of the stored images, padding is left out.

    The resized frame of an image is its true shape: what was padded below and to the right of it
    has no counterpart in the stored image.
    """
    if batch.truth.ignore is not None:
        batch, detections = _without_ignored(batch, detections)
    batch, detections = to_numpy(batch), to_numpy(detections)
    images = []
    for k, (height, width) in enumerate(batch.source_shape.tolist()):
        scale = np.array([height, width], np.float32) / batch.images.true_shape[k]
        scale = np.tile(scale.astype(np.float32), 2)
        pixels = batch.source_pixels
        images.append(
            EvaluatedImage(
                image_id=batch.image_id[k].decode(errors="replace"),
                truth=_truth_of(batch, k, scale),
                detections=_detections_of(detections, k, height, width, scale),
                pixels=None if pixels is None else pixels[k, :height, :width],
            )
        )
    return images


def masks_of(masks: CroppedMasks | None, k: int, valid: np.ndarray) -> Masks | None:
    """Return the masks of image k of a batch at their stored size.

    Args:
        masks: Of the batch, arrays instead of tensors.
        k: Index of the image.
        valid: [G] bool, False for padding.

    Returns:
        None if the batch has no masks or an object's mask is unknown, which differs from a mask
        without pixels.
    """
    if masks is None:
        return None
    pixels, (height, width), origin, present = (None if v is None else v[k] for v in masks)
    valid = valid[: len(pixels)]
    if present is not None and not present[: len(valid)][valid].all():
        return None
    pixels = pixels[: len(valid)][valid]
    if origin is None:
        return Masks.from_dense(pixels[:, :height, :width])
    return Masks.from_padded_crops(pixels, origin[: len(valid)][valid], height, width)


def _without_ignored(batch, detections):
    """Return the batch and its detections without what lies mostly in ignore regions."""
    objects, kept = ignore_regions.apply_ignore_regions(batch.truth, detections, batch.truth.ignore)
    truth = batch.truth._replace(valid=objects, ignore=None)
    return batch._replace(truth=truth), detections._replace(valid=kept)


def _truth_of(batch, k, scale) -> Instances:
    truth, labels = batch.truth, batch.labels
    valid = truth.valid[k]
    height, width = batch.source_shape[k].tolist()
    return Instances(
        height,
        width,
        boxes=truth.boxes[k][valid] * scale,
        classes=truth.classes[k][valid],
        masks=masks_of(truth.masks, k, valid),
        crowd=truth.crowd[k][valid],
        difficult=truth.difficult[k][valid],
        group_of=None if truth.group_of is None else truth.group_of[k][valid],
        area=truth.area[k][valid],
        labels=None if labels is None else ImageLabels(*(_ids(ids[k]) for ids in labels)),
    )


def _ids(padded):
    """Return the ids of one image as a set; unknown class texts have become -1."""
    return frozenset(padded[padded > 0].tolist())


def _detections_of(detections, k, height, width, scale) -> Instances:
    valid = detections.valid[k]
    boxes = detections.boxes[k][valid] * scale
    masks = None
    if detections.masks is not None:
        masks = Masks.from_box_masks(detections.masks[k][valid], boxes, height, width)
    return Instances(
        height,
        width,
        boxes,
        classes=detections.classes[k][valid],
        scores=detections.scores[k][valid],
        masks=masks,
    )


def to_numpy(structure):
    """Return the same NamedTuple with arrays instead of tensors, at every depth."""
    if structure is None:
        return None
    if hasattr(structure, "_fields"):
        return type(structure)(*(to_numpy(member) for member in structure))
    return structure.numpy()
