"""Evaluation of a model on a set of images: COCO's numbers, confusion, F1, and every error."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from object_detection.errors import AnnotationError
from object_detection.metrics.coco_evaluation import CocoEvaluation
from object_detection.metrics.evaluation import RepeatedImages
from object_detection.reports import detection_errors, ground_truth
from object_detection.reports.detection_errors import FOUND, POOR_MASK, Event
from object_detection.reports.ground_truth import GroundTruth
from object_detection.structures.instances import EvaluatedImage, Instances
from object_detection.structures.masks import Masks

MASKS_NEED_BOTH = {
    "truth": "Masks are not scored: the ground truth has none.",
    "found": "Masks are not scored: the detections have none.",
}
SHOWN = 10  # ids in a message


class Rules(NamedTuple):
    """What counts as found, in addition to COCO's own averages."""

    min_score: float = 0.5  # of the confusion matrix and the errors
    iou_threshold: float = 0.5


class MatchedImage(NamedTuple):
    """One image with the classification of its objects and detections."""

    image: EvaluatedImage
    events: list[Event]

    @property
    def errors(self) -> list[Event]:
        """The events that are errors."""
        return [event for event in self.events if event.kind != FOUND]


class MatchSummary(NamedTuple):
    """Result of one kind of comparison (boxes or masks) over all images."""

    confusion: np.ndarray  # [K + 1, K + 1] of `detection_errors.count_into`
    tallies: dict  # class id -> `Tally`
    errors: Counter  # kind of event -> count
    images: list[MatchedImage]


class Scored(NamedTuple):
    """Scores of a model on a set of images."""

    coco: CocoEvaluation
    matches: dict[str, MatchSummary]  # by kind
    rules: Rules
    notes: list[str]

    @property
    def kinds(self):
        """What was compared: boxes, or boxes and masks."""
        return self.coco.kinds


def collect(
    truth: GroundTruth,
    detect: Callable[[EvaluatedImage], Instances | None],
    max_images: int = 0,
) -> tuple[list[EvaluatedImage], list[str]]:
    """Detect the objects of all images.

    Args:
        truth: The images; iterated once.
        detect: Returns the detections in an image, or None if the image cannot be read.
        max_images: Largest number of images; 0: all.

    Returns:
        The images with their detections, all masks as RLEs; notes on what was left out.
    """
    images, notes, num_ignoring = [], [], 0
    for image in truth.images:
        if max_images and len(images) >= max_images:
            notes.append(f"only the first {max_images} images were evaluated")
            break
        detections = detect(image)
        if detections is None:
            notes.append(f"not evaluated, its file cannot be read: {image.name}")
            continue
        image = ground_truth.without_ignored(image._replace(detections=detections))
        num_ignoring += image.ignore is not None
        images.append(image._replace(detections=image.detections.encoded()))
    if truth.ignore_classes:
        names = ", ".join(truth.ignore_classes)
        notes.append(f"{num_ignoring} of {len(images)} images have ignore regions ({names})")
    return images, notes


def check_classes(categories: dict[int, str], images: list[EvaluatedImage], origin: str) -> None:
    """Check that detections and ground truth have a class in common.

    Args:
        categories: {id: name} of the ground truth.
        images: Result of `collect`.
        origin: Of the detections, for the message.

    Raises:
        AnnotationError: There are detections, but none of a class of the ground truth.
    """
    detected = {int(n) for image in images for n in np.unique(image.detections.classes)}
    if not detected or detected & set(categories):
        return
    known = ", ".join(f"{number} ({name})" for number, name in list(categories.items())[:SHOWN])
    hint = ". Were the results numbered from 0?" if 0 in detected and 0 not in categories else ""
    raise AnnotationError(
        f"no category id of {origin} is one of the ground truth's: the detections have "
        f"{', '.join(map(str, sorted(detected)[:SHOWN]))}; the ground truth has {known}{hint}"
    )


def check_objects(truth: GroundTruth, images: list[EvaluatedImage]) -> None:
    """Check that the ground truth kept an object if it had some.

    Args:
        truth: The ground truth, its images iterated.
        images: Result of `collect`.

    Raises:
        AnnotationError: Objects were left out, and none remains.
    """
    if truth.lost() and not any(len(i.truth.boxes) or i.ignore is not None for i in images):
        raise AnnotationError(
            "\n".join(["no object of the ground truth can be used:", *truth.notes[:20]])
        )


