"""Mask targets of real sets: from masks stored cut at their extent, and from whole ones."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from reference import REFERENCE, needs_reference
from test_pipeline import READ

from object_detection.data import pipeline, reading
from object_detection.data.decoder import DecoderOptions
from object_detection.data.report import InputReport
from object_detection.ops import image, masks

# Folder of images and json of each set.
SETS = {
    "nuclei256": ("images", "instances_val.json"),
    "nuts": ("data/images", "data/trainval.json"),
}


def convert(name, storage, folder):
    images, annotations = (REFERENCE / "data" / "sets" / name / part for part in SETS[name])
    done = subprocess.run(
        [sys.executable, "-m", "object_detection.dataset_tools.create_coco_tf_record"]
        + ["--include_masks", "--num_shards=1", f"--mask_storage={storage}"]
        + [f"--train_image_dir={images}", f"--train_annotations_file={annotations}"]
        + [f"--output_dir={folder}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.record-00000-of-00001")
    return str(path)


def batches(path, **options):
    built = pipeline.build(
        reading.Sources([[path]], [], READ),
        DecoderOptions(num_classes=3, class_ids={}, load_masks=True),
        pipeline.PipelineOptions(1, 300, image.KeepAspectRatio(600, 1024), **options),
        InputReport(),
    )
    return iter(built)


def targets(batch, boxes, index):
    """[n, 33, 33] of boxes, each with the object of this index."""
    truth = batch.truth
    return masks.mask_target_rows(
        truth.masks,
        batch.images.true_shape,
        tf.shape(batch.images.pixels)[1:3],
        boxes,
        tf.zeros_like(index),  # all of the first image
        index,
        (33, 33),
    ).numpy()


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_targets_differ_by_nothing(name, tmp_path):
    found = {}
    for storage in ("png", "box"):
        (tmp_path / storage).mkdir()
        found[storage] = batches(
            convert(name, storage, tmp_path / storage), crop_masks=storage == "box"
        )
    rng, objects, worst = np.random.default_rng(0), 0, 0.0
    for whole, cut in zip(found["png"], found["box"], strict=True):
        count = int(tf.reduce_sum(tf.cast(whole.truth.valid, tf.int32)))
        if not count:
            continue
        own = whole.truth.boxes[0, :count].numpy()
        sides = np.tile(own[:, 2:] - own[:, :2], 2)
        moved = own + rng.uniform(-0.2, 0.2, own.shape) * sides  # as proposals lie
        boxes = tf.constant(np.concatenate([own, moved]), tf.float32)
        index = tf.tile(tf.range(count), [2])
        one, other = (targets(batch, boxes, index) for batch in (whole, cut))
        worst = max(worst, float(np.abs(one - other).mean(axis=(1, 2)).max()))
        objects += count
        assert one.max() > 0.5
    print(f"{name}: {objects} objects, worst mean absolute difference {worst}")
    assert objects > 100 and worst == 0
