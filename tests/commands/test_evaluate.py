"""evaluate as people type it."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from fake_detector import bright_rectangle
from google.protobuf import text_format
from made_records import box_mask, image_bytes, record, write
from tiny_models import PYRAMID, network_of

from object_detection.checkpoints.variables import checkpoint_of
from object_detection.config import pipeline_file
from object_detection.export import serving
from object_detection.ops import image as resizers
from object_detection.protos import pipeline_pb2

LABEL_MAP = 'item { id: 1 name: "cat" }\nitem { id: 2 name: "dog" }\n'
SIZE = (40, 60)
BOX = (10, 15, 30, 45)  # pixels


def evaluate(*flags, cwd):
    return subprocess.run(
        [sys.executable, "-m", "object_detection.evaluate", *flags],
        cwd=cwd,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def numbers(folder):
    """(kind, class, metric) -> value, as metrics.csv has them."""
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        return {
            (row["kind"], row["class"], row["metric"]): row["value"] for row in csv.DictReader(file)
        }


def picture():
    """An image with one bright rectangle, which the detector finds and calls a dog."""
    return np.repeat(box_mask(*SIZE, BOX, value=250)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two images, one with a dog and one with a cat, in a COCO json, in records, and a model."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "label_map.pbtxt").write_text(LABEL_MAP)
    fractions = tuple(np.divide(BOX, [*SIZE, *SIZE]))
    made = [
        record(
            [fractions], size=SIZE, masks=True, seed=k, label=[k], encoded=image_bytes(picture())
        )
        for k in (1, 2)
    ]
    write(folder / "val.record-00000-of-00001", made)
    for k in (1, 2):
        (folder / f"{k}.png").write_bytes(image_bytes(picture()))
    top, left, bottom, right = BOX
    outline = [left, top, right, top, right, bottom, left, bottom]
    entry = {"bbox": [left, top, right - left, bottom - top], "segmentation": [outline]}
    coco = {
        "images": [
            {"id": f"id-{k}", "file_name": f"{k}.png", "height": SIZE[0], "width": SIZE[1]}
            for k in (1, 2)
        ],
        # Other ids than the model's: names count.
        "categories": [{"id": 20, "name": "dog"}, {"id": 10, "name": "cat"}],
        "annotations": [
            {"id": k, "image_id": f"id-{k}", "category_id": 10 * k, "iscrowd": 0, "area": 600}
            | entry
            for k in (1, 2)
        ],
    }
    (folder / "truth.json").write_text(json.dumps(coco))
    results = [{"image_id": f"id-{k}", "category_id": 20, "score": 0.75} | entry for k in (1, 2)]
    (folder / "results.json").write_text(json.dumps(results))
    module = serving.module_for("image_tensor")(
        bright_rectangle(), resizers.Identity(), label_map=folder / "label_map.pbtxt"
    )
    serving.save(module, folder / "exported" / "saved_model")
    return folder


def check(folder, name):
    """The dog is found, the cat is found as a dog: worked out by hand.

    Of two dogs of the same score the first is none: precision is 1/2 at every recall.
    """
    result = numbers(folder / name)
    assert float(result["masks", "", "Precision/mAP@.50IOU"]) == pytest.approx(0.25)
    assert float(result["boxes", "dog", "Precision/mAP"]) == pytest.approx(0.5)
    assert float(result["boxes", "cat", "Precision/mAP"]) == 0
    figures = json.loads((folder / name / "metrics.json").read_text(encoding="utf-8"))
    assert figures["masks"]["errors"]["wrong class"] == 1
    page = (folder / name / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 2  # the one bad image, for masks and for boxes
    assert "wrong class: dog 75%, it is cat" in page


def test_coco_json_and_result_file(folder):
    done = evaluate(
        "--annotations_file=truth.json", "--results=results.json", "--output_dir=one", cwd=folder
    )

    assert done.returncode == 0, done.stderr
    assert "2 images, 2 objects, 2 detections" in done.stdout
    assert "n/a: no object of the ground truth is large" in done.stdout
    check(folder, "one")


def test_records_and_saved_model_and_its_detections_again(folder):
    records = ("--records=val.record-*", "--label_map_path=label_map.pbtxt")

    done = evaluate(*records, "--saved_model=exported", "--output_dir=two", cwd=folder)
    assert done.returncode == 0, done.stderr
    check(folder, "two")

    again = evaluate(*records, "--results=two/detections.json", "--output_dir=three", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert numbers(folder / "three") == numbers(folder / "two")


def test_coco_json_and_saved_model_with_other_class_ids(folder):
    done = evaluate(
        "--annotations_file=truth.json",
        "--image_dir=.",
        "--saved_model=exported/saved_model",
        "--output_dir=four",
        cwd=folder,
    )

    assert done.returncode == 0, done.stderr
    check(folder, "four")


@pytest.fixture(scope="module")
def network(folder):
    """A small Mask R-CNN for the two classes, with a checkpoint in run/ and a config beside it."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    text_format.Parse(PYRAMID.replace("num_classes: 3", "num_classes: 2"), config.model)
    config.eval_input_reader.add(label_map_path=str(folder / "label_map.pbtxt"))
    network = network_of("faster_rcnn { num_classes: 2 }")
    (folder / "run").mkdir()
    checkpoint_of(network).write(str(folder / "run" / "ckpt-3"))
    (folder / "run" / "checkpoint").write_text('model_checkpoint_path: "ckpt-3"\n')
    pipeline_file.save(config, str(folder / "run"))
    (folder / "run" / "pipeline.config").rename(folder / "mine.config")
    return network


