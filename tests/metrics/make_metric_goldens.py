"""Makes goldens.json: the numbers TFOD's own evaluators give for the images of `made_images`.

    PYTHONPATH=TFOD:TFOD/slim python tests/metrics/make_metric_goldens.py IMAGES.npz OUTPUT.json

IMAGES.npz is written by `python tests/metrics/make_metric_goldens.py --images IMAGES.npz` with this
repository on the path: the two packages bear one name, so it takes two runs.
"""

import json
import sys
from pathlib import Path

import numpy as np

SEEDS = (1, 2, 3)
RECALL = (0.2, 0.8)
NAMES = ("cat", "dog", "caf\u00e9 owl")


def write_images(path):
    sys.path.insert(0, str(Path(__file__).parent))
    import made_images
    from pycocotools import mask as rle_codec

    arrays = {}
    for seed in SEEDS:
        for number, truth, found in made_images.images(seed):
            fields = truth._asdict() | {f"found_{k}": v for k, v in found._asdict().items()}
            labels = fields.pop("labels")
            fields |= {f"labels_{k}": sorted(v) for k, v in labels._asdict().items()}
            masks = [rle_codec.decode(mask) for mask in found.masks]
            fields["found_masks"] = np.stack(masks) if masks else made_images.empty_masks()
            arrays |= {f"{seed}/{number}/{k}": np.asarray(v) for k, v in fields.items()}
    np.savez_compressed(path, **arrays)


def tfod_numbers(path, output):
    # TFOD was written for a NumPy that had these.
    np.float, np.bool, np.NAN = float, bool, np.nan
    arrays = dict(np.load(path))
    goldens = {}
    for seed in SEEDS:
        rows = {}
        for name, value in arrays.items():
            this, number, field = name.split("/")
            if int(this) == seed:
                rows.setdefault(int(number), {})[field] = value
        goldens[str(seed)] = {name: numbers_of(name, rows) for name in evaluators()}
    Path(output).write_text(json.dumps(goldens, indent=1, sort_keys=True) + "\n")


def evaluators():
    from object_detection import eval_util

    return [
        name
        for name in eval_util.EVAL_METRICS_CLASS_DICT
        if not name.startswith(("coco_keypoint", "coco_panoptic"))
    ]


def numbers_of(name, rows):
    from object_detection import eval_util

    frequencies = ("f", "c", "r")
    categories = [
        {"id": k + 1, "name": text, "frequency": frequencies[k]} for k, text in enumerate(NAMES)
    ]
    options = {}
    if name == "precision_at_recall_detection_metrics":
        options = {"recall_lower_bound": RECALL[0], "recall_upper_bound": RECALL[1]}
    evaluator = eval_util.EVAL_METRICS_CLASS_DICT[name](categories, **options)
    for number, row in sorted(rows.items()):
        evaluator.add_single_ground_truth_image_info(number, truth_of(row, name))
        evaluator.add_single_detected_image_info(number, found_of(row))
    return {key: nothing_for_nan(value) for key, value in evaluator.evaluate().items()}


def truth_of(row, name):
    from object_detection.core import standard_fields

    fields = standard_fields.InputDataFields
    truth = {
        fields.groundtruth_boxes: row["boxes"],
        fields.groundtruth_classes: row["classes"].astype(np.int64),
        fields.groundtruth_area: row["area"],
        fields.groundtruth_difficult: row["difficult"],
        fields.groundtruth_group_of: row["group_of"],
        fields.groundtruth_instance_masks: row["masks"],
        fields.groundtruth_image_classes: row["labels_verified"].astype(np.int64),
        fields.groundtruth_verified_neg_classes: k_hot(row["labels_negative"]),
        fields.groundtruth_not_exhaustive_classes: k_hot(row["labels_not_exhaustive"]),
    }
    if name.startswith("coco"):
        truth[fields.groundtruth_is_crowd] = row["crowd"].astype(np.int64)
    return truth


def found_of(row):
    from object_detection.core import standard_fields

    fields = standard_fields.DetectionResultFields
    return {
        fields.detection_boxes: row["found_boxes"],
        fields.detection_scores: row["found_scores"],
        fields.detection_classes: row["found_classes"].astype(np.int64),
        fields.detection_masks: row["found_masks"],
    }


def k_hot(numbers):
    marks = np.zeros(len(NAMES) + 1, np.float32)
    marks[numbers.astype(np.int64)] = 1
    return marks


def nothing_for_nan(value):
    return None if np.isnan(value) else float(value)


if __name__ == "__main__":
    if sys.argv[1] == "--images":
        write_images(sys.argv[2])
    else:
        tfod_numbers(*sys.argv[1:])
