"""From Supervisely's training JSON and a project to a config, and (slow) to a trained result."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_models import PYRAMID

from object_detection.builders import dataset_builder
from object_detection.config import pipeline_file
from object_detection.datasets.formats import coco, supervisely
from object_detection.errors import SettingsError
from object_detection.integrations.supervisely import project, training
from object_detection.integrations.supervisely.settings import read_train_settings

SAMPLES = Path(__file__).parents[2] / "samples" / "supervisely"
TRAIN = json.loads((SAMPLES / "train_config.json").read_text())
SIDE = 64


def made_project(folder, *, titles=("nut", "date"), images=5):
    """A project of our own converter: bright squares on grey, one image of the last tag."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    project_read = {"images": [], "annotations": [], "categories": []}
    for number, title in enumerate(titles):
        project_read["categories"].append({"id": number + 1, "name": title})
    for i in range(images):
        pixels = np.full([SIDE, SIDE, 3], 60, np.uint8)
        project_read["images"].append(
            {"id": i, "file_name": f"{i}.png", "height": SIDE, "width": SIDE}
        )
        for k in range(len(titles)):
            x, y = 4 + 6 * (i % 3) + 26 * (k % 2), 6 + 6 * i
            pixels[y : y + 20, x : x + 20, k % 3] = 250
            project_read["annotations"].append(
                {
                    "id": 10 * i + k,
                    "image_id": i,
                    "category_id": k + 1,
                    "bbox": [x, y, 20, 20],
                    "area": 400,
                    "iscrowd": 0,
                    "segmentation": [[x, y, x + 20, y, x + 20, y + 20, x, y + 20]],
                }
            )
        Image.fromarray(pixels).save(pictures / f"{i}.png")
    path = folder / "coco.json"
    path.write_text(json.dumps(project_read))
    read = coco.read(path, pictures)
    splits = {
        "train": read._replace(images=read.images[:-1]),
        "val": read._replace(images=read.images[-1:]),
    }
    assert project.write_project(folder / "project", splits) == ([], {"train": 4, "val": 1})
    return folder / "project"


def model_folder(folder):
    """A folder with the pipeline.config of a tiny network, without weights."""
    folder.mkdir()
    path = folder / "pipeline.config"
    path.write_text(
        f"model {{ {PYRAMID} }} train_config {{ batch_size: 1 }} "
        "train_input_reader { max_number_of_boxes: 200 } eval_config { } eval_input_reader { }"
    )
    return path


def test_our_converter_makes_a_project_with_the_same_objects(tmp_path):
    folder = made_project(tmp_path)
    project_read = project.read_project(folder)
    assert [sorted(each.tags) for each in project_read.annotations] == [["train"]] * 4 + [["val"]]
    sets = supervisely.read(folder, train_tags=("train",), val_tags=("val",))
    names = [each.class_name for image in sets["train"].images for each in image.objects]
    assert names == ["nut", "date"] * 4
    with pytest.raises(ValueError, match="contains a project already"):
        project.write_project(folder, {})


def test_class_ids_are_alphabetical_with_the_background_first():
    project_read = training.class_ids_from_titles(
        ["pear", "bg", "neutral", "apple"], "bg", "neutral"
    )
    assert project_read.to_idx == {"bg": 0, "apple": 1, "pear": 2}
    assert project_read.foreground == {"apple": 1, "pear": 2}


def test_continuing_needs_the_same_set_and_keeps_its_numbers(tmp_path):
    stored = training.ClassIds({"bg": 0, "pear": 1, "apple": 2}, "bg", None)
    training.write_result_config(tmp_path, stored, {}, TRAIN)
    project_read = training.class_ids_from_titles(["apple", "pear"], "bg", None)
    assert training.with_stored_ids(tmp_path, project_read).to_idx == {
        "bg": 0,
        "pear": 1,
        "apple": 2,
    }
    with pytest.raises(SettingsError, match="the classes of model and dataset do not match"):
        training.with_stored_ids(tmp_path, training.class_ids_from_titles(["apple"], "bg", None))
    with pytest.raises(SettingsError, match="config.json is missing"):
        training.with_stored_ids(tmp_path / "nowhere", project_read)


def test_epochs_become_steps():
    values = {"batch_size": {"train": 4}, "val_every": 0.5, "epochs": 3}
    # Of each GPU: 8 images a step of two, 5 steps in 42 images.
    assert training.train_schedule(values, 42, 2) == training.TrainSchedule(8, 5, 15, 2)
    assert training.train_schedule(values, 2, 1) == training.TrainSchedule(4, 1, 3, 1)


def prepared(tmp_path, **changes):
    """The config that a training JSON makes of the tiny network, and the classes."""
    path = tmp_path / "train.json"
    path.write_text(json.dumps({**TRAIN, **changes}))
    values = read_train_settings(path).values
    folder = made_project(tmp_path / "data", titles=("nut", "ignore", "bg", "date"))
    special = values["special_classes"]
    project_read = project.read_project(folder)
    classes = training.class_ids_from_titles(
        project_read.titles, special["background"], special["neutral"]
    )
    written = project.write_records(
        project_read, values["dataset_tags"], classes, tmp_path / "records"
    )
    base = training.find_base_model(model_folder(tmp_path / "model"))._replace(weights="weights")
    plan = training.train_schedule(values, written.images["train"], 1)
    training.apply_settings(base, values, classes, written, plan)
    return base.config, classes


