"""What a sliding window loses: a mosaic of images predicted window by window, beside each alone.

    python benchmarks/sliding_window.py --model exported --images IMAGES --annotations VAL.json

Images of one size (the most frequent one of the COCO json) are laid side by side, in an order of
their own and again and again, until --height x --width pixels are full. The whole is predicted with
--window and --overlap, what was found is cut back to the images, and each is scored against its
annotations; beside that the scores of the same images predicted alone. Windows do not lie on the
images' borders, so that an object is seen in pieces and beside another image's objects.

Of an object that reaches over the border of an image, the part in each image counts there if it is
at least --least_part of the object.

Printed are COCO's mask AP and box AP of both, their difference, objects found and seconds.
"""

import argparse
import collections
import json
import time
from pathlib import Path

import numpy as np

from object_detection.metrics.coco_evaluation import CocoEvaluation
from object_detection.prediction import pixels
from object_detection.prediction.modes import SlidingWindow
from object_detection.prediction.predictor import Predictor
from object_detection.structures.instances import Instances
from object_detection.structures.masks import CroppedMask, Masks


def read_set(annotations, folder):
    """(categories, [(path, `Instances`)] of the most frequent size, that size)."""
    content = json.loads(Path(annotations).read_text(encoding="utf-8"))
    sizes = collections.Counter((each["height"], each["width"]) for each in content["images"])
    size = sizes.most_common(1)[0][0]
    objects = collections.defaultdict(list)
    for each in content["annotations"]:
        objects[each["image_id"]].append(each)
    tiles = []
    for image in content["images"]:
        if (image["height"], image["width"]) == size:
            truth = Instances.from_coco(objects[image["id"]], *size)
            tiles.append((Path(folder) / image["file_name"], truth))
    return {each["id"]: each["name"] for each in content["categories"]}, tiles, size


def cut_back(prediction, size, rows, columns, least_part):
    """`Instances` of each tile, row by row, from the prediction of the whole."""
    height, width = size
    parts = [[] for _ in range(rows * columns)]
    for k in range(len(prediction)):
        crop, box = prediction.crop(k), prediction.boxes[k]
        total = max(1, crop.pixels.sum())
        (down, across), top, left = crop.window, crop.top, crop.left
        for row in range(top // height, (down.stop - 1) // height + 1):
            for column in range(left // width, (across.stop - 1) // width + 1):
                y, x = row * height, column * width
                low = max(y, top), max(x, left)
                high = min(y + height, down.stop), min(x + width, across.stop)
                part = crop.pixels[low[0] - top : high[0] - top, low[1] - left : high[1] - left]
                if part.sum() < max(1, least_part * total):
                    continue
                shift = np.array([y, x, y, x])
                inside = np.clip(box - shift, 0, [height, width] * 2)
                mask = CroppedMask(part, low[0] - y, low[1] - x)
                parts[row * columns + column].append((inside, k, mask))
    return [
        Instances(
            height,
            width,
            np.array([box for box, _, _ in part]).reshape(-1, 4),
            prediction.classes[[k for _, k, _ in part]].astype(np.int64),
            prediction.scores[[k for _, k, _ in part]],
            Masks([mask for _, _, mask in part], height, width),
        )
        for part in parts
    ]


def score(categories, tiles, order, found):
    """COCO's metrics of a detections list, one a place of the mosaic."""
    evaluation = CocoEvaluation(categories, masks=True)
    for place, (tile, detections) in enumerate(zip(order, found, strict=True)):
        evaluation.add(str(place), tiles[tile][1], detections)
    metrics = evaluation.evaluate()
    return {
        kind: metrics[f"Detection{name}_Precision/mAP"]
        for kind, name in (("mask AP", "Masks"), ("box AP", "Boxes"))
    }


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True, help="folder of the json's file names")
    parser.add_argument("--annotations", required=True, help="COCO json")
    parser.add_argument("--height", type=int, default=2816)
    parser.add_argument("--width", type=int, default=3840)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--min_score", type=float, default=0.05)
    parser.add_argument("--least_part", type=float, default=0.1)
    parser.add_argument("--picture", help="where the drawn mosaic goes")
    given = parser.parse_args()

    categories, tiles, size = read_set(given.annotations, given.images)
    rows, columns = given.height // size[0], given.width // size[1]
    order = np.resize(np.random.default_rng(0).permutation(len(tiles)), rows * columns)
    mode = SlidingWindow(given.window, given.window, given.overlap, given.overlap)
    predictor = Predictor(given.model, given.min_score)
    images = [pixels.read(path) for path, _ in tiles]

    begin = time.perf_counter()
    alone = predictor.predict_batch(images)
    seconds_alone = time.perf_counter() - begin
    alone = [prediction.instances.encoded() for prediction in alone]
    mosaic = np.concatenate(
        [
            np.concatenate([images[k] for k in order[row * columns : (row + 1) * columns]], axis=1)
            for row in range(rows)
        ]
    )
    predictor.mode = mode
    begin = time.perf_counter()
    prediction = predictor.predict(mosaic)
    seconds = time.perf_counter() - begin
    found = cut_back(prediction, size, rows, columns, given.least_part)

    windows = len(mode.regions(*mosaic.shape[:2]))
    print(f"mosaic {mosaic.shape[1]} x {mosaic.shape[0]} of {len(order)} places, {len(tiles)} "
          f"images of {size[1]} x {size[0]}; {windows} windows of {given.window}, overlap "
          f"{given.overlap}")  # fmt: skip
    single = score(categories, tiles, order, [alone[k] for k in order])
    joined = score(categories, tiles, order, found)
    for kind in single:
        print(f"{kind}: alone {single[kind]:.4f}, by windows {joined[kind]:.4f}, "
              f"difference {joined[kind] - single[kind]:+.4f}")  # fmt: skip
    objects = sum(len(alone[k].boxes) for k in order)
    print(f"objects: alone {objects}, by windows {len(prediction)}; seconds: {len(tiles)} images "
          f"alone {seconds_alone:.1f}, the mosaic {seconds:.1f}")  # fmt: skip
    if given.picture:
        from PIL import Image

        kept = prediction.select(prediction.scores >= 0.5)
        Image.fromarray(predictor.draw(mosaic, kept)).save(given.picture)


if __name__ == "__main__":
    main()
