"""A small photograph with annotations, and a look into a small network, shared by the tests."""

import json

import numpy as np
import tensorflow as tf
import tiny_models
from PIL import Image

from object_detection.structures.batch import Batch, GroundTruth
from object_detection.tour import inside

HEIGHT, WIDTH = 64, 96
LIVE_NORMS = "faster_rcnn { feature_extractor { batch_norm_trainable: true } }"
NAMES = {1: "cup", 2: "saucer", 3: "spoon"}


def write_photograph(folder):
    """photo.png and coco.json, two objects: (image, annotations)."""
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    pixels[10:50, 20:60] = (200, 40, 40)
    Image.fromarray(pixels).save(folder / "photo.png")
    boxes = {1: (20, 10, 40, 40), 2: (60, 8, 30, 48)}  # x, y, width, height
    content = {
        "images": [{"id": 1, "file_name": "photo.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": number, "name": name} for number, name in NAMES.items()],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": number,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": 0,
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
            }
            for number, (x, y, w, h) in boxes.items()
        ],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "photo.png", folder / "coco.json"


def batch_of_noise(*, with_objects=True):
    """A `Batch` of one image, 64 x 96."""
    images = tiny_models.images_of_shapes([(HEIGHT, WIDTH)])
    truth = tiny_models.truth_of([[[10, 20, 50, 60], [8, 60, 56, 90]]])
    if not with_objects:
        truth = truth._replace(
            valid=tf.zeros_like(truth.valid), classes=tf.zeros_like(truth.classes)
        )
    return Batch(images, GroundTruth(*truth), tf.constant(["1"]), tf.constant([[128, 192]]))


def network_and_look(**what):
    """A small network of random weights, and what it computes of noise."""
    network = tiny_models.network_of(LIVE_NORMS)
    batch = batch_of_noise(**what)
    return network, batch, inside.inspect_image(network, batch)
