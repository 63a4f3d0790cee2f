"""A plain image and objects to draw on it."""

import numpy as np

from object_detection.structures.instances import Instances
from object_detection.structures.masks import Masks

INDEX = {1: {"id": 1, "name": "cat"}, 2: {"id": 2, "name": "dog"}}


def objects(boxes, classes, scores=None, crowd=None, masks=None):
    masks = None if masks is None else Masks.from_dense(np.asarray(masks))
    return Instances(60, 80, boxes, classes, scores, masks, crowd)


def grey(height=60, width=80):
    return np.full([height, width, 3], 100, np.uint8)
