"""The export folder: complete or not there."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from fake_detector import bright_rectangle

from object_detection.compat import checkpoint_map
from object_detection.export import exporter
from object_detection.protos import pipeline_pb2


@pytest.fixture
def fake_network(monkeypatch):
    """Exports the bright-rectangle detector, and hands out the networks that were built."""
    built = []

    def build_network(model_config, is_training):
        assert not is_training
        built.append(bright_rectangle())
        return built[-1]

    monkeypatch.setattr(exporter.model_builder, "build_network", build_network)
    return built


def config_with(label_map=None, averages=False):
    config = pipeline_pb2.TrainEvalPipelineConfig()
    config.model.faster_rcnn.image_resizer.identity_resizer.SetInParent()
    config.eval_config.use_moving_averages = averages
    if label_map:
        config.train_input_reader.label_map_path = str(label_map)
    return config


def trained(folder, score, averages=None):
    """A training folder with one checkpoint."""
    network = bright_rectangle()
    network.blocks[0].kernel.assign([[score]])
    path = next(iter(checkpoint_map.variables_by_path(network))).replace("/", ".")
    momentum = tf.train.Checkpoint(**{path: tf.Variable([[0.0]])})
    extra = {"step": tf.Variable(7), "optimizer": tf.train.Checkpoint(momentum=momentum)}
    if averages is not None:
        extra["average"] = tf.train.Checkpoint(**{path: tf.Variable([[averages]])})
    checkpoint = checkpoint_map.checkpoint_of(network, **extra)
    folder.mkdir(exist_ok=True)
    checkpoint.write(str(folder / "ckpt-3"))
    (folder / "checkpoint").write_text('model_checkpoint_path: "ckpt-3"\n')
    return folder


def score_of(export):
    image = tf.constant(np.full([1, 8, 8, 3], 255, np.uint8))
    model = tf.saved_model.load(str(export / "saved_model"))
    return float(model(image)["detection_scores"][0, 0])


def test_an_export_has_all_its_parts(fake_network, tmp_path):
    label_map = tmp_path / "my labels.pbtxt"
    label_map.write_text("item { id: 2 name: 'bright' }")
    model_dir = trained(tmp_path / "run", 0.25)

    folder, used = exporter.export(config_with(label_map), model_dir, tmp_path / "new" / "export")

    assert used == label_map
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert {
        "pipeline.config",
        "saved_model/saved_model.pb",
        "saved_model/assets/label_map.pbtxt",
        "checkpoint/checkpoint",
        "checkpoint/ckpt-0.index",
        "checkpoint/ckpt-0.data-00000-of-00001",
    } <= files
    assert [p.name for p in folder.parent.iterdir()] == ["export"]  # no temporary folder is left
    assert score_of(folder) == 0.25
    assert Path(tf.train.latest_checkpoint(str(folder / "checkpoint"))).name == "ckpt-0"


def test_the_checkpoint_of_an_export_holds_every_variable(fake_network, tmp_path):
    exporter.export(config_with(), trained(tmp_path / "run", 0.25), tmp_path / "export")

    again = bright_rectangle()
    exporter.checkpoint_reader.restore(again, str(tmp_path / "export"))
    for ours, theirs in zip(again.variables, fake_network[0].variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


@pytest.mark.parametrize(
    ("extractor", "form", "tfods"),
    [
        ("faster_rcnn_resnet50_keras", "a form", True),
        ("faster_rcnn_resnet18_fpn_keras", None, False),
        ("faster_rcnn_inception_resnet_v2", "the form of its namesake in TFOD 2.x", False),
    ],
)
def test_the_checkpoint_has_tfods_form_where_there_is_one(
    fake_network, monkeypatch, tmp_path, extractor, form, tfods
):
    written = []
    writer = exporter.checkpoint_writer
    monkeypatch.setattr(writer, "form_of", lambda network: form)
    monkeypatch.setattr(writer, "write", lambda prefix, network, how: written.append(how))
    config = config_with()
    config.model.faster_rcnn.feature_extractor.type = extractor
    folder, _ = exporter.export(config, trained(tmp_path / "run", 0.25), tmp_path / "export")
    assert written == ([form] if tfods else [])
    assert (folder / "checkpoint" / "ckpt-0.index").exists() != tfods


def test_averages_are_exported_where_they_are_evaluated(fake_network, tmp_path):
    model_dir = trained(tmp_path / "run", 0.25, averages=0.5)

    plain, _ = exporter.export(config_with(), model_dir, tmp_path / "plain")
    averaged, _ = exporter.export(config_with(averages=True), model_dir, tmp_path / "averaged")

    assert (score_of(plain), score_of(averaged)) == (0.25, 0.5)
    bare = trained(tmp_path / "bare", 0.25)
    with pytest.raises(ValueError, match="holds no averages"):
        exporter.export(config_with(averages=True), bare, tmp_path / "none")


def test_an_export_replaces_an_earlier_one_and_nothing_else(fake_network, tmp_path):
    export = tmp_path / "export"
    exporter.export(config_with(), trained(tmp_path / "one", 0.25), export)
    (export / "notes.txt").write_text("mine")
    (export / "saved_model" / "stale").write_text("old")

    exporter.export(config_with(), trained(tmp_path / "two", 0.5), export)

    assert score_of(export) == 0.5
    assert (export / "notes.txt").read_text() == "mine"
    assert not (export / "saved_model" / "stale").exists()


@pytest.mark.parametrize("broken", ["serving.save", "pipeline_file.save", "Path.rename"])
def test_a_failure_leaves_what_was_there(fake_network, monkeypatch, tmp_path, broken):
    export = tmp_path / "export"
    exporter.export(config_with(), trained(tmp_path / "one", 0.25), export)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    if broken == "Path.rename":
        rename = Path.rename

        def fail_at_the_last(path, target):
            if path.name == "pipeline.config" and ".partial-" in path.parent.name:
                fail()
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", fail_at_the_last)
    else:
        module, function = broken.split(".")
        monkeypatch.setattr(getattr(exporter, module), function, fail)
    with pytest.raises(OSError, match="No space left"):
        exporter.export(config_with(), trained(tmp_path / "two", 0.5), export)

    assert score_of(export) == 0.25
    assert sorted(p.name for p in export.iterdir()) == sorted(exporter.PARTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export", "one", "two"]


def test_folders_that_cannot_take_an_export(fake_network, tmp_path):
    model_dir = trained(tmp_path / "run", 0.25)
    with pytest.raises(ValueError, match="is a training folder"):
        exporter.export(config_with(), model_dir, model_dir)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        exporter.export(config_with(), model_dir, tmp_path / "file")


def test_no_checkpoint_is_an_error_not_a_random_model(fake_network, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="no checkpoint at"):
        exporter.export(config_with(), tmp_path / "run", tmp_path / "export")
    assert not (tmp_path / "export").exists()
