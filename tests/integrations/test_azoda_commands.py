"""The command itself: what it refuses; and slowly, an experiment from its CSVs to served masks."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import azoda_files
import numpy as np
import pytest
from azoda_files import row_of, write_csv, write_json
from PIL import Image
from pycocotools import mask as rle_codec
from reference import REFERENCE
from tiny_models import PYRAMID

from object_detection.errors import SettingsError
from object_detection.integrations.azoda import experiment as experiments
from object_detection.integrations.azoda import mask_to_polygons, settings, unmold_mask
from object_detection.integrations.azoda.__main__ import run

TRAINING = """
train_config { optimizer { momentum_optimizer { learning_rate { cosine_decay_learning_rate {
  learning_rate_base: 0.001 total_steps: 1000 warmup_steps: 0 } } } use_moving_average: false } }
train_input_reader {} eval_config {} eval_input_reader { num_epochs: 1 }
"""
IMAGE_TYPE = "shapes_mask"
MODULE = "object_detection.integrations.azoda"


@pytest.mark.parametrize(
    ("arguments", "expected_text"),
    [((), None), (("serve",), "'serve' is not a command; available: train and score")],
)
def test_without_a_command_the_two_are_reported(capsys, arguments, expected_text):
    with pytest.raises(SystemExit) as ended:
        run(["azoda", *arguments])

    assert ended.value.code and (expected_text is None or expected_text in ended.value.code)
    assert "score --deploy_config" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected_text"),
    [
        (["train", "--exp_config={}"], 'RUN_PARAMS.STEPS is "lots"; it must be a whole number'),
        (["score", "--deploy_config={}"], "DESCRIPTION is not a known key"),
        (["score", "--deploy_config={}", "--model_name=other"], "IMAGE_TYPE of --deploy_config"),
        (["train", "--exp_config={}", "data"], "unknown arguments: data"),
    ],
)
def test_a_fault_ends_the_command_in_a_moment(tmp_path, arguments, expected_text):
    path = write_json(tmp_path / "a.json", azoda_files.EXPERIMENT, RUN_PARAMS={"STEPS": "lots"})
    arguments = [argument.format(path) for argument in arguments]

    done = subprocess.run(
        [sys.executable, "-m", MODULE, *arguments], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    said = done.stderr + done.stdout
    assert expected_text in said
    assert "Traceback" not in said and "TensorFlow" not in done.stderr


def test_data_mount_is_the_folder_where_no_flag_says_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read = settings.read_experiment(write_json(tmp_path / "e.json", azoda_files.EXPERIMENT))

    with pytest.raises(SettingsError, match="line 8: DATA_MOUNT is 'store', which is not"):
        experiments.find_data_dir(read, "")
    (tmp_path / "store").mkdir()

    assert experiments.find_data_dir(read, "") == Path("store")
    with pytest.raises(SettingsError, match="--data_dir: there is no folder nowhere"):
        experiments.find_data_dir(read, "nowhere")


def prepared(tmp_path, name, **options):
    data = tmp_path / "data"
    experiment = settings.read_experiment(
        write_json(
            tmp_path / "e.json",
            azoda_files.EXPERIMENT,
            MODEL_PARAMS={"BASE_MODEL": name},
        )
    )
    given = experiments.Options("e.json", str(data), str(tmp_path / "out"), **options)
    return experiments.prepare(experiment, given)


def test_a_mask_model_needs_polygons(tmp_path):
    azoda_files.make_store(tmp_path / "data")
    path = next((tmp_path / "data" / IMAGE_TYPE / "datasets").glob("train*"))
    write_csv(path, [("a.jpg", 8, 8, 40, 30, "tile")], azoda_files.HEADER[:5] + ("class",))

    with pytest.raises(ValueError, match=r"train_.*csv: no column segmentation, but the base"):
        prepared(tmp_path, "mask_rcnn_resnet18_fpn_shapes")


def test_a_box_model_leaves_polygons_alone(tmp_path):
    azoda_files.make_store(tmp_path / "data")

    config, records, _ = prepared(
        tmp_path, "faster_rcnn_resnet50_fpn_coco", config_override=("train_config.batch_size=2",)
    )

    assert not config.train_input_reader.load_instance_masks
    assert config.train_config.batch_size == 2
    assert records.reports["train"].written["masks"] == 0


def test_strict_ends_at_what_is_to_be_corrected(tmp_path):
    azoda_files.make_store(tmp_path / "data")
    path = next((tmp_path / "data" / IMAGE_TYPE / "datasets").glob("train*"))
    write_csv(path, [row_of("a.jpg", (8, 8, 90, 30), "tile")])

    with pytest.raises(ValueError, match="--strict"):
        prepared(tmp_path, "mask_rcnn_resnet18_fpn_shapes", strict=True)


@pytest.mark.slow
def test_an_experiment_from_its_csvs_to_masks_by_http(tmp_path):
    data = tmp_path / "data"
    image = _nuts(data) if REFERENCE else _drawn(data)
    folder = data / "models" / "mask_rcnn_tiny"
    folder.mkdir(parents=True)
    (folder / "pipeline.config").write_text(f"model {{ {PYRAMID} }} {TRAINING}")
    exp_config = write_json(
        tmp_path / "exp_config.json",
        azoda_files.EXPERIMENT,
        RUN_PARAMS={"STEPS": 2},
    )
    command = [f"--exp_config={exp_config}", f"--data_dir={data}", f"--output_dir={tmp_path}"]

    expected_text = _train(command)

    outputs = tmp_path / "outputs"
    model = outputs / "final_model" / "model"
    assert "Segmentation (masks), average precision at IoU 0.5" in expected_text
    assert (model / "tf_label_map.pbtxt").is_file() and (model / "saved_model").is_dir()
    assert (outputs / "pipeline.config").is_file()
    assert (outputs / "evaluation" / "report.html").is_file()
    logged = json.loads((outputs / "run.json").read_text())
    assert logged["description"] == "a try" and logged["steps"] == 2
    assert set(logged) >= {"Detection - mAP", "Segmentation - mAP", "Binary - Metric Table"}
    _check_scoring(tmp_path, model, image)


def _train(arguments):
    done = subprocess.run(
        [sys.executable, "-m", MODULE, "train", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _check_scoring(folder, model, image):
    """The answers over HTTP, with masks and without, beside the Predictor's."""
    from object_detection import Predictor

    encoded = image.read_bytes()
    deployment = azoda_files.OLD_DEPLOYMENT
    with _served(folder, model, deployment) as url:
        rows = _asked(f"{url}/score?prob=0", encoded)
    deployment = azoda_files.NEW_DEPLOYMENT | {"IMAGE_TYPE": "usecase"}
    with _served(folder, model, deployment) as url:
        bare = _asked(f"{url}/score?prob=0", encoded)
    assert [row.keys() - {"mask"} for row in rows] == [row.keys() for row in bare]
    result = Predictor(model, 0.0).predict(image)
    size = (result.height, result.width)
    assert len(rows) == len(result) > 0
    for k, row in enumerate(rows):
        mask = unmold_mask(row["mask"], np.array(row["bounding_box"]) * (size * 2), size)
        expected = result.full_mask(k)
        assert row["label"] == result.names[k]
        assert _iou(mask, expected) >= 0.99
        assert _iou(_filled(mask_to_polygons(mask), *size), expected) >= 0.99


