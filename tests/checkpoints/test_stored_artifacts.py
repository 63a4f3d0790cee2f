"""Runs and exports stored before the checkpoints package: resumed, restored, served, fine-tuned."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from object_detection.builders import model_builder
from object_detection.checkpoints.names import SUFFIX
from object_detection.checkpoints.open import open_checkpoint
from object_detection.checkpoints.restore import restore, restore_for_fine_tuning
from object_detection.checkpoints.variables import variables_by_path
from object_detection.config import pipeline_file
from object_detection.training import jobs
from object_detection.training.best import BestCheckpoint

STORED = Path(__file__).parents[1] / "artifacts_before_renames"
EXPECTED = json.loads((STORED / "expected.json").read_text())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A folder with the run, the export and what they were trained with."""
    folder = tmp_path_factory.mktemp("stored")
    for archive in STORED.glob("*.tar.xz"):
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    for name in ("pipeline.config", "labels.pbtxt", "train.record"):
        shutil.copy(STORED / name, folder)
    return folder


@pytest.fixture
def config(unpacked, monkeypatch):
    """The config of the run, whose paths are relative."""
    monkeypatch.chdir(unpacked)
    return pipeline_file.load("pipeline.config")


def values_in(path):
    """{name: value} of the entries of a file, names without their endings."""
    with open_checkpoint(path) as stored:
        return {name.removesuffix(SUFFIX): stored.read(name) for name in stored.shapes}


def losses_in(folder):
    """{step as text: {tag: number}} of a training's event files."""
    losses = {}
    for path in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.startswith("Loss/"):
                    number = float(tf.make_ndarray(value.tensor))
                    losses.setdefault(str(event.step), {})[value.tag] = number
    return losses


def test_a_run_resumes_to_the_same_numbers(config, unpacked, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(unpacked / "run", run)
    options = jobs.TrainOptions(model_dir=str(run), log_every_n_steps=1)
    assert jobs.train(config, options) == 0

    losses = losses_in(run / "train")
    assert losses.keys() == EXPECTED["resumed_losses"].keys()
    for step, numbers in EXPECTED["resumed_losses"].items():
        assert losses[step] == pytest.approx(numbers, rel=1e-5), step
    values = values_in(run)
    for name, (total, magnitude) in EXPECTED["resumed_entries"].items():
        value = values[name].astype(float)
        margin = 1e-5 * max(magnitude, 1e-6)
        assert abs(value).sum() == pytest.approx(magnitude, abs=margin), name
        assert value.sum() == pytest.approx(total, abs=margin), name


def test_the_best_checkpoint_of_a_run_is_still_known(unpacked):
    best = BestCheckpoint(unpacked / "run" / "best", "Loss/total_loss").best
    assert best == EXPECTED["best"]["best"]


@pytest.mark.parametrize("stored", ["export", "export/saved_model"])
def test_an_export_is_restored(config, unpacked, stored):
    """It holds the averages of the weights that the run trains."""
    network = model_builder.build_network(config.model, is_training=False)
    report = restore(network, unpacked / stored)
    variables = variables_by_path(network)
    assert report.family == "ours" and set(report.restored) == variables.keys()

    values = values_in(unpacked / "run" / "ckpt-3")
    averages = 0
    for path, variable in variables.items():
        name = path.replace("/", "..")
        averages += f"average/{name}" in values
        value = values.get(f"average/{name}", values[f"model/{name}"])
        np.testing.assert_array_equal(variable, value, err_msg=path)
    assert averages == sum(name.startswith("average/") for name in values) > 10


def test_an_export_is_served(unpacked):
    image = np.frombuffer(bytes(range(256)) * 48, np.uint8).reshape(1, 64, 64, 3)
    outputs = tf.saved_model.load(str(unpacked / "export" / "saved_model"))(tf.constant(image))
    np.testing.assert_allclose(outputs["detection_scores"], EXPECTED["scores"], rtol=1e-4)
    np.testing.assert_allclose(outputs["detection_boxes"], EXPECTED["boxes"], rtol=1e-4)


@pytest.mark.parametrize("stored", ["run", "run/best", "export"])
def test_fine_tuning_from_what_is_stored(config, unpacked, stored):
    config.model.faster_rcnn.num_classes = 5
    network = model_builder.build_network(config.model, is_training=True)
    config.train_config.fine_tune_checkpoint = str(unpacked / stored)
    config.train_config.fine_tune_checkpoint_type = "full"
    report = restore_for_fine_tuning(network, config.train_config)
    heads = {line.split(":")[0].rsplit("/", 1)[0] for line in report.mismatched}
    assert heads == {"roi_stage/head/boxes", "roi_stage/head/classes", "masks/head/masks"}
    assert not report.missing and len(report.restored) == len(network.variables) - 6
