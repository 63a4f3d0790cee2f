"""Parts that all evaluations share: checks of the input, repeated images, what was left out.

An evaluation takes the annotated and the detected `Instances` of one image at a time. Masks may
have any form; `Instances.encoded` converts them once for several evaluations of the same image.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from object_detection.structures.instances import ImageLabels, Instances


class Evaluation:
    """Base of the evaluations.

    Attributes:
        categories: {id: name}, the label map, by ascending id.
        repeated: `RepeatedImages`.
        without_masks: Ids of images whose objects have no masks: not in the mask metrics.
        unknown_truth, unknown_found: {class id: count} of objects and detections that the label map
            has no name for.
        not_finite: Number of detections with NaN or infinite numbers, left out.
        unverified: Number of detections left out because their image was not verified for them.
    """

    def __init__(self, categories: Mapping[int, str]):
        self.categories = {int(i): str(name) for i, name in sorted(categories.items())}
        self.repeated = RepeatedImages()
        self.without_masks: list[str] = []
        self.unknown_truth: Counter = Counter()
        self.unknown_found: Counter = Counter()
        self.not_finite = 0
        self.unverified = 0

    def _accept(self, image_id, truth: Instances, detections: Instances) -> str | None:
        """Return the image's id as text, or None if the image is a repetition.

        Raises:
            ValueError: Arrays of different lengths, or masks of another size than the image.
        """
        image_id = id_text(image_id)
        truth.check(f"Image {image_id!r}: the ground truth")
        detections.check(f"Image {image_id!r}: the detections")
        if (truth.height, truth.width) != (detections.height, detections.width):
            raise ValueError(
                f"Image {image_id!r}: the ground truth is of an image of {truth.height} x "
                f"{truth.width} pixels, the detections of {detections.height} x {detections.width}."
            )
        return None if self.repeated.is_repetition(image_id, truth) else image_id

    def _countable(self, detections: Instances, *, valid=True, allowed=None) -> Instances:
        """Return the detections that can be scored; count the others apart.

        Args:
            valid: [d] bool, which boxes are usable.
            allowed: [d] bool, which detections are of a class their image was verified for; None:
                all.
        """
        kept = detections.is_finite()
        self.not_finite += int(len(kept) - kept.sum())
        known = np.isin(detections.classes, list(self.categories))
        for number in np.asarray(detections.classes)[kept & ~known].tolist():
            self.unknown_found[int(number)] += 1
        kept &= known & valid
        if allowed is not None:
            self.unverified += int((kept & ~allowed).sum())
            kept &= allowed
        return detections if kept.all() else detections.select(kept)


class RepeatedImages:
    """Images that were added more than once, detected by their ids and objects.

    Attributes:
        ids: Ids given again for another image, which counts on its own.
        images: Ids of the very same image given again, which is left out.
    """

    def __init__(self):
        self.ids: list[str] = []
        self.images: list[str] = []
        self._fingerprints: dict = {}  # image id -> fingerprints of its ground truth

    def is_repetition(self, image_id: str, truth: Instances) -> bool:
        """Return whether this very image was added before; note ids that are not unique."""
        size = truth.height, truth.width
        mark = (*size, truth.boxes.tobytes(), np.asarray(truth.classes).tobytes())
        marks = self._fingerprints.setdefault(image_id, set())
        if marks and mark in marks and len(truth.boxes):
            self.images.append(image_id)
            return True
        if marks:
            self.ids.append(image_id)
        marks.add(mark)
        return False


class CombinedEvaluation:
    """Several evaluations of the same images as one; masks are encoded once for all.

    Args:
        evaluations: At least one; their categories are the same.
    """

    def __init__(self, evaluations: Sequence):
        self.evaluations = tuple(evaluations)
        self.categories = self.evaluations[0].categories
        self.kinds = tuple(dict.fromkeys(kind for e in self.evaluations for kind in e.kinds))
        self._encodes = sum("masks" in e.kinds for e in self.evaluations) > 1

    def add(self, image_id, truth: Instances, detections: Instances) -> None:
        """Add one image; see `CocoEvaluation.add`."""
        if self._encodes:
            truth, detections = truth.encoded(), detections.encoded()
        for evaluation in self.evaluations:
            evaluation.add(image_id, truth, detections)

    def evaluate(self) -> dict[str, float]:
        """Return the numbers of all, by their names."""
        numbers = {}
        for evaluation in self.evaluations:
            numbers |= evaluation.evaluate()
        return numbers

    def table(self) -> str:
        """Return the tables of all, one below the other."""
        return "\n\n".join(evaluation.table() for evaluation in self.evaluations)


def id_text(image_id: object) -> str:
    """Return an image's id as text."""
    return image_id.decode(errors="replace") if isinstance(image_id, bytes) else str(image_id)


def coco_order(names: Sequence[str]) -> list[int]:
    """Return the indices of images in COCO's order: numeric if all ids are numbers, else as added.

    The numbers depend on it where detections of two images have equal scores.
    """
    indices = range(len(names))
    if all(name.isdecimal() for name in names):
        return sorted(indices, key=lambda index: int(names[index]))
    return list(indices)


def require_masks(image_id: str, detections: Instances, metrics: str) -> None:
    """Raise ValueError if detections lack the masks that `metrics` (a name) compares."""
    if detections.masks is None and len(detections.boxes):
        raise ValueError(
            f"Image {image_id!r}: mask metrics are asked for, but the detections have "
            "no masks. Does the model predict masks (number_of_stages: 3, "
            f"predict_instance_masks: true)? If not, take {metrics} out of metrics_set."
        )


def allowed_classes(
    classes: np.ndarray, labels: ImageLabels | None, *, empty_means_all: bool
) -> np.ndarray:
    """Return [d] bool: which detections are of a class that the image was verified for.

    Args:
        classes: [d] ids of the detections.
        labels: Of the image.
        empty_means_all: Whether an image without a verified class counts for all classes.
    """
    verified = labels.verified if labels is not None else frozenset()
    if not verified and (empty_means_all or labels is None):
        return np.ones(len(classes), bool)
    return np.isin(classes, list(verified))