@contextlib.contextmanager
def _served(folder, model, deployment):
    """The address of `score` in a process of its own."""
    path = write_json(folder / "deploy_config.json", deployment)
    flags = [f"--deploy_config={path}", f"--model={model}", "--port=0"]
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, "score", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    match = re.search(rf"serving {deployment['IMAGE_TYPE']} at (http://127\.0\.0\.1:\d+)/", line)
    try:
        assert match, line
        yield match[1]
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said


def _asked(url, encoded):
    with urllib.request.urlopen(url, encoded) as answer:
        return json.load(answer)


def _iou(one, other):
    union = (one | other).sum()
    return 1.0 if not union else (one & other).sum() / union


def _filled(polygons, height, width):
    if not polygons:
        return np.zeros((height, width), bool)
    parts = rle_codec.frPyObjects(polygons, height, width)
    return rle_codec.decode(rle_codec.merge(parts)).astype(bool)


def _drawn(data):
    """A store of drawn rectangles; gives its test image."""
    azoda_files.make_store(data, side=128)
    return data / IMAGE_TYPE / "images" / "c.jpg"


def _nuts(data):
    """A store of photographs of nuts, with the row of azoda's documentation; its test image."""
    source = REFERENCE / "data" / "sets" / "nuts" / "data"
    content = json.loads((source / "trainval.json").read_text())
    names = {each["id"]: each["name"] for each in content["categories"]}
    files = {each["id"]: each["file_name"] for each in content["images"][:4]}
    images = data / IMAGE_TYPE / "images"
    images.mkdir(parents=True)
    for name in files.values():
        shutil.copyfile(source / "images" / name, images / name)
    Image.new("RGB", (640, 480)).save(images / azoda_files.EXAMPLE_ROW[0])
    rows = {"train": [azoda_files.EXAMPLE_ROW], "test": []}
    for each in content["annotations"]:
        if each["image_id"] in files:
            x, y, width, height = each["bbox"]
            box = x, y, x + width, y + height
            split = "test" if each["image_id"] == max(files) else "train"
            name, label = files[each["image_id"]], names[each["category_id"]]
            rows[split].append(row_of(name, box, label, each["segmentation"]))
    for split, result in rows.items():
        name = f"{split}_{IMAGE_TYPE}_211121120000.csv"
        write_csv(data / IMAGE_TYPE / "datasets" / name, result)
    return images / files[max(files)]