def test_the_config_says_what_the_json_says(tmp_path):
    config, classes = prepared(tmp_path, special_classes={"background": "bg", "neutral": "ignore"})
    assert classes.to_idx == {"bg": 0, "date": 1, "nut": 2}
    rcnn, train = config.model.faster_rcnn, config.train_config
    keep = rcnn.image_resizer.keep_aspect_ratio_resizer
    assert (rcnn.num_classes, keep.min_dimension, keep.max_dimension) == (2, 256, 256)
    assert keep.pad_to_max_dimension
    assert (train.batch_size, train.num_steps) == (4, 5)
    rate = train.optimizer.momentum_optimizer.learning_rate.constant_learning_rate
    assert rate.learning_rate == pytest.approx(0.001)
    assert train.fine_tune_checkpoint_type == "full" and train.fine_tune_new_classes
    assert list(config.train_input_reader.ignore_class) == ["ignore"]
    assert list(config.eval_input_reader[0].ignore_class) == ["ignore"]
    label_map = Path(config.train_input_reader.label_map_path).read_text()
    assert "ignore" not in label_map and "bg" not in label_map
    report = json.loads((tmp_path / "records/train.record.report.json").read_text())
    assert "ignore" in json.dumps(report) and "'bg'" not in json.dumps(report)


@pytest.mark.parametrize("training", [False, True])
def test_neutral_objects_reach_the_batches_as_ground(tmp_path, training):
    config, _ = prepared(tmp_path, special_classes={"background": "bg", "neutral": "ignore"})
    pipeline = dataset_builder.build(
        config.train_input_reader if training else config.eval_input_reader[0],
        model_config=config.model,
        train_config=config.train_config if training else None,
        training=training,
        batch_size=1,
    )
    truth = next(iter(pipeline)).truth
    assert sorted(truth.classes[truth.valid].numpy().tolist()) == [1, 2]
    assert truth.ignore.area.numpy().sum() == 400
    assert not any(pipeline.report.counts().values())


def test_continuing_takes_all_weights_and_sizes_may_be_fixed(tmp_path):
    config, _ = prepared(
        tmp_path,
        weights_init_type="continue_training",
        input_size={"width": 96, "height": 64},
        data_workers={"train": 3},
    )
    assert not config.train_config.fine_tune_new_classes
    fixed = config.model.faster_rcnn.image_resizer.fixed_shape_resizer
    assert (fixed.height, fixed.width) == (64, 96)
    assert config.train_input_reader.num_readers == 3


def test_results_are_numbered_and_an_unfinished_one_is_gone_on_with(tmp_path):
    values = read_train_settings(SAMPLES / "train_config.json").values
    first = training.result_folder(tmp_path, values)
    assert first.name == "00000000"
    classes = training.ClassIds({"bg": 0, "a": 1}, "bg", None)
    training.write_result_config(first, classes, {}, values)
    assert training.result_folder(tmp_path, values) == first
    assert training.result_folder(tmp_path, {**values, "lr": 0.5}).name == "00000001"
    shutil.rmtree(tmp_path / "00000001")
    (first / "exported").mkdir()
    assert training.result_folder(tmp_path, values).name == "00000001"


def test_what_is_no_model(tmp_path):
    with pytest.raises(SettingsError, match="there is no pipeline.config in it"):
        training.find_base_model(tmp_path)


@pytest.mark.slow
def test_both_samples_from_a_project_to_a_project(tmp_path):
    """The example JSONs as they stand: trained, exported, and what it finds read back."""
    folder = made_project(tmp_path)
    config = model_folder(tmp_path / "model")

    def run(command, *arguments):
        module = "object_detection.integrations.supervisely"
        done = subprocess.run(
            [sys.executable, "-m", module, command, f"--project={folder}", *arguments],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    json_of_train, results = SAMPLES / "train_config.json", tmp_path / "results"
    message = run("train", f"--config={json_of_train}", f"--model={config}", f"--output={results}")
    result = results / "00000000"
    assert "python -m object_detection.model_main" in message
    written = json.loads((result / "config.json").read_text())
    assert written["class_title_to_idx"] == {"bg": 0, "date": 1, "nut": 2}
    assert pipeline_file.load(result / "pipeline.config").train_config.num_steps == 5
    metrics = sorted((result / "training").rglob("metrics-*.json"))
    assert (
        metrics and "DetectionMasks_Precision/mAP" in json.loads(metrics[-1].read_text())["metrics"]
    )
    # An untrained network is never sure: everything that it finds is looked at.
    inference = json.loads((SAMPLES / "inference_config.json").read_text())
    inference["model"]["min_confidence_threshold"] = 0.0
    path = tmp_path / "inference.json"
    path.write_text(json.dumps(inference))
    output = tmp_path / "found"
    run("infer", f"--config={path}", f"--model={result}", f"--output={output}")
    read = project.read_project(output)
    assert {"nut_maskrcnn", "date_maskrcnn"} <= set(read.titles)
    (again,) = supervisely.read(output).values()
    stated = sum(len(each.content["objects"]) for each in read.annotations)
    assert sum(len(image.objects) for image in again.images) == stated >= 10
