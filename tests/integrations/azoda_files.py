"""azoda's files for tests: its folders, CSVs and JSONs, small."""

import csv
import json

import numpy as np
from PIL import Image

HEADER = ("filename", "xmin", "ymin", "xmax", "ymax", "segmentation", "class")
EXAMPLE_ROW = ("xxx.jpg", 422, 426, 424, 428, "[[423, 426, 422, 427, 424, 428]]", "name")
EXPERIMENT = {
    "ENV_CONFIG_FILE": "dev_config.json",
    "DESCRIPTION": "a try",
    "EXP_NAME": "shapes",
    "COMPUTE_NAME": "cluster",
    "DOCKER_IMAGE_NAME": "tfod_tf2:latest",
    "TF_VERSION": 2,
    "DATA_MOUNT": "store",
    "IMAGE_TYPE": "shapes_mask",
    "TRAIN_CSV": "latest",
    "TEST_CSV": "latest",
    "EVAL_CONF": 0.5,
    "RUN_PARAMS": {"STEPS": 1000},
    "MODEL_PARAMS": {
        "BASE_MODEL": "mask_rcnn_tiny",
        "FIRST_STAGE": {
            "STRIDE": 16,
            "NMS_IOU_THRESHOLD": 0.5,
            "NMS_SCORE_THRESHOLD": 0.0,
            "MAX_PROPOSALS": 200,
            "LOCALIZATION_LOSS_WEIGHT": 2.0,
            "OBJECTNESS_LOSS_WEIGHT": 1.0,
        },
    },
    "HYPERTUNE": False,
    "NODES": 3,
}
OLD_DEPLOYMENT = {
    "ENV_CONFIG_FILE": "dev_config.json",
    "EXPERIMENT": "",
    "RUN_ID": "",
    "TF_VERSION": 2,
    "USE_ACI": True,
    "IMAGE_TYPE": "usecase_mask",
    "COMPUTE_TARGET_NAME": "",
    "REG_MODEL": False,
}
NEW_DEPLOYMENT = {
    "ENV_CONFIG_FILE": "dev_config.json",
    "EXPERIMENT": "",
    "RUN_ID": "",
    "TF_VERSION": 2,
    "REG_MODEL": True,
    "IMAGE_TYPE": "usecase_mask",
    "ACI_PARAMS": {"USE_ACI": True, "ACI_AUTH": True},
    "AKS_PARAMS": {"USE_AKS": False, "VM_TYPE": "Standard_NC6", "COMPUTE_TARGET_NAME": ""},
}


def write_json(path, content, **changes):
    """Writes a JSON as azoda's editors do, one key a line; gives its path."""
    path.write_text(json.dumps(content | changes, indent=4))
    return path


def write_csv(path, rows, header=HEADER, bom=True):
    """Writes a CSV with the mark at its beginning that azoda's samples have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def row_of(name, box, class_name, polygon=None):
    """A row of a box (xmin, ymin, xmax, ymax), its polygon the box's corners unless given."""
    xmin, ymin, xmax, ymax = box
    corners = [[xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]]
    return (name, *box, str(corners if polygon is None else polygon), class_name)


def make_store(folder, *, image_type="shapes_mask", stamp="211121120000", side=64):
    """A data store with two training images and one test image of bright rectangles.

    Returns:
        {split: rows} of what was written.
    """
    images = folder / image_type / "images"
    images.mkdir(parents=True)
    boxes = {"a.jpg": (8, 8, 40, 30), "b.jpg": (20, 24, 60, 56), "c.jpg": (10, 30, 44, 60)}
    for name, (xmin, ymin, xmax, ymax) in boxes.items():
        pixels = np.full((side, side, 3), 40, np.uint8)
        pixels[ymin:ymax, xmin:xmax] = 220
        Image.fromarray(pixels).save(images / name, quality=95)
    rows = {
        "train": [row_of("a.jpg", boxes["a.jpg"], "tile"), row_of("b.jpg", boxes["b.jpg"], "disc")],
        "test": [row_of("c.jpg", boxes["c.jpg"], "tile")],
    }
    for split, result in rows.items():
        write_csv(folder / image_type / "datasets" / f"{split}_{image_type}_{stamp}.csv", result)
    return rows
