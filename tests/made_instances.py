"""Objects and detections of an image from plain arrays: masks in any form, the size given later."""

import numpy as np

from object_detection.structures.instances import Instances
from object_detection.structures.masks import Masks


def annotated(boxes, classes, crowd=None, *, height=0, width=0, **fields):
    """Annotated objects; `masks` are [n, h, w] or a list of RLEs."""
    return _made(Instances(height, width, boxes, classes, crowd=crowd, **fields))


def detected(boxes, scores, classes, masks=None, height=0, width=0):
    """Detections; `masks` are [n, M, M] inside the boxes or a list of RLEs."""
    return _made(Instances(height, width, boxes, classes, scores, masks))


def add(evaluation, image_id, truth, detections, height, width):
    """Adds an image of a size to an evaluation."""
    evaluation.add(image_id, sized(truth, height, width), sized(detections, height, width))


def sized(instances, height, width):
    """The objects in an image of a size."""
    masks = instances.masks
    if masks is not None and masks.box_masks is not None:
        masks = Masks.from_box_masks(masks.box_masks, instances.boxes, height, width)
    return instances._replace(height=height, width=width, masks=masks)


def _made(instances):
    masks, (height, width) = instances.masks, instances[:2]
    if isinstance(masks, list):
        height, width = masks[0]["size"] if masks else (height, width)
        masks = Masks.from_rle(masks, height, width)
    elif isinstance(masks, np.ndarray) and instances.scores is None:
        masks = Masks.from_dense(masks)
    elif isinstance(masks, np.ndarray):
        masks = Masks.from_box_masks(masks, instances.boxes, height, width)
    return instances._replace(masks=masks)
