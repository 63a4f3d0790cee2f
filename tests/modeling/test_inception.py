"""Inception networks: sizes, strides, variables, norms."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tiny_models import PYRAMID

from object_detection.builders import model_builder
from object_detection.modeling.backbones import BACKBONES, ExtractorSpec
from object_detection.modeling.backbones.inception_parts import Mixed, Residual
from object_detection.modeling.backbones.resnet_v1 import BlockStyle
from object_detection.modeling.conv_block import Hyperparams, Norm
from object_detection.protos import model_pb2

V2 = "faster_rcnn_inception_v2"
RESNET_TF1 = "faster_rcnn_inception_resnet_v2"
RESNET_TF2 = "faster_rcnn_inception_resnet_v2_keras"
PLAIN = BlockStyle(norm=None, activation=None)


def extractor_of(name, **spec):
    """The extractor, its two layers built."""
    extractor = BACKBONES[name].build(ExtractorSpec(**spec))
    extractor.features.build((None, None, None, 3))
    extractor.box_trunk.build((None, None, None, *extractor.channels.values()))
    return extractor


@pytest.fixture(scope="module")
def resnet_tf1():
    return extractor_of(RESNET_TF1)


@pytest.mark.parametrize(
    "name, stride, expected",
    [
        # 65 -> 33 -> 17 -> 9 -> 5 and 50 -> 25 -> 13 -> 7 -> 4, always rounded up
        (V2, 16, {4: (1, 5, 4, 576)}),
        # the stride of TFOD's Inception v2 is 16 whatever the config says
        (V2, 8, {4: (1, 5, 4, 576)}),
        (RESNET_TF2, 8, {3: (1, 9, 7, 1088)}),
    ],
)
def test_features_of_odd_sizes(name, stride, expected):
    extractor = extractor_of(name, stride=stride)
    features = extractor.features(tf.zeros([1, 65, 50, 3]))

    assert {level: tuple(x.shape) for level, x in features.items()} == expected
    assert {level: shape[-1] for level, shape in expected.items()} == extractor.channels


def test_stride_16_of_the_residual_one(resnet_tf1):
    assert resnet_tf1.features(tf.zeros([1, 65, 50, 3]))[4].shape == (1, 5, 4, 1088)


def test_stride_8_computes_stride_16_and_what_lies_between(resnet_tf1):
    """Where the map that loses its stride has odd sides (65 -> 9), every second pixel of the
    dilated network is that of the other one."""
    dilated = extractor_of(RESNET_TF1, stride=8).features
    for variable, other in zip(dilated.variables, resnet_tf1.features.variables, strict=True):
        variable.assign(other)
    pixels = tf.random.stateless_uniform([1, 65, 65, 3], [1, 2], -1.0)
    fine, coarse = dilated(pixels)[3], resnet_tf1.features(pixels)[4]

    assert coarse.numpy().std() > 0.01
    np.testing.assert_allclose(fine[:, ::2, ::2], coarse, atol=1e-4 * coarse.numpy().std())


@pytest.mark.parametrize("name, crop, expected", [(V2, 7, 4), (V2, 14, 7), (RESNET_TF2, 17, 9)])
def test_trunk_of_a_crop(name, crop, expected):
    extractor = extractor_of(name)
    crops = tf.zeros([2, crop, crop, *extractor.channels.values()])
    features = extractor.box_trunk(crops)

    assert features.shape == (2, expected, expected, extractor.box_trunk.filters)
    assert extractor.box_trunk.compute_output_shape(crops.shape) == tuple(features.shape)


def test_the_tf1_trunk_pads_nothing_where_it_strides(resnet_tf1):
    # (17 - 3) // 2 + 1 = 8
    features = resnet_tf1.box_trunk(tf.zeros([1, 17, 17, 1088]))
    assert features.shape == (1, 8, 8, 1536)
    assert resnet_tf1.box_trunk.compute_output_shape((1, 17, 17, 1088)) == (1, 8, 8, 1536)


def test_pixels_become_minus_one_to_one():
    preprocess = BACKBONES[V2].build(ExtractorSpec()).preprocess
    np.testing.assert_allclose(preprocess(tf.constant([0.0, 127.5, 255.0])), [-1, 0, 1], atol=1e-6)


def test_only_inception_v2_scales_its_norm(resnet_tf1):
    leaves = {v.path.rsplit("/")[-1] for v in resnet_tf1.features.variables}
    assert leaves == {"kernel", "bias", "beta", "moving_mean", "moving_variance"}
    leaves = {v.path.rsplit("/")[-1] for v in extractor_of(V2).features.variables}
    assert {"depthwise_kernel", "pointwise_kernel", "gamma"} < leaves and "bias" not in leaves


@pytest.mark.parametrize("name, variables", [(V2, 360), (RESNET_TF1, 914)])
def test_variables_of_a_mask_rcnn(name, variables):
    """As many as TFOD's Mask R-CNN with 2 (case d) or 4 (case e) convolutions on its masks has."""
    config = text_format.Parse(PYRAMID, model_pb2.DetectionModel())
    model = config.faster_rcnn
    model.feature_extractor.type = name
    anchors = model.first_stage_anchor_generator.grid_anchor_generator
    anchors.scales.append(1.0)
    anchors.aspect_ratios.append(1.0)
    model.fpn_paper_levels = False
    predictor = model.second_stage_box_predictor.mask_rcnn_box_predictor
    predictor.spatial_mask_branch = False
    predictor.mask_prediction_num_conv_layers = 2 if name == V2 else 4
    network = model_builder.build_network(config, is_training=True)

    assert len(network.variables) == variables
    assert len({v.path for v in network.variables}) == variables


