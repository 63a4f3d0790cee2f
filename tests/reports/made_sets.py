"""Images with detections, to be evaluated: random ones, and one of each error. For tests."""

import contextlib
import io
import json

import numpy as np
from made_instances import annotated, detected
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

NASTY = "</script><b>\"cat\" & 'Ärger'"  # a class that would break a careless page
SIZES = {str(number): (60, 80) for number in (1, 2, 3)}
CATEGORIES = [(1, "dog"), (7, NASTY), (9, "nobody")]


def random_images(seed, count=25):
    """List of (annotated and detected `Instances`) of one class, with crowds and empty images."""
    draw = np.random.default_rng(seed)
    images = []
    for number in range(count):
        low = draw.uniform(0, 60, [number % 5, 2])
        boxes = np.concatenate([low, low + draw.uniform(18, 40, low.shape)], axis=1)
        again = (
            boxes[draw.integers(len(boxes), size=5)]
            if len(boxes)
            else np.float64([[9, 9, 30, 30]] * 5)
        )
        found = again + draw.normal(0, 3, again.shape)
        truth = annotated(boxes, np.ones(len(boxes), int), crowd=draw.random(len(boxes)) < 0.2)
        images.append((truth, detected(found, draw.random(5), np.ones(5, int))))
    return images


def coco_right(images):
    """Sorted (score, whether right) of detections that pycocotools counts at IoU 0.5."""
    truths, results = [], []
    for number, (truth, found) in enumerate(images, 1):
        for box, crowd in zip(truth.boxes, truth.crowd, strict=True):
            truths.append(_entry(number, box, len(truths) + 1, iscrowd=int(crowd)))
        for box, score in zip(found.boxes, found.scores, strict=True):
            results.append(_entry(number, box, len(results) + 1, score=float(score)))
    held = []
    for annotations in (truths, results):
        holder = COCO()
        ids = [{"id": number} for number in range(1, len(images) + 1)]
        holder.dataset = {"images": ids, "categories": [{"id": 1}], "annotations": annotations}
        held.append(holder)
    with contextlib.redirect_stdout(io.StringIO()):
        for holder in held:
            holder.createIndex()
        run = COCOeval(*held, iouType="bbox")
        run.evaluate()
    counted = []
    for image in run.evalImgs[: len(images)]:  # the first area range: all
        if image is None:
            continue
        kept = zip(image["dtScores"], image["dtMatches"][0], image["dtIgnore"][0], strict=True)
        counted += [(score, match > 0) for score, match, ignored in kept if not ignored]
    return sorted(counted)


def _entry(number, box, identity, **more):
    y, x, bottom, right = box.tolist()
    extent = [x, y, right - x, bottom - y]
    area = {"area": extent[2] * extent[3]}
    return {"id": identity, "image_id": number, "category_id": 1, "bbox": extent} | area | more


def write_coco(folder, *, masks=True):
    """Writes truth.json, results.json and images: every error once, in images of 60 x 80.

    Image 1 is faultless; 2 has a missed, a false and a double; 3 a wrong class and, with masks,
    a poor one, and its file is missing.
    """
    for number in (1, 2):
        grey = np.full((60, 80, 3), 60 * number, np.uint8)
        Image.fromarray(grey).save(folder / f"{number}.png")
    truth = [
        _object(1, 1, (5, 5, 20, 20), masks),
        _object(2, 1, (5, 5, 20, 20), masks),
        _object(2, 7, (40, 5, 20, 20), masks),
        _object(3, 1, (5, 5, 20, 20), masks),
        _object(3, 7, (40, 5, 20, 40), masks),
    ]
    found = [
        _object(1, 1, (5, 5, 20, 20), masks, score=0.9),
        _object(2, 7, (40, 5, 20, 20), masks, score=0.9),
        _object(2, 7, (41, 5, 20, 20), masks, score=0.7),
        _object(2, 1, (5, 36, 20, 20), masks, score=0.8),
        _object(3, 7, (5, 5, 20, 20), masks, score=0.9),
        _object(3, 7, (40, 5, 20, 40), masks, mask_height=15, score=0.8),
    ]
    content = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "height": 60, "width": 80}
            for number in (1, 2, 3)
        ],
        "categories": [{"id": number, "name": name} for number, name in CATEGORIES],
        "annotations": [{"id": k, "iscrowd": 0, **each} for k, each in enumerate(truth, 1)],
    }
    (folder / "truth.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(found), encoding="utf-8")


def _object(image, category, box, masks, *, mask_height=None, **more):
    x, y, width, height = box
    entry = {"image_id": image, "category_id": category, "bbox": list(box)}
    entry["area"] = width * height
    if masks:
        bottom = y + (mask_height or height)
        entry["segmentation"] = [[x, y, x + width, y, x + width, bottom, x, bottom]]
    return entry | more
