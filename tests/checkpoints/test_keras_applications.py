"""Weights of Keras applications compute in our backbones what they computed in theirs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tiny_models import PYRAMID

from object_detection.builders import model_builder
from object_detection.checkpoints.names.keras_networks import keras_names
from object_detection.checkpoints.restore import restore
from object_detection.checkpoints.variables import variables_by_path
from object_detection.protos import model_pb2

pytestmark = pytest.mark.slow


def network_of(extractor):
    """A detector of two stages on one level."""
    config = text_format.Parse(PYRAMID, model_pb2.DetectionModel())
    model = config.faster_rcnn
    model.feature_extractor.Clear()
    model.feature_extractor.type = extractor
    model.number_of_stages = 2
    model.first_stage_anchor_generator.Clear()
    grid = model.first_stage_anchor_generator.grid_anchor_generator
    grid.scales.append(1)
    grid.aspect_ratios.append(1)
    model.fpn_paper_levels = False
    model.second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks = False
    return model_builder.build_network(config, False)


def with_random_norms(model, seed=0):
    """Fresh Keras models have norms that do nothing and biases of 0."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(generator.uniform(0.5, 1.0, variable.shape))
        elif variable.path.endswith(("beta", "moving_mean", "bias")):
            variable.assign(generator.normal(0, 0.1, variable.shape))
    return model


@pytest.mark.parametrize("depth", [50, 101])
def test_resnets(tmp_path, depth):
    """97 pixels: conv1 gives 49 columns. At even sizes the two pad the pool on other sides."""
    model = with_random_norms(
        getattr(keras.applications, f"ResNet{depth}")(weights=None, include_top=False)
    )
    model.save_weights(tmp_path / "resnet.weights.h5")
    network = network_of(f"faster_rcnn_resnet{depth}_keras")
    report = restore(
        network, tmp_path / "resnet.weights.h5", checkpoint_type="classification", partial=True
    )
    assert not report.missing and not report.mismatched

    pixels = np.random.default_rng(1).uniform(0, 255, (1, 97, 97, 3)).astype(np.float32)
    last = {50: 6, 101: 23}[depth]
    outputs = [model.get_layer(f"conv4_block{last}_out").output, model.output]
    blue_first = keras.applications.resnet.preprocess_input(pixels.copy())
    want = keras.Model(model.input, outputs)(blue_first)
    level = network.backbone(network.preprocess(tf.constant(pixels)))[4]
    got = (level, network.roi_stage.trunk(level))
    for ours, theirs in zip(got, want, strict=True):
        spread = np.std(theirs)
        # The norms' epsilon is 1.001e-5 there and 1e-5 here.
        np.testing.assert_allclose(ours / spread, theirs / spread, atol=1e-4)


def test_inception_resnet(tmp_path):
    """Its padding is TFOD's here, so that weights are compared, found by the names Keras made."""
    keras.backend.clear_session()  # the names count from here
    model = keras.applications.InceptionResNetV2(weights=None, include_top=False)
    with_random_norms(model)
    model.save_weights(tmp_path / "new.weights.h5")
    model.save(tmp_path / "legacy.h5")
    network = network_of("faster_rcnn_inception_resnet_v2_keras")
    variables = variables_by_path(network)
    for name in ("new.weights.h5", "legacy.h5"):
        for variable in variables.values():
            variable.assign(tf.zeros_like(variable))
        report = restore(network, tmp_path / name, checkpoint_type="classification", partial=True)
        assert not report.missing and not report.mismatched and not report.unused
        for layer, (conv, norm) in keras_names(list(variables)).items():
            kernel = model.get_layer(conv).kernel
            np.testing.assert_array_equal(variables[f"{layer}/kernel"], kernel, err_msg=layer)
            if norm:
                norm = norm.replace("freezable_batch_norm", "batch_normalization")
                mean = model.get_layer(norm).moving_mean
                np.testing.assert_array_equal(variables[f"{layer}/moving_mean"], mean)
