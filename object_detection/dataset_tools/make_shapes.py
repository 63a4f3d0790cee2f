"""Makes a small synthetic data set with exact masks: shapes on photo-like ground, as COCO.

    python dataset_tools/make_shapes.py --output_dir=shapes

It writes `train/*.jpg` and `train.json`, `val/*.jpg` and `val.json`: 1 to 6 overlapping discs,
boxes, triangles and stars an image, in sizes 1 to 4. The two splits come from different seeds; the
same seed makes the same set.
"""

import json
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image
from pycocotools import mask as coco_mask
from tqdm import tqdm

from object_detection import atomic
from object_detection.cli import runner
from object_detection.dataset_tools import shape_scenes
from object_detection.datasets import records

FLAGS = flags.FLAGS
SPLITS = ("train", "val")
QUALITY = 92  # of the JPEG files


def make_split(output_dir, split, count, *, size, seed):
    """Writes one split.

    Args:
        output_dir: folder of the data set.
        split: 'train' or 'val'.
        count: how many images.
        size: side of an image in pixels.
        seed: of the whole set; each split and image has its own within it.

    Returns:
        Path of the COCO json.
    """
    folder = Path(output_dir) / split
    folder.mkdir(parents=True, exist_ok=True)
    ids = {kind: number for number, kind in enumerate(shape_scenes.KINDS, start=1)}
    content = {
        "info": {"description": f"synthetic shapes, {split}, seed {seed}"},
        "categories": [{"id": number, "name": kind} for kind, number in ids.items()],
        "images": [],
        "annotations": [],
    }
    for number in tqdm(range(1, count + 1), split, unit="image", disable=None):
        scene = shape_scenes.draw((seed, SPLITS.index(split), number), size)
        name = f"{split}_{number:05d}.jpg"
        with atomic.replacing(folder / name) as partial:
            Image.fromarray(scene.pixels).save(partial, "JPEG", quality=QUALITY)
        content["images"].append({"id": number, "file_name": name, "height": size, "width": size})
        for kind, mask in zip(scene.kinds, scene.masks, strict=True):
            key = len(content["annotations"]) + 1
            annotation = {"id": key, "image_id": number, "category_id": ids[kind], "iscrowd": 0}
            content["annotations"].append(annotation | _of_mask(mask))
    path = Path(output_dir) / f"{split}.json"
    records.write_text(path, json.dumps(content))
    return path


def _of_mask(mask):
    """The fields of a COCO annotation that its mask decides."""
    runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {
        "segmentation": {
            "size": [int(side) for side in runs["size"]],
            "counts": runs["counts"].decode(),
        },
        "bbox": [float(number) for number in coco_mask.toBbox(runs)],
        "area": int(mask.sum()),
    }


def define_flags():
    flags.DEFINE_string("output_dir", None, "Where the data set goes.", required=True)
    flags.DEFINE_integer("num_train", 240, "Images of the train split.", 1)
    flags.DEFINE_integer("num_val", 48, "Images of the val split.", 1)
    flags.DEFINE_integer("size", 256, "Side of an image in pixels.", 64)
    flags.DEFINE_integer("seed", 0, "The same seed makes the same set.", 0)


def main(_):
    for split, count in zip(SPLITS, (FLAGS.num_train, FLAGS.num_val), strict=True):
        path = make_split(FLAGS.output_dir, split, count, size=FLAGS.size, seed=FLAGS.seed)
        print(f"{split}: {count} images, {path}")


def run():
    """The command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
