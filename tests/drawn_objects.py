"""A plain image and objects to draw on it."""

from typing import NamedTuple

import numpy as np

INDEX = {1: {"id": 1, "name": "cat"}, 2: {"id": 2, "name": "dog"}}


class Objects(NamedTuple):
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray | None = None
    crowd: np.ndarray | None = None
    masks: np.ndarray | None = None

    def full_mask(self, index, height, width):
        return None if self.masks is None else self.masks[index]


def grey(height=60, width=80):
    return np.full([height, width, 3], 100, np.uint8)
