"""A model scored on a set of images: COCO's numbers, confusion, F1, and every error."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from object_detection.errors import AnnotationError
from object_detection.metrics import images as metric_images
from object_detection.metrics.coco_evaluation import CocoEvaluation
from object_detection.metrics.images import ImageDetections
from object_detection.reports import found_errors, ignore_regions
from object_detection.reports.found_errors import FOUND, POOR_MASK
from object_detection.reports.truth_sources import TruthImage

MASKS_NEED_BOTH = {
    "truth": "Masks are not scored: the ground truth has none.",
    "found": "Masks are not scored: the detections have none.",
}
SHOWN = 10  # ids in a message


class Rules(NamedTuple):
    """What counts as found, beside COCO's own averages."""

    min_score: float = 0.5  # of the confusion matrix and the errors
    iou_threshold: float = 0.5


class SeenImage(NamedTuple):
    """One image, what was found in it, and what became of its objects."""

    image: TruthImage
    found: ImageDetections  # masks are RLEs
    events: list  # of `found_errors.Event`

    @property
    def errors(self):
        """Those of the events that are errors."""
        return [event for event in self.events if event.kind != FOUND]


class Judgement(NamedTuple):
    """What one kind of comparison (boxes or masks) says."""

    confusion: np.ndarray  # [K + 1, K + 1] of `found_errors.count_into`
    tallies: dict  # class id -> `found_errors.Tally`
    errors: Counter  # of the kinds of event
    images: list  # of `SeenImage`


class Scored(NamedTuple):
    """A model's scores on a set."""

    coco: CocoEvaluation
    judged: dict  # kind -> `Judgement`
    rules: Rules
    notes: list[str]

    @property
    def kinds(self):
        """What was compared: boxes, or boxes and masks."""
        return self.coco.kinds


def look_at(truth_set, find, max_images=0):
    """Goes through the images once.

    Args:
        truth_set: `truth_sources.TruthSet`.
        find: `TruthImage` -> `ImageDetections`, or None where the image cannot be looked at.
        max_images: 0: all.

    Returns:
        List of (`TruthImage`, `ImageDetections` with RLEs), and notes on what was left out.
    """
    pairs, notes, ignore = [], [], 0
    for image in truth_set.images:
        if max_images and len(pairs) >= max_images:
            notes.append(f"only the first {max_images} images were looked at")
            break
        found = find(image)
        if found is None:
            notes.append(f"not evaluated, its file cannot be read: {image.name}")
            continue
        image, found = ignore_regions.left_out(image._replace(loaded=None), found)
        ignore += image.ignore is not None
        pairs.append((image, found.encoded(image.height, image.width)))
    if truth_set.ignore_classes:
        names = ", ".join(truth_set.ignore_classes)
        notes.append(f"{ignore} of {len(pairs)} images have ignore regions ({names})")
    return pairs, notes


def check_classes(categories: dict[int, str], pairs: list, origin: str) -> None:
    """Check that detections and ground truth have a class in common.

    Args:
        categories: {id: name} of the ground truth.
        pairs: of `look_at`.
        origin: of the detections, for the message.

    Raises:
        AnnotationError: there are detections, and none is of a class of the ground truth.
    """
    detected = {int(number) for _, found in pairs for number in np.unique(found.classes)}
    if not detected or detected & set(categories):
        return
    known = ", ".join(f"{number} ({name})" for number, name in list(categories.items())[:SHOWN])
    hint = ". Were the results numbered from 0?" if 0 in detected and 0 not in categories else ""
    raise AnnotationError(
        f"no category id of {origin} is one of the ground truth's: the detections have "
        f"{', '.join(map(str, sorted(detected)[:SHOWN]))}; the ground truth has {known}{hint}"
    )


def check_objects(truth_set, pairs: list) -> None:
    """Check that the ground truth has an object, where it was to have some.

    Args:
        truth_set: `truth_sources.TruthSet`, its images gone through.
        pairs: of `look_at`.

    Raises:
        AnnotationError: objects were left out, and none remains.
    """
    if truth_set.lost() and not any(len(i.truth.boxes) or i.ignore is not None for i, _ in pairs):
        raise AnnotationError(
            "\n".join(["no object of the ground truth can be used:", *truth_set.notes[:20]])
        )


