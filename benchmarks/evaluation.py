"""How long an evaluation of masks takes, from what a model gives to the metrics.

    python benchmarks/evaluation.py --images 500
    python benchmarks/evaluation.py --images 500 --tfod_python=PYTHON --tfod_path=TFOD:TFOD/slim

Every image is 640 x 480, has 7 objects and 100 detections with masks of 33 x 33 in their boxes, of
90 classes. Ways, all in one run and on the same input:

    ours          with each engine that is installed
    full size     masks pasted into the whole image, encoded and scored by pycocotools alone
    TFOD          its `reframe_box_masks_to_image_masks` and `CocoMaskEvaluator`, in the Python and
                  with the PYTHONPATH given (TFOD 2.8 cannot share ours)

Printed are milliseconds an image (adding truth, adding detections, evaluating; making the input is
not counted), the ratio to ours, and whether the metrics are equal. (To 1e-16 where TFOD has
NumPy 1: it takes the mean of the same numbers with another last digit than NumPy 2.)
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

HEIGHT, WIDTH, OBJECTS, DETECTIONS, SIDE, CLASSES = 480, 640, 7, 100, 33, 90
SIZE = np.array([HEIGHT, WIDTH, HEIGHT, WIDTH], np.float32)
ORDER = ("truth", "detections", "evaluate")


def image_of(number):
    """(truth boxes, classes, masks; detections' boxes, scores, classes, masks) of one image."""
    draw = np.random.default_rng(number)
    truth = _boxes(draw, OBJECTS)
    classes = draw.integers(1, CLASSES + 1, OBJECTS)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) + 0.5
    masks = np.stack([_ellipse(y, x, box) <= 1 for box in truth]).astype(np.uint8)
    found, found_classes = _boxes(draw, DETECTIONS), draw.integers(1, CLASSES + 1, DETECTIONS)
    for k in range(60):  # these lie near an object
        found[k] = truth[k % OBJECTS] + draw.normal(0, 6, 4)
        if draw.random() < 0.7:
            found_classes[k] = classes[k % OBJECTS]
    low, high = np.minimum(found[:, :2], found[:, 2:]), np.maximum(found[:, :2], found[:, 2:])
    found = np.clip(np.concatenate([low, np.maximum(high, low + 2)], axis=1), 0, SIZE)
    scores = np.sort(draw.random(DETECTIONS).astype(np.float32))[::-1]
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1.0)
    shape = _ellipse(y, x, (0, 0, 1, 1)) + draw.normal(0, 0.05, [DETECTIONS, SIDE, SIDE])
    probabilities = (1 / (1 + np.exp(6 * (shape - 1)))).astype(np.float32)
    order = draw.permutation(DETECTIONS)
    return truth, classes, masks, found[order], scores, found_classes[order], probabilities


def _boxes(draw, count):
    middle = draw.uniform([40, 40], [HEIGHT - 40, WIDTH - 40], [count, 2])
    half = draw.uniform([10, 10], [120, 150], [count, 2])
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    return np.clip(boxes, 0, SIZE).astype(np.float32)


def _ellipse(y, x, box):
    """Squared distance from a box's middle, 1 on the ellipse that touches its sides."""
    ymin, xmin, ymax, xmax = box
    dy, dx = (y - (ymin + ymax) / 2) / (ymax - ymin), (x - (xmin + xmax) / 2) / (xmax - xmin)
    return 4 * (dy**2 + dx**2)


class Clock:
    """Seconds by part."""

    def __init__(self):
        self.seconds = dict.fromkeys(ORDER, 0.0)

    def time(self, part, function, *values):
        begin = time.perf_counter()
        result = function(*values)
        self.seconds[part] += time.perf_counter() - begin
        return result


def ours(images, engine):
    """(metrics, seconds by part)."""
    from object_detection.metrics.coco_evaluation import CocoEvaluation
    from object_detection.structures.instances import Instances
    from object_detection.structures.masks import Masks

    categories = {i: f"c{i}" for i in range(1, CLASSES + 1)}
    evaluation = CocoEvaluation(categories, boxes=False, masks=True, engine=engine)
    clock = Clock()
    for number in range(images):
        boxes, classes, masks, found, scores, found_classes, crops = image_of(number)
        truth = Instances(HEIGHT, WIDTH, boxes, classes, masks=Masks.from_dense(masks))
        truth = clock.time("truth", truth.encoded)
        masks = Masks.from_box_masks(crops, found, HEIGHT, WIDTH)
        detections = Instances(HEIGHT, WIDTH, found, found_classes, scores, masks)
        clock.time("detections", evaluation.add, number, truth, detections)
    return clock.time("evaluate", evaluation.evaluate), clock.seconds


