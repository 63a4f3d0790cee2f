"""What a model is given: images after augmentation, resizing and padding, with their objects."""

from typing import NamedTuple

import numpy as np

from object_detection.data.report import OBJECT_REASONS
from object_detection.ops import masks as mask_ops
from object_detection.reports import object_checks
from object_detection.reports.facts import FACT, Finding, ImageFacts, severity_of
from object_detection.reports.pictures import Objects

PADDED = "image is padded"


class Given(NamedTuple):
    """One image of a batch."""

    facts: ImageFacts  # sizes in pixels of the resized image
    pixels: np.ndarray  # uint8 [H, W, 3], with its padding
    objects: Objects


def examples(pipeline, limit):
    """The first images of an input pipeline.

    Args:
        pipeline: `data.pipeline.InputPipeline`.
        limit: how many at most; no more than one epoch has.

    Yields:
        `Given`.

    Raises:
        RecordError: the pipeline gives nothing.
    """
    limit = min(limit, pipeline.count_examples())
    done = 0
    for batch in pipeline if limit else ():
        for row in range(len(batch.image_id)):
            if done < limit:
                done += 1
                yield _given(batch, row, done)
        if done >= limit:
            return


def with_reported(images, input_report):
    """The facts with what the pipeline told of their records while it gave them.

    Args:
        images: list of `ImageFacts`.
        input_report: the pipeline's `InputReport`.
    """
    told = {}
    for reason in OBJECT_REASONS:
        for name in input_report.names(reason):
            identity = name.rpartition(" (")[0]
            told.setdefault(identity, []).append(Finding(severity_of(reason), reason))
    return [image._replace(findings=(*image.findings, *told.get(image.id, ()))) for image in images]


def _given(batch, row, number):
    truth = batch.truth
    valid = truth.valid[row].numpy()
    boxes, classes = truth.boxes[row].numpy()[valid], truth.classes[row].numpy()[valid]
    crowd, difficult = truth.crowd[row].numpy()[valid], truth.difficult[row].numpy()[valid]
    size = tuple(int(side) for side in batch.images.true_shape[row])
    pixels = np.uint8(np.clip(np.rint(batch.images.pixels[row].numpy()), 0, 255))
    masks = None
    present = truth.masks and truth.masks.present
    if truth.masks is not None and (present is None or present[row].numpy()[: len(boxes)].all()):
        height, width = truth.masks.shape[row].numpy()
        whole = mask_ops.whole_masks(truth.masks).pixels[row].numpy()
        masks = whole[: len(boxes), :height, :width]
    of_masks = None if masks is None else object_checks.extents_in_image(masks, size)
    findings = object_checks.findings_of(size, boxes, classes, crowd, difficult, of_masks)
    if pixels.shape[:2] != size:
        detail = "{} x {} of {} x {} are image".format(*size, *pixels.shape[:2])
        findings.append(Finding(FACT, PADDED, detail))
    facts = ImageFacts(
        id=batch.image_id[row].numpy().decode("utf-8", "replace"),
        place=f"example {number} of the pipeline",
        size=size,
        boxes=boxes,
        classes=classes,
        crowd=crowd,
        difficult=difficult,
        mask_area=None if of_masks is None else of_masks[1],
        findings=tuple(findings),
    )
    return Given(facts, pixels, Objects(boxes, classes, masks, covers=size))
