"""What is known of one image and its objects, without their pixels."""

from typing import NamedTuple

import numpy as np

from object_detection.data import report

LOST, LOOK, FACT = "lost", "worth a look", "fact"
SEVERITIES = (LOST, LOOK, FACT)

# Of the pipeline's reasons about objects, those that lose nothing.
_NOTHING_LOST = {
    report.BOX_CLIPPED,
    report.MASK_SCALED,
    report.NO_MASK,
    report.TOO_MANY_BOXES,
}


class Finding(NamedTuple):
    """One thing about an image that a person may want to see."""

    severity: str  # one of SEVERITIES
    reason: str
    detail: str = ""
    count: int = 1  # objects it is about


class ImageFacts(NamedTuple):
    """One image; its g objects are those that can be used.

    A record that cannot be decoded at all has no size and no objects, only findings.
    """

    id: str
    place: str  # the record: file and number
    size: tuple[int, int] | None  # (height, width) in pixels
    boxes: np.ndarray  # [g, 4] float32 (ymin, xmin, ymax, xmax) in pixels
    classes: np.ndarray  # [g] int ids of the label map
    crowd: np.ndarray  # [g] bool
    difficult: np.ndarray  # [g] bool
    mask_area: np.ndarray | None  # [g] pixels; None: the image has no masks
    findings: tuple[Finding, ...] = ()

    @property
    def reasons(self):
        """The reasons of its findings, each once."""
        return tuple(dict.fromkeys(finding.reason for finding in self.findings))


def nothing_known(identity, place, findings):
    """The facts about a record that cannot be decoded."""
    none = np.zeros(0, bool)
    boxes, classes = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    return ImageFacts(identity, place, None, boxes, classes, none, none, None, findings)


def severity_of(reason):
    """How much one of the input pipeline's reasons about objects matters."""
    return LOOK if reason in _NOTHING_LOST else LOST
