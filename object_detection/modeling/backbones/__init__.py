"""THE TABLE of feature extractors: a config's `feature_extractor.type` -> how to build it.

A new backbone is one file and one row (see CONTRIBUTING.md).
"""

from collections.abc import Callable
from typing import NamedTuple

import keras

from object_detection.modeling.backbones import inception_resnet_v2, inception_v2, resnet_v1
from object_detection.modeling.backbones.fpn import FeaturePyramid, FlattenTrunk
from object_detection.modeling.backbones.inception_parts import scale_pixels
from object_detection.modeling.backbones.resnet_v1 import BlockStyle, ResNetV1
from object_detection.modeling.backbones.slim_resnet_v1 import SlimBoxTrunk, SlimResNetV1
from object_detection.modeling.conv_block import DEFAULTS, Hyperparams, Norm

DEFAULT_NORM = Norm()  # of TFOD's ResNets


class ExtractorSpec(NamedTuple):
    """The settings of a `FasterRcnnFeatureExtractor` message."""

    stride: int = 16  # first_stage_features_stride
    live_norm: bool = False  # batch_norm_trainable while training
    hyperparams: Hyperparams = Hyperparams()  # conv_hyperparams
    override_base: bool = False  # use them inside the base network too
    min_level: int = 2
    max_level: int = 6
    fpn_depth: int = 256  # additional_layer_depth
    pad_to_multiple: int = 32


class Extractor(NamedTuple):
    """A built feature extractor."""

    features: keras.layers.Layer  # preprocessed pixels -> {level: [B, h, w, C]}
    channels: dict  # level -> C
    box_trunk: keras.layers.Layer  # roi crops [n, s, s, C] -> [n, s', s', C']
    preprocess: Callable  # pixels 0..255 -> what the published weights were trained on


class Backbone(NamedTuple):
    """A row of the table."""

    build: Callable  # ExtractorSpec -> Extractor
    strides: tuple = (16,)  # allowed first_stage_features_stride; empty for pyramids
    pyramid: bool = False
    tfod: bool = True  # False for extractors of our own


class _SingleLevel(keras.layers.Layer):
    """Keeps one level of a backbone's outputs."""

    def __init__(self, backbone, level, **kwargs):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.level = level

    def build(self, input_shape):
        self.backbone.build(input_shape)

    def call(self, pixels, training=False):
        return {self.level: self.backbone(pixels, training=training)[self.level]}


def _base_style(spec, norm=DEFAULT_NORM, initializer="he_normal", penalty=None):
    """What the convolutions of the base network share.

    TFOD's own hyper-parameters, unless the config puts its `conv_hyperparams` there
    (`override_base_feature_extractor_hyperparams`).
    """
    if not spec.override_base:
        own = Hyperparams(initializer=initializer, penalty=penalty)
        return BlockStyle(own, norm._replace(live=spec.live_norm))
    hyperparams = spec.hyperparams.with_norm_live(spec.live_norm)
    return BlockStyle(hyperparams, hyperparams.norm, hyperparams.activation)


def _resnet_c4(depth):
    def build(spec):
        style = _base_style(spec, initializer=resnet_v1.INITIALIZER)
        backbone = ResNetV1(depth, 4, style, name="resnet")
        return Extractor(
            features=_SingleLevel(backbone, 4, name="backbone"),
            channels={4: backbone.channels[4]},
            box_trunk=resnet_v1.stage_of(depth, 5, style),
            preprocess=resnet_v1.subtract_means,
        )

    return Backbone(build)


def _slim_resnet(depth):
    def build(spec):
        name, style = f"resnet_v1_{depth}", _base_style(spec)
        backbone = SlimResNetV1(depth, spec.stride, style, name=name)
        return Extractor(
            features=_SingleLevel(backbone, backbone.level, name="backbone"),
            channels=backbone.channels,
            box_trunk=SlimBoxTrunk(depth, style, name=name),
            preprocess=resnet_v1.subtract_means,
        )

    return Backbone(build, strides=(8, 16))


def _inception_v2(spec):
    style = _base_style(spec, inception_v2.NORM, "glorot_uniform")
    return Extractor(
        features=_SingleLevel(inception_v2.first_stage(style), inception_v2.LEVEL, name="backbone"),
        channels={inception_v2.LEVEL: inception_v2.CHANNELS},
        box_trunk=inception_v2.InceptionV2Trunk(style, name="inception_v2"),
        preprocess=scale_pixels,
    )


def _inception_resnet_v2(trunk_padding):
    def build(spec):
        style = _base_style(spec, inception_resnet_v2.NORM, "glorot_uniform")
        backbone = inception_resnet_v2.first_stage(style, spec.stride)
        return Extractor(
            features=_SingleLevel(backbone, backbone.level, name="backbone"),
            channels={backbone.level: inception_resnet_v2.CHANNELS},
            box_trunk=inception_resnet_v2.InceptionResNetV2Trunk(
                style, trunk_padding, name="inception_resnet_v2"
            ),
            preprocess=scale_pixels,
        )

    return Backbone(build, strides=(8, 16))


def _resnet_fpn(depth, *, dense_units=1024, tfod=True):
    def build(spec):
        hyperparams = spec.hyperparams.with_norm_live(spec.live_norm)
        own, dense = {}, DEFAULTS
        if tfod:
            own = {"initializer": resnet_v1.INITIALIZER, "penalty": resnet_v1.pyramid_penalty}
            dense = Hyperparams(initializer="glorot_uniform")
        style = _base_style(spec, **own)
        backbone = ResNetV1(depth, min(spec.max_level, 5), style, name="resnet")
        pyramid = FeaturePyramid(
            backbone,
            min_level=spec.min_level,
            max_level=spec.max_level,
            depth=spec.fpn_depth,
            hyperparams=hyperparams,
            paper_top_down=not tfod,
            pad_to_multiple=spec.pad_to_multiple,
            name="backbone",
        )
        return Extractor(
            features=pyramid,
            channels=pyramid.channels,
            box_trunk=FlattenTrunk(dense_units, hyperparams.norm, dense, name="box_trunk"),
            preprocess=resnet_v1.subtract_means,
        )

    return Backbone(build, strides=(), pyramid=True, tfod=tfod)


BACKBONES = {
    "faster_rcnn_resnet50_keras": _resnet_c4(50),
    "faster_rcnn_resnet101_keras": _resnet_c4(101),
    "faster_rcnn_resnet152_keras": _resnet_c4(152),
    "faster_rcnn_resnet50_fpn_keras": _resnet_fpn(50),
    "faster_rcnn_resnet101_fpn_keras": _resnet_fpn(101),
    "faster_rcnn_resnet152_fpn_keras": _resnet_fpn(152),
    "faster_rcnn_inception_resnet_v2_keras": _inception_resnet_v2("same"),
    "faster_rcnn_resnet50": _slim_resnet(50),
    "faster_rcnn_resnet101": _slim_resnet(101),
    "faster_rcnn_resnet152": _slim_resnet(152),
    "faster_rcnn_inception_v2": Backbone(_inception_v2, strides=(8, 16)),
    "faster_rcnn_inception_resnet_v2": _inception_resnet_v2("valid"),
    "faster_rcnn_resnet18_fpn_keras": _resnet_fpn(18, dense_units=512, tfod=False),
}