@pytest.mark.slow
def test_records_and_checkpoint(folder, network):
    done = evaluate(
        "--records=val.record-*",
        "--label_map_path=label_map.pbtxt",
        "--checkpoint=run",
        "--pipeline_config_path=mine.config",
        "--output_dir=six",
        cwd=folder,
    )

    assert done.returncode == 0, done.stderr
    resizer = resizers.KeepAspectRatio(64, 96)
    direct = serving.module_for("image_tensor")(network, resizer)(picture()[np.newaxis])
    wanted = direct["detection_scores"].numpy()[0][: int(direct["num_detections"][0])]
    result = json.loads((folder / "six" / "detections.json").read_text(encoding="utf-8"))
    scores = [one["score"] for one in result if one["image_id"] == result[0]["image_id"]]
    np.testing.assert_allclose(sorted(scores), sorted(wanted), atol=1e-5)
    assert len(scores) > 0
    kinds = {key[0] for key in numbers(folder / "six")}
    assert kinds == {"boxes", "masks"}
    figures = json.loads((folder / "six" / "metrics.json").read_text(encoding="utf-8"))
    assert "detections: run" in figures["origin"]
    assert (folder / "six" / "report.html").read_text(encoding="utf-8").startswith("<!")


@pytest.mark.slow
def test_a_checkpoint_without_its_config_is_one_sentence(folder, network):
    done = evaluate(
        "--annotations_file=truth.json", "--checkpoint=run", "--output_dir=seven", cwd=folder
    )

    assert done.returncode == 1
    assert "run are weights without their pipeline.config" in done.stderr
    assert "Traceback" not in done.stderr


def test_images_that_are_not_there_are_named(folder):
    (folder / "empty").mkdir()

    done = evaluate(
        "--annotations_file=truth.json",
        "--image_dir=empty",
        "--results=results.json",
        "--output_dir=five",
        cwd=folder,
    )

    assert done.returncode == 0, done.stderr
    assert "1 of the worst images cannot be drawn, their files are not there: 1.png" in done.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--results=results.json",), "either --records or --annotations_file"),
        (("--records=val*", "--annotations_file=truth.json"), "either --records or"),
        (("--records=val*",), "give one of --saved_model, --checkpoint and --results"),
        (("--records=b*", "--results=results.json"), "--records: no file matches 'b*'"),
        (("--annotations_file=results.json", "--results=results.json"), "has no list 'images'"),
        (("--annotations_file=truth.json", "--results=truth.json"), "looks like a ground truth"),
        (("--annotations_file=truth.json", "--saved_model=nowhere"), "nowhere"),
    ],
)
def test_errors_are_one_sentence(flags, sentence, folder):
    done = evaluate(*flags, cwd=folder)

    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
