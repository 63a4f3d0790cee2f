"""The export folder: complete or not there."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from fake_detector import bright_rectangle

from object_detection.checkpoints import variables
from object_detection.config import pipeline_file
from object_detection.errors import ExportError
from object_detection.export import exporter, frozen_graph, preparation
from object_detection.export.options import ExportOptions
from object_detection.ops.image import Identity
from object_detection.protos import pipeline_pb2


@pytest.fixture
def fake_network(monkeypatch):
    """Exports the bright-rectangle detector, and hands out the networks that were built."""
    built = []

    def build_network(model_config, is_training):
        assert not is_training
        built.append(bright_rectangle())
        return built[-1]

    monkeypatch.setattr(preparation.model_builder, "build_network", build_network)
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
    path = next(iter(variables.variables_by_path(network))).replace("/", ".")
    momentum = tf.train.Checkpoint(**{path: tf.Variable([[0.0]])})
    extra = {"step": tf.Variable(7), "optimizer": tf.train.Checkpoint(momentum=momentum)}
    if averages is not None:
        extra["average"] = tf.train.Checkpoint(**{path: tf.Variable([[averages]])})
    checkpoint = variables.checkpoint_of(network, **extra)
    folder.mkdir(exist_ok=True)
    checkpoint.write(str(folder / "ckpt-3"))
    (folder / "checkpoint").write_text('model_checkpoint_path: "ckpt-3"\n')
    return folder


def export(config, checkpoint, folder, **chosen):
    """An export that is not verified: a process of its own takes seconds."""
    return exporter.export(config, checkpoint, folder, ExportOptions(verify=False, **chosen))


def score_of(export):
    image = tf.constant(np.full([1, 8, 8, 3], 255, np.uint8))
    model = tf.saved_model.load(str(export / "saved_model"))
    return float(model(image)["detection_scores"][0, 0])


def test_an_export_has_all_its_parts(fake_network, tmp_path):
    label_map = tmp_path / "my labels.pbtxt"
    label_map.write_text("item { id: 2 name: 'bright' }")
    model_dir = trained(tmp_path / "run", 0.25)

    folder, used = export(config_with(label_map), model_dir, tmp_path / "new" / "export")

    assert used == label_map
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert {
        "pipeline.config",
        "saved_model/saved_model.pb",
        "saved_model/assets/label_map.pbtxt",
        "saved_model/assets/model_info.json",
        "checkpoint/checkpoint",
        "checkpoint/ckpt-0.index",
        "checkpoint/ckpt-0.data-00000-of-00001",
    } <= files
    assert [p.name for p in folder.parent.iterdir()] == ["export"]  # no temporary folder is left
    assert score_of(folder) == 0.25
    assert Path(tf.train.latest_checkpoint(str(folder / "checkpoint"))).name == "ckpt-0"


def test_the_checkpoint_of_an_export_holds_every_variable(fake_network, tmp_path):
    export(config_with(), trained(tmp_path / "run", 0.25), tmp_path / "export")

    again = bright_rectangle()
    preparation.restore_weights(again, str(tmp_path / "export"))
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
    writer = exporter.tfod_writer
    monkeypatch.setattr(writer, "layout_of", lambda network: form)
    monkeypatch.setattr(writer, "write", lambda prefix, network, how: written.append(how))
    config = config_with()
    config.model.faster_rcnn.feature_extractor.type = extractor
    folder, _ = export(config, trained(tmp_path / "run", 0.25), tmp_path / "export")
    assert written == ([form] if tfods else [])
    assert (folder / "checkpoint" / "ckpt-0.index").exists() != tfods


def test_averages_are_exported_where_they_are_evaluated(fake_network, tmp_path):
    model_dir = trained(tmp_path / "run", 0.25, averages=0.5)

    plain, _ = export(config_with(), model_dir, tmp_path / "plain")
    averaged, _ = export(config_with(averages=True), model_dir, tmp_path / "averaged")

    assert (score_of(plain), score_of(averaged)) == (0.25, 0.5)
    bare = trained(tmp_path / "bare", 0.25)
    with pytest.raises(ValueError, match="holds no averages"):
        export(config_with(averages=True), bare, tmp_path / "none")


def test_an_export_replaces_an_earlier_one_and_nothing_else(fake_network, tmp_path):
    target = tmp_path / "export"
    export(config_with(), trained(tmp_path / "one", 0.25), target)
    (target / "notes.txt").write_text("mine")
    (target / "saved_model" / "stale").write_text("old")

    export(config_with(), trained(tmp_path / "two", 0.5), target)

    assert score_of(target) == 0.5
    assert (target / "notes.txt").read_text() == "mine"
    assert not (target / "saved_model" / "stale").exists()


@pytest.mark.parametrize("broken", ["serving.save", "pipeline_file.save", "Path.rename"])
def test_a_failure_leaves_what_was_there(fake_network, monkeypatch, tmp_path, broken):
    target = tmp_path / "export"
    export(config_with(), trained(tmp_path / "one", 0.25), target)

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
        export(config_with(), trained(tmp_path / "two", 0.5), target)

    assert score_of(target) == 0.25
    assert sorted(p.name for p in target.iterdir()) == sorted(exporter.PARTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export", "one", "two"]


def test_folders_that_cannot_take_an_export(fake_network, tmp_path):
    model_dir = trained(tmp_path / "run", 0.25)
    with pytest.raises(ValueError, match="is a training folder"):
        export(config_with(), model_dir, model_dir)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        export(config_with(), model_dir, tmp_path / "file")


def test_no_checkpoint_is_an_error_not_a_random_model(fake_network, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="no checkpoint at"):
        export(config_with(), tmp_path / "run", tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_a_verified_export_says_what_it_is(fake_network, tmp_path):
    label_map = tmp_path / "labels.pbtxt"
    label_map.write_text("item { id: 2 name: 'bright' display_name: 'Bright' }")
    config = config_with(label_map)
    config.model.faster_rcnn.num_classes = 2

    exporter.export(config, trained(tmp_path / "run", 0.25), tmp_path / "new", ExportOptions())

    info = json.loads((tmp_path / "new/saved_model/assets/model_info.json").read_text())
    assert info["classes"] == [{"id": 2, "name": "Bright"}] and info["num_classes"] == 2
    assert info["verification"]["verified"] and info["input_type"] == "image_tensor"
    signature = info["signatures"]["serving_default"]
    assert signature["inputs"] == {
        "input_tensor": {"dtype": "uint8", "shape": [None, None, None, 3]}
    }
    masks = signature["outputs"]["detection_masks"]
    assert masks == {"dtype": "float32", "shape": [None, 2, 8, 8]}
    saved = pipeline_file.as_text(pipeline_file.load(tmp_path / "new" / "pipeline.config"))
    assert info["config_sha256"] == hashlib.sha256(saved.encode()).hexdigest()
    assert info["versions"]["tensorflow"] == tf.__version__


@pytest.mark.parametrize("fault", ["weights", "files"])
def test_a_model_that_answers_otherwise_is_not_kept(fake_network, monkeypatch, tmp_path, fault):
    save = exporter.serving.save

    def save_wrongly(module, folder):
        if fault == "weights":
            module.weights[0].assign([[0.5]])
        save(module, folder)
        if fault == "files":
            next(folder.glob("variables/*.data-*")).write_bytes(b"")

    monkeypatch.setattr(exporter.serving, "save", save_wrongly)
    with pytest.raises(ExportError, match="differs from the checkpoint|cannot be run"):
        run = trained(tmp_path / "run", 0.25)
        exporter.export(config_with(), run, tmp_path / "export", ExportOptions())
    assert not (tmp_path / "export").exists()


def test_a_graph_of_tfods_names(fake_network, tmp_path):
    run = trained(tmp_path / "run", 0.25)
    graph_options = frozen_graph.GraphOptions(write_inference_graph=True)
    options = ExportOptions(masks="rle")
    config = config_with()
    config.model.faster_rcnn.number_of_stages = 3
    frozen_graph.export(config, run, tmp_path / "export", options, graph_options)
    folder = tmp_path / "export"

    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint", "frozen_inference_graph.pb", "inference_graph.pbtxt",
        "model.ckpt.data-00000-of-00001", "model.ckpt.index", "model.ckpt.meta", "pipeline.config",
        "saved_model",
    ]  # fmt: skip
    image = np.full([2, 8, 9, 3], 255, np.uint8)
    graph_def = tf.compat.v1.GraphDef.FromString(
        (folder / "frozen_inference_graph.pb").read_bytes()
    )
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        assert graph.get_tensor_by_name("image_tensor:0").shape.as_list() == [None, None, None, 3]
        with tf.compat.v1.Session() as session:
            fetches = [f"{name}:0" for name in ("detection_scores", "num_detections")]
            scores, count = session.run(fetches, {"image_tensor:0": image})
    assert scores.tolist() == [[0.25, 0]] * 2 and count.tolist() == [1, 1]

    loaded = tf.saved_model.load(str(folder / "saved_model")).signatures
    outputs = loaded["serving_default"](inputs=tf.constant(image))
    assert outputs["detection_scores"].numpy().tolist() == [[0.25, 0]] * 2
    assert "detection_masks_rle" not in outputs
    codes = loaded["rle_masks"](inputs=tf.constant(image))
    assert codes["num_detections"].dtype == tf.int32 and codes["detection_masks_rle"][0, 0] != b""
    again = bright_rectangle()
    preparation.restore_weights(again, str(folder))
    assert again.blocks[0].kernel.numpy().tolist() == [[0.25]]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver = tf.compat.v1.train.import_meta_graph(str(folder / "model.ckpt.meta"))
        saver.restore(session, tf.train.latest_checkpoint(str(folder)))
        assert session.run("detection_scores:0", {"image_tensor:0": image})[0, 0] == 0.25

    # An export of the other kind in its place leaves nothing of it.
    export(config_with(), run, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(exporter.PARTS)


def test_tensors_that_a_graph_has_not_got_are_reported(fake_network, tmp_path):
    graph_options = frozen_graph.GraphOptions(additional_outputs=("anchors:0",))
    module = frozen_graph.serving.FromImages(bright_rectangle(), Identity())
    with pytest.raises(ValueError, match="anchors is not in the graph"):
        frozen_graph._trace(module, None, ExportOptions(), graph_options.additional_outputs)


@pytest.mark.parametrize("shape", [(600, 600, 3), (1, 600, 600, 4), (1, 0, 600, 3)])
def test_shapes_that_are_none_of_images(shape, tmp_path):
    graph_options = frozen_graph.GraphOptions(input_shape=shape)
    with pytest.raises(ValueError, match="batch, height, width and 3"):
        frozen_graph.export(config_with(), "run", tmp_path / "new", ExportOptions(), graph_options)
