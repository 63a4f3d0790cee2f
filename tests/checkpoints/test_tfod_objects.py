"""Checkpoints that TensorFlow restores by itself into TFOD's face: the zoo's form and ours."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tiny_models import PYRAMID

from object_detection.builders import model_builder
from object_detection.checkpoints import tfod_writer, variables
from object_detection.protos import model_pb2

EXTRACTORS = (
    "_feature_extractor_for_proposal_features",
    "_feature_extractor_for_box_classifier_features",
)


def _model(extractor):
    config = text_format.Parse(PYRAMID, model_pb2.DetectionModel())
    config.faster_rcnn.feature_extractor.type = extractor
    predictor = config.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor
    predictor.spatial_mask_branch = False  # TFOD has none
    if not extractor.endswith("_fpn_keras"):
        anchors = config.faster_rcnn.first_stage_anchor_generator.grid_anchor_generator
        anchors.scales.append(1.0)
        anchors.aspect_ratios.append(1.0)
    return model_builder.build(config, is_training=True)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model of an extractor of TFOD's, its checkpoint in TFOD's form, and one in ours."""
    folder = tmp_path_factory.mktemp("saved")
    model = _model("faster_rcnn_resnet50_keras")
    for number, variable in enumerate(model.variables):
        variable.assign(tf.fill(variable.shape, number / 100.0))
    form = tfod_writer.layout_of(model.network)
    tfod_writer.write(str(folder / "theirs"), model.network, form)
    variables.checkpoint_of(model.network).write(str(folder / "ours"))
    return model, folder


@pytest.fixture
def other(saved):
    """The same model with every variable at -1."""
    model = saved[0]
    values = [variable.numpy() for variable in model.variables]
    for variable in model.variables:
        variable.assign(-tf.ones_like(variable))
    yield model
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)


def _restored(model):
    return {
        variables.path_of(variable)
        for number, variable in enumerate(model.variables)
        if (variable.numpy() == np.float32(number / 100.0)).all()
    }


def _paths(model, *beginnings):
    paths = {variables.path_of(variable) for variable in model.variables}
    return {path for path in paths if path.startswith(beginnings)}


@pytest.mark.parametrize("form", ["theirs", "ours"])
@pytest.mark.parametrize("kind", ["full", "detection"])
def test_both_forms_are_restored(saved, other, form, kind):
    checkpoint = tf.train.Checkpoint(**other.restore_from_objects(kind))
    status = checkpoint.read(str(saved[1] / form))

    status.expect_partial().assert_existing_objects_matched()
    want = _paths(other, "")
    if kind == "detection":
        want = _paths(other, "backbone/", "roi_stage/") - _paths(other, "roi_stage/head/")
    assert _restored(other) == want


def test_the_names_that_are_saved_are_tfods(saved, tmp_path):
    path = tf.train.Checkpoint(model=saved[0]).save(str(tmp_path / "ckpt"))
    ours = {name for name, _ in tf.train.list_variables(path)}
    theirs = {name for name, _ in tf.train.list_variables(str(saved[1] / "theirs"))}

    assert {n for n in ours if n.startswith("model/")} == {
        n for n in theirs if n.startswith("model/")
    }
    assert f"model/{EXTRACTORS[0]}/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE" in ours


def test_parts_put_together_by_hand(saved, other):
    fake_model = tf.train.Checkpoint(
        _feature_extractor_for_proposal_features=other._feature_extractor_for_proposal_features,
        _mask_rcnn_box_predictor=tf.train.Checkpoint(
            _box_prediction_head=other._mask_rcnn_box_predictor._box_prediction_head
        ),
    )
    tf.train.Checkpoint(model=fake_model).read(str(saved[1] / "theirs")).expect_partial()

    assert _restored(other) == _paths(other, "backbone/", "roi_stage/head/boxes/")
    layers = other._mask_rcnn_box_predictor._box_prediction_head._box_encoder_layers
    assert layers[1].kernel.shape == other.network.roi_stage.head.boxes.kernel.shape
    with pytest.raises(AttributeError, match="no attribute '_box_predictor'"):
        _ = other._box_predictor


def test_a_classifier_gives_its_backbone(saved, other, tmp_path):
    backbone = other.feature_extractor.classification_backbone
    parts = other.restore_from_objects("classification")
    assert list(parts) == ["feature_extractor"]
    backbone.children["layer_with_weights-0"].kernel.assign_add(
        tf.ones_like(backbone.children["layer_with_weights-0"].kernel)
    )
    path = tf.train.Checkpoint(feature_extractor=backbone).write(str(tmp_path / "classifier"))
    for variable in other.variables:
        variable.assign(-tf.ones_like(variable))
    tf.train.Checkpoint(**parts).read(path).expect_partial().assert_existing_objects_matched()

    kernel = other.network.backbone.backbone.variables[0]
    assert kernel.path.endswith("backbone/resnet/conv1/kernel")
    assert (kernel.numpy() == 0.0).all()


def test_a_model_of_tf1_names_its_variables():
    model = _model("faster_rcnn_resnet50")
    names = model.restore_map()

    unit = "resnet_v1_50/block1/unit_1/bottleneck_v1/conv1/weights"
    assert f"FirstStageFeatureExtractor/{unit}" in names
    assert all("StageFeatureExtractor/" in name for name in names)
    assert unit in model.restore_map("classification")
    everything = model.restore_map(load_all_detection_checkpoint_vars=True)
    assert len(everything) == len(model.variables)
    assert everything["Conv/weights"] is model.network.rpn.head.conv.kernel.value
