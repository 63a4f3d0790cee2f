"""Random truths and detections of small images, for tests that compare two ways of scoring."""

import numpy as np
from made_instances import annotated, detected
from pycocotools import mask as rle_codec

from object_detection.structures.instances import ImageLabels

HEIGHT, WIDTH = 48, 64


def images(seed, count=12, classes=3, detections=14):
    """(id, annotated and detected `Instances`) of images with every kind of object, some empty."""
    draw = np.random.default_rng(seed)
    for number in range(1, count + 1):
        objects = 0 if draw.random() < 0.15 else int(draw.integers(1, 7))
        truth = truth_of(draw, objects, classes)
        yield number, truth, found_of(draw, truth, 0 if number == 3 else detections, classes)


def truth_of(draw, objects, classes):
    boxes = random_boxes(draw, objects)
    masks = np.stack([ellipse(box) for box in boxes]) if objects else empty_masks()
    masks[draw.random(objects) < 0.15] = 0  # known by box alone
    numbers = np.arange(1, classes + 1)
    return annotated(
        boxes=boxes,
        height=HEIGHT,
        width=WIDTH,
        classes=draw.integers(1, classes + 1, objects),
        crowd=draw.random(objects) < 0.15,
        difficult=draw.random(objects) < 0.2,
        area=np.where(draw.random(objects) < 0.3, draw.uniform(20, 2000, objects), 0.0),
        masks=masks,
        group_of=draw.random(objects) < 0.25,
        labels=ImageLabels(*(frozenset(numbers[draw.random(classes) < 0.5]) for _ in range(3))),
    )


def found_of(draw, truth, count, classes):
    boxes = random_boxes(draw, count)
    numbers = draw.integers(1, classes + 1, count)
    for k in range(count):
        if len(truth.boxes) and draw.random() < 0.7:
            target = int(draw.integers(len(truth.boxes)))
            boxes[k] = truth.boxes[target] + draw.normal(0, 1.5, 4)
            if draw.random() < 0.8:
                numbers[k] = truth.classes[target]
    boxes = clipped(boxes)
    scores = draw.permutation(np.linspace(0.05, 0.95, max(count, 1)))[:count]
    scores = (scores + draw.uniform(0, 0.01, count)).astype(np.float32)
    masks = [rle_codec.encode(np.asfortranarray(ellipse(box))) for box in boxes]
    return detected(boxes, scores, numbers, masks, HEIGHT, WIDTH)


def random_boxes(draw, count):
    low = draw.uniform([0, 0], [HEIGHT * 0.7, WIDTH * 0.7], [count, 2])
    boxes = np.concatenate([low, low + draw.uniform(5, 30, [count, 2])], axis=1)
    return clipped(boxes.astype(np.float32))


def clipped(boxes):
    return np.clip(boxes, 0, [HEIGHT, WIDTH, HEIGHT, WIDTH]).astype(np.float32)


def ellipse(box):
    """A mask of the image's size inside a box."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    ymin, xmin, ymax, xmax = box
    dy, dx = (y - (ymin + ymax) / 2) / (ymax - ymin), (x - (xmin + xmax) / 2) / (xmax - xmin)
    return ((dy**2 + dx**2) <= 0.25).astype(np.uint8)


def empty_masks():
    return np.zeros([0, HEIGHT, WIDTH], np.uint8)
