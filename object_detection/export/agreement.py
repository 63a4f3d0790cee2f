"""How far a converted model and TensorFlow agree on an image.

Rounding differs from runtime to runtime. Two places make much of it: where boxes have equal scores
to the last digit, their order changes; and where a box ends on the image's border, its last row of
features is read or left out (points outside read 0), which changes its mask. So detections are
paired by what they are, and masks that differ are told apart by whether their box is at the border.
"""

from typing import NamedTuple

import numpy as np

TOLERANCE = 1e-3
_BORDER = 1e-5  # of the image's side


class Agreement(NamedTuple):
    """What was compared on one image; differences are the largest of the pairs."""

    wanted: int  # detections of TensorFlow's
    found: int  # of the other runtime
    paired: int  # same class; box and score within the tolerance
    boxes: float  # as parts of the image's sides
    scores: float
    masks: float | None  # of pairs that are not at the border; None without masks
    masks_off_at_border: int  # pairs whose masks differ by more than the tolerance there

    @property
    def is_complete(self):
        """Whether every detection has its pair, and every mask away from the border agrees."""
        masks_agree = self.masks is None or self.masks <= TOLERANCE
        return self.wanted == self.found == self.paired and masks_agree

    def __str__(self):
        text = (
            f"{self.paired} of {self.wanted} detections agree, {self.found} found; off by at most"
        )
        text += f" {self.boxes:.1e} (boxes), {self.scores:.1e} (scores)"
        if self.masks is not None:
            text += f", {self.masks:.1e} (masks)"
        if self.masks_off_at_border:
            text += f"; {self.masks_off_at_border} other mask(s) of boxes on the image's border"
        return text


def agreement(wanted, found):
    """Compares outputs by TFOD's names, of a batch of one image.

    Args:
        wanted: {name: array} of TensorFlow.
        found: {name: array} of the other runtime.

    Returns:
        `Agreement`.
    """
    wanted, found = _detections(wanted), _detections(found)
    pairs = _pairs(wanted, found)
    ours = {name: values[[i for i, _ in pairs]] for name, values in wanted.items()}
    theirs = {name: values[[j for _, j in pairs]] for name, values in found.items()}
    masks, at_border = None, 0
    if "detection_masks" in wanted:
        off = np.abs(ours["detection_masks"] - theirs["detection_masks"])
        off = off.max(axis=(1, 2), initial=0.0)
        boxes = ours["detection_boxes"]
        borders = ((boxes < _BORDER) | (boxes > 1 - _BORDER)).any(axis=1) & (off > TOLERANCE)
        masks, at_border = off[~borders].max(initial=0.0), int(borders.sum())
    return Agreement(
        len(wanted["detection_scores"]),
        len(found["detection_scores"]),
        len(pairs),
        _largest(ours, theirs, "detection_boxes"),
        _largest(ours, theirs, "detection_scores"),
        None if masks is None else float(masks),
        at_border,
    )


def _detections(outputs):
    """The rows of real detections of the first image."""
    count = int(np.asarray(outputs["num_detections"]).reshape(-1)[0])
    names = ("detection_boxes", "detection_scores", "detection_classes", "detection_masks")
    return {name: np.asarray(outputs[name])[0, :count] for name in names if name in outputs}


def _pairs(wanted, found):
    """[(row of `wanted`, row of `found`)] of the same class, box and score; each row once."""
    pairs, free = [], set(range(len(found["detection_scores"])))
    for i, box in enumerate(wanted["detection_boxes"]):
        best, best_off = None, TOLERANCE
        for j in free:
            off = max(
                np.abs(found["detection_boxes"][j] - box).max(),
                abs(found["detection_scores"][j] - wanted["detection_scores"][i]),
            )
            same = found["detection_classes"][j] == wanted["detection_classes"][i]
            if same and off <= best_off:
                best, best_off = j, off
        if best is not None:
            free.remove(best)
            pairs.append((i, best))
    return pairs


def _largest(ours, theirs, name):
    return float(np.abs(ours[name] - theirs[name]).max(initial=0.0))