def _crowded(images, categories, most):
    """Return a note on images with more objects of a class than detections count, or None."""
    num_crowded, largest = 0, (0, "", "")
    for image in images:
        counted = image.truth.classes[~image.truth.flags("crowd")]
        numbers, counts = np.unique(counted[np.isin(counted, list(categories))], return_counts=True)
        if counts.size and counts.max() > most:
            num_crowded += 1
            name = categories[int(numbers[counts.argmax()])]
            largest = max(largest, (int(counts.max()), image.name, name), key=lambda one: one[0])
    if not num_crowded:
        return None
    count, name, class_name = largest
    return (
        f"{num_crowded} images have more than {most} objects of one class (at most {count} of "
        f"{class_name}, in {name}): COCO's metrics count the {most} best detections of each class "
        f"in an image (max detections), so there at most {most} of them can be found"
    )


def score(
    categories: dict[int, str], images: list[EvaluatedImage], rules: Rules | None = None
) -> Scored:
    """Score the detections.

    Masks are scored if any image has them on both sides.

    Args:
        categories: {id: name}.
        images: Result of `collect`.
        rules: None for the default ones.
    """
    rules, notes = rules or Rules(), []
    with_truth, with_found = (
        any(len(each.boxes) and each.masks is not None for each in side)
        for side in ([i.truth for i in images], [i.detections for i in images])
    )
    masks = with_truth and with_found
    if with_truth != with_found and any(len(i.detections.boxes) for i in images):
        notes.append(MASKS_NEED_BOTH["found" if with_truth else "truth"])
    coco = CocoEvaluation(categories, boxes=True, masks=masks, all_per_category=True)
    crowded = _crowded(images, coco.categories, max(coco.options.settings.limits))
    notes += [crowded] if crowded else []
    kinds = coco.kinds
    matches = {kind: _empty_summary(coco.categories) for kind in kinds}
    repeated = RepeatedImages()
    for image in images:
        coco.add(image.image_id, image.truth, image.detections)
        if repeated.is_repetition(image.image_id, image.truth):
            continue
        for kind in kinds:
            if kind == "boxes" or image.truth.masks is not None or not len(image.truth.boxes):
                _match(matches[kind], image, kind, coco.categories, rules)
    return Scored(coco, matches, rules, notes)


def worst(summary: MatchSummary, limit: int) -> list[MatchedImage]:
    """Return the images with the most errors; ties by the larger share of errors."""

    def rank(matched):
        share = len(matched.errors) / len(matched.events)
        return -len(matched.errors), -share, matched.image.image_id

    return sorted((matched for matched in summary.images if matched.errors), key=rank)[:limit]


def _empty_summary(categories):
    side = len(categories) + 1
    tallies = {number: detection_errors.Tally() for number in categories}
    return MatchSummary(np.zeros([side, side], np.int64), tallies, Counter(), [])


def _match(summary, image, kind, categories, rules):
    """Add one image to a `MatchSummary`."""
    known, detections = list(categories), image.detections
    truth = image.truth.select(np.isin(image.truth.classes, known))
    detections = detections.select(detections.is_finite() & np.isin(detections.classes, known))
    if kind == "masks" and detections.masks is None:
        detections = detections._replace(masks=Masks([], image.height, image.width))
    iou = detection_errors.overlaps(truth, detections, kind)
    matching = detection_errors.match(truth, detections, iou, rules.iou_threshold)
    events = detection_errors.classify(
        truth,
        detections,
        iou,
        matching,
        threshold=rules.iou_threshold,
        min_score=rules.min_score,
        box_iou=detection_errors.overlaps(truth, detections, "boxes") if kind == "masks" else None,
    )
    index_of = {number: index for index, number in enumerate(known)}
    detection_errors.count_into(summary.confusion, index_of, truth, detections, events)
    summary.errors.update(event.kind for event in events)
    summary.images.append(MatchedImage(image._replace(truth=truth, detections=detections), events))
    for number in {*truth.classes.tolist(), *detections.classes.tolist()}:
        mine = (detections.classes == number) & ~matching.in_crowd
        objects = ((truth.classes == number) & ~truth.flags("crowd")).sum()
        summary.tallies[number].add(objects, detections.scores[mine], matching.truth_of[mine] >= 0)


def describe(event: Event, image: EvaluatedImage, categories: dict[int, str]) -> str:
    """Return an event as a line for people."""
    truth, detections = image.truth, image.detections
    true_name = None if event.truth is None else categories[int(truth.classes[event.truth])]
    if event.detection is None:
        return f"{event.kind}: {true_name}"
    name = categories[int(detections.classes[event.detection])]
    text = f"{event.kind}: {name} {round(100 * float(detections.scores[event.detection]))}%"
    if event.kind == POOR_MASK:
        return f"{text}, IoU of masks {event.iou:.2f}, of boxes {event.box_iou:.2f}"
    if true_name is not None and true_name != name:
        text += f", it is {true_name}"
    return text if event.truth is None else f"{text}, IoU {event.iou:.2f}"
