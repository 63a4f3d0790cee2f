"""COCO's numbers against pycocotools' own way from json files, and one engine against the other."""

import contextlib
import importlib.util
import io
import json

import made_images
import numpy as np
import pytest
from made_instances import add, annotated, detected
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from reference import REFERENCE, needs_reference

from object_detection.metrics import coco_engine
from object_detection.metrics.coco_evaluation import CocoEvaluation

NAMES = {1: "cat", 2: "dog", 3: "owl"}
TINY = "data/sets/tiny_coco_lz/tiny_coco/annotations/instances_{}2017.json"
needs_hotcoco = pytest.mark.skipif(
    importlib.util.find_spec("hotcoco") is None, reason="hotcoco is not installed"
)
engines = pytest.mark.parametrize(
    "engine", ["pycocotools", pytest.param("hotcoco", marks=needs_hotcoco)]
)


def quietly(function, *values):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*values)


def stats_of(truth, results, kind, tmp_path):
    """pycocotools' twelve numbers of a ground truth and a list of results, through its loaders."""
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(results))
    loaded = quietly(COCO, str(tmp_path / "truth.json"))
    found = quietly(loaded.loadRes, str(tmp_path / "found.json"))
    run = COCOeval(loaded, found, "bbox" if kind == "boxes" else "segm")
    for step in (run.evaluate, run.accumulate, run.summarize):
        quietly(step)
    return run.stats.tolist()


def as_text(rle):
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def random_set(seed, count=20):
    """(images for an evaluation, COCO truth, COCO results) of one random set."""
    images, truth, results = [], {"images": [], "annotations": []}, []
    truth["categories"] = [{"id": i, "name": name} for i, name in NAMES.items()]
    for number, objects, found in made_images.images(seed, count):
        images.append((number, objects, found))
        size = {"height": made_images.HEIGHT, "width": made_images.WIDTH}
        truth["images"].append({"id": number, **size})
        for k, (ymin, xmin, ymax, xmax) in enumerate(objects.boxes.astype(float).tolist()):
            box = [xmin, ymin, xmax - xmin, ymax - ymin]
            mask = objects.masks.to_rle()[k]
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": int(objects.classes[k]),
                    "bbox": box,
                    "area": float(objects.area[k]) or box[2] * box[3],
                    "iscrowd": int(objects.crowd[k]),
                    "segmentation": as_text(mask),
                }
            )
        for k, (ymin, xmin, ymax, xmax) in enumerate(found.boxes.astype(float).tolist()):
            results.append(
                {
                    "image_id": number,
                    "category_id": int(found.classes[k]),
                    "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                    "score": float(found.scores[k]),
                    "segmentation": as_text(found.masks.to_rle()[k]),
                }
            )
    return images, truth, results


@engines
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_random_sets_have_pycocotools_numbers(seed, engine, tmp_path):
    images, truth, results = random_set(seed)
    assert any(a["iscrowd"] for a in truth["annotations"])
    size = (made_images.HEIGHT, made_images.WIDTH)
    evaluation = CocoEvaluation(NAMES, boxes=True, masks=True, engine=engine)
    for number, objects, found in images:
        add(evaluation, number, objects, found, *size)

    numbers = list(evaluation.evaluate().values())

    boxes = [{k: v for k, v in r.items() if k != "segmentation"} for r in results]
    masks = [{k: v for k, v in r.items() if k != "bbox"} for r in results]
    assert numbers[:12] == stats_of(truth, boxes, "boxes", tmp_path)
    assert numbers[12:] == stats_of(truth, masks, "masks", tmp_path)


@needs_reference
@engines
@pytest.mark.parametrize("split", ["train", "val"])
def test_real_images_with_crowds_have_pycocotools_numbers(split, engine, tmp_path):
    """The ground truth, shifted and rescored, as detections."""
    path = REFERENCE / TINY.format(split)
    truth = json.loads(path.read_text())
    loaded = quietly(COCO, str(path))
    draw = np.random.default_rng(5)
    names = {c["id"]: c["name"] for c in truth["categories"]}
    evaluation = CocoEvaluation(names, boxes=True, masks=True, engine=engine)
    boxes, masks = [], []
    for image in truth["images"]:
        height, width = image["height"], image["width"]
        objects = loaded.loadAnns(loaded.getAnnIds(image["id"]))
        found = perturbed(objects, loaded, draw)
        add(evaluation, image["id"], truth_of(objects, loaded, height, width), found, height, width)
        for k, (ymin, xmin, ymax, xmax) in enumerate(found.boxes.tolist()):
            entry = {"image_id": image["id"], "category_id": int(found.classes[k])}
            entry["score"] = float(found.scores[k])
            boxes.append({**entry, "bbox": [xmin, ymin, xmax - xmin, ymax - ymin]})
            masks.append({**entry, "segmentation": as_text(found.masks.to_rle()[k])})

    numbers = list(evaluation.evaluate().values())

    # Boxes here are corners; widths come back with the rounding of a subtraction.
    for annotation in truth["annotations"]:
        x, y, width, height = annotation["bbox"]
        annotation["bbox"] = [x, y, (x + width) - x, (y + height) - y]
    assert sum(a["iscrowd"] for a in truth["annotations"]) > 0
    assert 0.05 < numbers[0] < 0.95 and 0.05 < numbers[12] < 0.95
    assert numbers[:12] == stats_of(truth, boxes, "boxes", tmp_path)
    assert numbers[12:] == stats_of(truth, masks, "masks", tmp_path)