def test_a_residual_block_adds_a_part_of_its_branches():
    block = Residual(PLAIN, ((("conv2d_1x1", 1),), (("conv2d_0a_1x1", 1),)), gain=0.5)
    block.build((None, None, None, 1))
    branches = [branch.parts[0] for branch in block.branches]
    for conv, (kernel, bias) in zip(branches, ((2.0, 1.0), (3.0, 0.0)), strict=True):
        conv.kernel.assign([[[[kernel]]]])
        conv.bias.assign([bias])
    block.up.kernel.assign([[[[5.0], [10.0]]]])
    block.up.bias.assign([4.0])

    # branches: 2 * 1 + 1 = 3 and 3 * 1 = 3; up: 5 * 3 + 10 * 3 + 4 = 49; 1 + 0.5 * 49 = 25.5
    np.testing.assert_allclose(block(tf.ones([1, 1, 1, 1])), [[[[25.5]]]])


def test_an_average_counts_pixels_of_the_map_only():
    mixed = Mixed(PLAIN, (("average", ("conv2d_0b_1x1", 1)),))
    mixed.build((None, None, None, 1))
    mixed.branches[0].parts[1].kernel.assign([[[[1.0]]]])
    x = tf.reshape([1.0, 2.0, 6.0], [1, 1, 3, 1])

    # (1 + 2) / 2, (1 + 2 + 6) / 3, (2 + 6) / 2
    np.testing.assert_allclose(tf.reshape(mixed(x), [-1]), [1.5, 3.0, 4.0])


def test_frozen_norms_stay_and_live_ones_move():
    pixels = tf.random.stateless_uniform([1, 33, 33, 3], [1, 2], -1.0)
    for live in (False, True):
        extractor = extractor_of(V2, live_norm=live)
        means = [v for v in extractor.features.variables if v.path.endswith("moving_mean")]
        with tf.GradientTape() as tape:
            (features,) = extractor.features(pixels, training=True).values()
            loss = tf.reduce_sum(features)
        gradients = tape.gradient(loss, extractor.features.trainable_variables)

        assert any(np.any(mean.numpy()) for mean in means) == live
        # stem 3, wide modules 6 * 7, halving module 5
        assert len(means) == 50 and not any(mean.trainable for mean in means)
        assert all(gradient is not None for gradient in gradients)


def test_conv_hyperparams_reach_the_base_where_the_config_says_so():
    hyperparams = Hyperparams(activation="relu6", norm=Norm(epsilon=0.5, live=True))
    extractor = extractor_of(V2, hyperparams=hyperparams, override_base=True)
    stem = extractor.features.backbone.parts[0]

    assert stem.activation == "relu6" and stem.norm == Norm(epsilon=0.5, live=False)
