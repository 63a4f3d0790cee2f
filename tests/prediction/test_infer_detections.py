"""Detections into records, by the command of TFOD's name, and back."""

import json
import subprocess
import sys
from pathlib import Path

import made_records
import numpy as np
import tensorflow as tf
from fake_detector import bright_rectangle

from object_detection.export import serving
from object_detection.metrics import coco_results, detection_records
from object_detection.ops import image as resizers

REPOSITORY = Path(__file__).parents[2]


def picture(box):
    image = np.full([40, 60, 3], 50, np.uint8)
    image[box[0] : box[2], box[1] : box[3]] = 255
    return made_records.image_bytes(image)


def run(*flags, cwd):
    command = [sys.executable, "-m", "object_detection.inference.infer_detections", *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_the_command(tmp_path):
    boxes = [(10, 12, 30, 42), (0, 0, 20, 30)]
    records = [
        made_records.record([(0.25, 0.2, 0.75, 0.7)], size=(40, 60), seed=k, encoded=picture(box))
        for k, box in enumerate(boxes)
    ]
    made_records.write(tmp_path / "in.record", [*records, made_records.record(encoded=b"none")])
    module = serving.module_for("image_tensor")(bright_rectangle(), resizers.Identity())
    serving.save(module, tmp_path / "saved_model")

    done = run(
        f"--input_tfrecord_paths={tmp_path}/in.record",
        f"--output_tfrecord_path={tmp_path}/out.record",
        f"--inference_graph={tmp_path}/saved_model",
        f"--output_coco_results={tmp_path}/out.json",
        "--discard_image_pixels",
        cwd=REPOSITORY,
    )

    assert done.returncode == 0, done.stderr
    assert "record 3 has no image that can be read" in done.stderr
    assert "2 images with detections in" in done.stdout
    written = list(tf.data.TFRecordDataset(f"{tmp_path}/out.record").as_numpy_iterator())
    results = coco_results.read(tmp_path / "out.json")
    for k, (serialized, box) in enumerate(zip(written, boxes, strict=True)):
        assert "image/encoded" not in tf.train.Example.FromString(serialized).features.feature
        image = detection_records.parse(serialized, load_masks=True)
        assert image.image_id == f"id-{k}" and len(image.truth.boxes) == 1
        np.testing.assert_allclose(image.detections.boxes, [box], atol=1e-4)
        assert image.detections.classes.tolist() == [2]
        assert image.detections.masks.full(0)[box[0] : box[2], box[1] : box[3]].all()
        assert results[f"id-{k}"].masks.to_rle() == image.detections.masks.to_rle()
    assert len(json.loads((tmp_path / "out.json").read_text())) == 2