def perturbed(objects, loaded, draw):
    boxes, classes, masks = [], [], []
    for annotation in objects:
        for _ in range(2):
            x, y, width, height = annotation["bbox"]
            x, y = x + draw.normal(0, 0.06) * width, y + draw.normal(0, 0.06) * height
            boxes.append([y, x, y + height * draw.uniform(0.85, 1.1), x + width])
            classes.append(annotation["category_id"])
            mask = np.roll(loaded.annToMask(annotation), draw.integers(-4, 5, 2), (0, 1))
            masks.append(rle_codec.encode(np.asfortranarray(mask)))
    scores = draw.random(len(boxes)).round(3)  # some are equal
    return detected(np.array(boxes).reshape(-1, 4), scores, np.array(classes, int), masks)


def truth_of(objects, loaded, height, width):
    boxes = np.array([a["bbox"] for a in objects], float).reshape(-1, 4)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return annotated(
        boxes=corners[:, [1, 0, 3, 2]],
        classes=np.array([a["category_id"] for a in objects], int),
        crowd=np.array([a["iscrowd"] for a in objects], bool),
        area=np.array([a["area"] for a in objects], float),
        masks=np.array([loaded.annToMask(a) for a in objects], np.uint8).reshape(-1, height, width),
    )


@needs_hotcoco
@pytest.mark.parametrize("kind", ["boxes", "masks"])
@pytest.mark.parametrize(
    "settings",
    [
        coco_engine.Settings(),
        coco_engine.Settings(
            iou_thresholds=(0.3, 0.625, 0.9),
            areas=(coco_engine.AreaRange("all", 0, 1e10), coco_engine.AreaRange("tiny", 0, 150.5)),
            limits=(2, 7),
        ),
    ],
)
def test_the_engines_give_the_same_arrays(settings, kind):
    images, _, _ = random_set(21, count=30)
    arrays = []
    for engine in coco_engine.ENGINES:
        evaluation = CocoEvaluation(NAMES, boxes=True, masks=True, settings=settings, engine=engine)
        for number, objects, found in images:
            add(evaluation, number, objects, found, made_images.HEIGHT, made_images.WIDTH)
        arrays.append(evaluation.arrays(kind))

    for name in coco_engine.Arrays._fields:
        first, second = (getattr(found, name) for found in arrays)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    assert (arrays[0].precision > 0).any()


@engines
def test_settings_change_what_is_read(engine):
    box = [[0, 0, 20, 20]]
    settings = coco_engine.Settings(
        iou_thresholds=(0.3, 0.6),
        areas=(coco_engine.Settings().areas[0], coco_engine.AreaRange("tiny", 0, 100)),
        limits=(1, 2),
    )
    evaluation = CocoEvaluation(NAMES, settings=settings, engine=engine)
    truth = annotated(np.array(box * 2, float), np.array([1, 1]))
    # Half of the object: IoU .5. The second one of three detections is beyond no limit, the third
    # is.
    found = np.array([[0, 0, 20, 10]] * 3, float)
    detections = detected(found, np.array([0.9, 0.8, 0.7]), np.array([1, 1, 1]))
    add(evaluation, "a", truth, detections, 99, 99)

    numbers = {
        name.removeprefix("DetectionBoxes_"): value for name, value in evaluation.evaluate().items()
    }

    assert numbers == {
        "Precision/mAP": 0.5,
        "Precision/mAP@.30IOU": 1.0,
        "Precision/mAP@.60IOU": 0.0,
        "Precision/mAP (tiny)": -1.0,
        "Recall/AR@1": 0.25,
        "Recall/AR@2": 0.5,
        "Recall/AR@2 (tiny)": -1.0,
    }
    assert "n/a: no object of the ground truth is tiny (area 0 to 100 px)" in evaluation.table()
    assert "AP  @.60" in evaluation.table()


def test_an_engine_that_does_not_exist():
    evaluation = CocoEvaluation(NAMES, engine="abacus")
    with pytest.raises(ValueError, match="no engine 'abacus'; there are hotcoco, pycocotools"):
        evaluation.evaluate()


def test_more_masks_than_pycocotools_counts_at_once():
    mask = np.zeros([1, 9, 9], np.uint8)
    mask[:, 2:5, 2:5] = 1
    many = 300
    boxes = np.tile(np.array([[2.0, 2, 5, 5]]), (many, 1))
    rle = rle_codec.encode(np.asfortranarray(mask[0]))
    found = detected(boxes, np.linspace(1, 0, many), np.ones(many, int), [rle] * many)
    evaluation = CocoEvaluation(NAMES, boxes=False, masks=True)
    add(evaluation, "a", annotated(boxes[:1], np.array([1]), masks=mask), found, 9, 9)

    assert evaluation.evaluate()["DetectionMasks_Precision/mAP"] == pytest.approx(1)


def test_only_classes_that_an_image_names_count_on_request():
    from object_detection.structures.instances import ImageLabels

    box, far = [0.0, 0, 20, 20], [50.0, 50, 70, 70]
    truth = annotated(np.array([box]), np.array([1]), labels=ImageLabels(frozenset({1, 2})))
    found = detected(np.array([far, box]), np.array([0.9, 0.8]), np.array([3, 1]))
    for verified_only, left_out in ((None, 0), (True, 1)):
        evaluation = CocoEvaluation(NAMES, verified_only=verified_only)
        add(evaluation, "a", truth, found, 99, 99)
        assert evaluation.unverified == left_out
    assert "1 detections left out: their image says nothing of their class" in evaluation.table()