def _crowded(pairs, categories, most):
    """A note on images with more objects of a class than detections are counted; None: none."""
    images, largest = 0, (0, "", "")
    for image, _ in pairs:
        counted = image.truth.classes[~image.truth.flags("crowd")]
        numbers, counts = np.unique(counted[np.isin(counted, list(categories))], return_counts=True)
        if counts.size and counts.max() > most:
            images += 1
            name = categories[int(numbers[counts.argmax()])]
            largest = max(largest, (int(counts.max()), image.name, name), key=lambda one: one[0])
    if not images:
        return None
    count, name, class_name = largest
    return (
        f"{images} images have more than {most} objects of one class (at most {count} of "
        f"{class_name}, in {name}): COCO's metrics count the {most} best detections of each class "
        f"in an image (max detections), so there at most {most} of them can be found"
    )


def score(categories, pairs, rules=None):
    """Scores what was found.

    Masks are scored where any image has them on both sides.

    Args:
        categories: {id: name}.
        pairs: of `look_at`.
        rules: `Rules`; None for the usual ones.

    Returns:
        `Scored`.
    """
    rules, notes = rules or Rules(), []
    with_truth = any(len(i.truth.boxes) and i.truth.masks is not None for i, _ in pairs)
    with_found = any(len(found.boxes) and found.masks is not None for _, found in pairs)
    masks = with_truth and with_found
    if with_truth != with_found and any(len(found.boxes) for _, found in pairs):
        notes.append(MASKS_NEED_BOTH["found" if with_truth else "truth"])
    coco = CocoEvaluation(categories, boxes=True, masks=masks, all_per_category=True)
    crowded = _crowded(pairs, coco.categories, max(coco.options.settings.limits))
    notes += [crowded] if crowded else []
    kinds = coco.kinds
    judged = {kind: _empty_judgement(coco.categories) for kind in kinds}
    register = metric_images.Register()
    for image, found in pairs:
        coco.add(image.id, image.truth, found, image.height, image.width)
        if register.is_repetition(image.id, image.truth, image.height, image.width):
            continue
        for kind in kinds:
            if kind == "boxes" or image.truth.masks is not None or not len(image.truth.boxes):
                _judge(judged[kind], image, found, kind, coco.categories, rules)
    return Scored(coco, judged, rules, notes)


def worst(judgement, limit):
    """The images with the most errors, of equals those with the larger share of errors."""
    ranked = sorted(
        (seen for seen in judgement.images if seen.errors),
        key=lambda seen: (-len(seen.errors), -len(seen.errors) / len(seen.events), seen.image.id),
    )
    return ranked[:limit]


def _empty_judgement(categories):
    side = len(categories) + 1
    tallies = {number: found_errors.Tally() for number in categories}
    return Judgement(np.zeros([side, side], np.int64), tallies, Counter(), [])


def _judge(judgement, image, found, kind, categories, rules):
    """Adds one image to a `Judgement`."""
    known = list(categories)
    truth = image.truth.select(np.isin(image.truth.classes, known))
    found = found.select(found.finite() & np.isin(found.classes, known))
    if kind == "masks" and found.masks is None:
        found = found._replace(masks=[])
    iou = found_errors.overlaps(truth, found, kind)
    matching = found_errors.match(truth, found, iou, rules.iou_threshold)
    happened = found_errors.events(
        truth,
        found,
        iou,
        matching,
        threshold=rules.iou_threshold,
        min_score=rules.min_score,
        box_iou=found_errors.overlaps(truth, found, "boxes") if kind == "masks" else None,
    )
    place_of = {number: place for place, number in enumerate(known)}
    found_errors.count_into(judgement.confusion, place_of, truth, found, happened)
    judgement.errors.update(event.kind for event in happened)
    judgement.images.append(SeenImage(image._replace(truth=truth), found, happened))
    for number in {*truth.classes.tolist(), *found.classes.tolist()}:
        mine = (found.classes == number) & ~matching.in_crowd
        objects = ((truth.classes == number) & ~truth.flags("crowd")).sum()
        judgement.tallies[number].add(objects, found.scores[mine], matching.truth_of[mine] >= 0)


def words_of(event, seen, categories):
    """An event as a line for people."""
    truth, found = seen.image.truth, seen.found
    true_name = None if event.truth is None else categories[int(truth.classes[event.truth])]
    if event.found is None:
        return f"{event.kind}: {true_name}"
    name = categories[int(found.classes[event.found])]
    text = f"{event.kind}: {name} {round(100 * float(found.scores[event.found]))}%"
    if event.kind == POOR_MASK:
        return f"{text}, IoU of masks {event.iou:.2f}, of boxes {event.box_iou:.2f}"
    if true_name is not None and true_name != name:
        text += f", it is {true_name}"
    return text if event.truth is None else f"{text}, IoU {event.iou:.2f}"