def full_size(images):
    """The same with a mask of the image's size for each detection."""
    from pycocotools import mask as rle_codec

    from object_detection.metrics.coco_evaluation import CocoEvaluation
    from object_detection.structures.instances import Instances
    from object_detection.structures.masks import Masks, paste_mask

    def encode(masks):
        codes = [rle_codec.encode(np.asfortranarray(mask)) for mask in masks]
        return Masks.from_checked_rle(codes, HEIGHT, WIDTH)

    def add(number, truth, found, scores, classes, crops):
        pasted = [
            (paste_mask(crop, box, HEIGHT, WIDTH) > 0.5).astype(np.uint8)
            for crop, box in zip(crops, found, strict=True)
        ]
        detections = Instances(HEIGHT, WIDTH, found, classes, scores, encode(pasted))
        evaluation.add(number, truth, detections)

    categories = {i: f"c{i}" for i in range(1, CLASSES + 1)}
    evaluation = CocoEvaluation(categories, boxes=False, masks=True, engine="pycocotools")
    clock = Clock()
    for number in range(images):
        boxes, classes, masks, *rest = image_of(number)
        codes = clock.time("truth", encode, masks)
        truth = Instances(HEIGHT, WIDTH, boxes, classes, masks=codes)
        clock.time("detections", add, number, truth, *rest)
    return clock.time("evaluate", evaluation.evaluate), clock.seconds


def tfod(images):
    """TFOD's own; runs in its Python."""
    import tensorflow as tf

    from object_detection.metrics import coco_evaluation
    from object_detection.utils import ops

    @tf.function
    def full_masks(crops, boxes):
        masks = ops.reframe_box_masks_to_image_masks(crops, boxes, HEIGHT, WIDTH)
        return tf.cast(masks > 0.5, tf.uint8)

    def add_truth(number, boxes, classes, masks):
        evaluator.add_single_ground_truth_image_info(
            number,
            {
                "groundtruth_boxes": boxes,
                "groundtruth_classes": classes,
                "groundtruth_instance_masks": masks,
                "groundtruth_is_crowd": np.zeros(len(boxes), np.int32),
            },
        )

    def add_found(number, boxes, scores, classes, crops):
        evaluator.add_single_detected_image_info(
            number,
            {
                "detection_boxes": boxes,
                "detection_scores": scores,
                "detection_classes": classes,
                "detection_masks": full_masks(crops, boxes / SIZE).numpy(),
            },
        )

    categories = [{"id": i, "name": f"c{i}"} for i in range(1, CLASSES + 1)]
    evaluator = coco_evaluation.CocoMaskEvaluator(categories)
    full_masks(np.zeros([DETECTIONS, SIDE, SIDE], np.float32), np.zeros([DETECTIONS, 4], "f"))
    clock = Clock()
    for number in range(images):
        boxes, classes, masks, *rest = image_of(number)
        clock.time("truth", add_truth, number, boxes, classes, masks)
        clock.time("detections", add_found, number, *rest)
    return clock.time("evaluate", evaluator.evaluate), clock.seconds


def tfod_apart(images, options):
    """`tfod` in the other Python."""
    command = [options.tfod_python, os.path.abspath(__file__), f"--images={images}", "--only_tfod"]
    environment = {**os.environ, "PYTHONPATH": options.tfod_path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"TFOD's evaluation failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--tfod_python", help="the Python that has TFOD's requirements")
    parser.add_argument("--tfod_path", default="", help="its PYTHONPATH")
    parser.add_argument("--only_tfod", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_tfod:
        metrics, seconds = tfod(options.images)
        print(json.dumps([{k: float(v) for k, v in metrics.items()}, seconds]))
        return
    from object_detection.metrics import coco_engine

    engines = coco_engine.ENGINES[coco_engine.ENGINES.index(coco_engine.default_engine()) :]
    ways = {f"ours, {name}": lambda name=name: ours(options.images, name) for name in engines}
    ways["full size, pycocotools"] = lambda: full_size(options.images)
    if options.tfod_python:
        ways["TFOD"] = lambda: tfod_apart(options.images, options)
    print(f"{options.images} images; load {os.getloadavg()[0]:.1f}; ms an image")
    print(f"{'':<24}" + "".join(f"{part:>12}" for part in ORDER) + "       total   ratio  equal")
    first = None
    for name, way in ways.items():
        metrics, seconds = way()
        total = sum(seconds.values())
        first = first or (metrics, total)
        largest = max(abs(metrics[key] - first[0][key]) for key in first[0])
        equal = "yes" if largest == 0 else f"to {largest:.1e}"
        times = [seconds[part] / options.images * 1e3 for part in ORDER]
        cells = "".join(f"{ms:12.2f}" for ms in [*times, sum(times)])
        print(f"{name:<24}{cells}{total / first[1]:8.1f}  {equal}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}; mask mAP {first[0]['DetectionMasks_Precision/mAP']:.4f}")


if __name__ == "__main__":
    main()
