"""bfloat16 products: everything else stays float32, and float32 networks are as they were.

bfloat16 keeps 8 significant bits, so each rounding is off by 2^-9 = 0.2 % at most; some twenty
convolutions one after the other add up, as random walks do, to about 1 %.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from absl import logging

from object_detection.modeling import precision
from object_detection.modeling.backbones import BACKBONES, ExtractorSpec
from object_detection.modeling.conv_block import ConvBlock, DenseBlock, Norm
from object_detection.modeling.precision import BFLOAT16, FLOAT32, ProductLayer, compute_in
from object_detection.protos.model_pb2 import DetectionModel
from object_detection.structures.batch import Rois

NORMS = {
    "none": None,
    "frozen": Norm(),
    "live": Norm(live=True),
    "sync": Norm(kind="sync", live=True),
    "group": Norm(kind="group"),
}


def _off_by(got, expected):
    """Length of the difference over the length of what is expected."""
    return float(tf.norm(tf.cast(got, tf.float32) - expected) / tf.norm(expected))


def _block(block, channels=8):
    block.build((None, None, None, channels) if isinstance(block, ConvBlock) else (None, channels))
    return block


def _output_and_gradients(block, x):
    with tf.GradientTape() as tape:
        y = tf.cast(block(x, training=True), tf.float32)
        loss = tf.reduce_sum(y * tf.random.stateless_uniform(tf.shape(y), [3, 4]))
    weights = {v.name: v.value for v in block.trainable_variables}
    return y, tape.gradient(loss, weights)


@pytest.mark.parametrize("norm", NORMS)
def test_a_convolution_is_close_and_its_type_is_bfloat16(norm):
    block = _block(ConvBlock(32, 3, norm=NORMS[norm]))
    x = tf.random.stateless_normal([2, 9, 11, 8], [1, 2])
    expected = block(x, training=True, residual=None)
    compute_in(block, BFLOAT16)
    y = block(x, training=True)

    assert (expected.dtype, y.dtype) == (tf.float32, tf.bfloat16)
    assert _off_by(y, expected) < 0.01
    assert {v.dtype for v in block.variables} == {"float32"}


# A map of 60000 pixels: a sum in bfloat16 would stop at a fraction of it.
@pytest.mark.parametrize("norm", ["none", "frozen", "live", "group"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_gradients_of_biases_and_norms_are_summed_up_in_float32(norm, dilation):
    block = _block(ConvBlock(32, 3, norm=NORMS[norm], dilation=dilation))
    x = 0.5 + tf.random.stateless_normal([1, 200, 300, 8], [1, 2])
    step = tf.function(lambda x: _output_and_gradients(block, x)[1])
    expected = step(x)
    compute_in(block, BFLOAT16)
    found = tf.function(lambda x: _output_and_gradients(block, x)[1])(x)

    vectors = {"bias", "gamma", "beta"} & expected.keys()
    assert vectors
    for name in vectors:
        assert found[name].dtype == tf.float32
        np.testing.assert_allclose(found[name], expected[name], rtol=0.02)


def test_gradients_of_a_dense_bias_are_summed_up_in_float32():
    block = _block(DenseBlock(4, activation="relu"))
    block.bias.assign(tf.ones([4]))
    x = 0.1 * tf.random.stateless_normal([20000, 8], [1, 2])
    expected = _output_and_gradients(block, x)[1]["bias"]
    compute_in(block, BFLOAT16)

    found = _output_and_gradients(block, x)[1]["bias"]

    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_statistics_of_a_live_norm_do_not_lose_digits():
    block = _block(ConvBlock(4, 1, norm=Norm(live=True, momentum=0.999)))
    block.moving_mean.assign(tf.fill([4], 100.0))
    compute_in(block, BFLOAT16)
    for _ in range(3):
        block(tf.zeros([1, 4, 4, 8]), training=True)

    # Each step takes a thousandth off; in bfloat16 100 - 0.1 is 100.
    np.testing.assert_allclose(block.moving_mean, np.full(4, 100 * 0.999**3), rtol=1e-6)


def test_a_dense_norm_is_computed_in_float32():
    block = _block(DenseBlock(16, norm=Norm(), activation="relu"))
    x = tf.random.stateless_normal([64, 8], [1, 2])
    expected = block(x)
    compute_in(block, BFLOAT16)
    seen = []
    call = block.norm_layer.call
    block.norm_layer.call = lambda x, **kwargs: seen.append(x.dtype) or call(x, **kwargs)

    assert _off_by(block(x), expected) < 0.01
    assert seen == [tf.float32]


def test_the_last_layer_of_a_head_stays_float32():
    block = _block(ConvBlock(4, 1, keep_float32=True))
    x = tf.random.stateless_normal([1, 4, 4, 8], [1, 2])
    expected = block(x)
    compute_in(block, BFLOAT16)

    np.testing.assert_array_equal(block(x), expected)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_hands_bfloat16_from_convolution_to_convolution(name):
    extractor = BACKBONES[name].build(ExtractorSpec())
    for part in (extractor.features, extractor.box_trunk):
        compute_in(part, BFLOAT16)
        layers = part._flatten_layers()
        own = [layer for layer in layers if isinstance(layer, ProductLayer)]

        assert own and all(layer.product_dtype == BFLOAT16 for layer in own)
        assert not any(layer.autocast for layer in layers)
        foreign = [layer for layer in layers if type(layer).__module__.startswith("keras.")]
        assert all(isinstance(layer, keras.layers.BatchNormalization) for layer in foreign)


@pytest.fixture(scope="module")
def both():
    """A network, images, and the raw tensors of its stages in each precision, for the same rois."""
    network = tiny_models.network_of(is_training=False)
    images = tiny_models.images_of_shapes([(64, 96), (64, 80)])
    boxes = tf.tile([[[4.0, 8, 60, 70], [20, 10, 44, 40], [0, 0, 63, 79]]], [2, 1, 1])

    def stages():
        features = network.extract(images)
        rois = Rois(boxes, tf.ones([2, 3], tf.bool))
        image_shape = tf.shape(images.pixels)[1:3]
        output, trunk = network.roi_stage(features.levels, rois, image_shape)
        logits = network.mask_stage.logits_of_all_rois(
            features.levels, boxes, trunk, network.roi_stage.cropper, image_shape
        )
        maps = {f"level {k}": v for k, v in features.levels.items()}
        heads = {
            "objectness": features.rpn.objectness,
            "rpn deltas": features.rpn.deltas,
            "classes": output.class_logits,
            "deltas": output.deltas,
            "masks": logits,
        }
        return maps, heads, network.detect(features, images).detections

    found = {}
    for name in (FLOAT32, BFLOAT16, "again"):
        compute_in(network, FLOAT32 if name == "again" else name)
        found[name] = stages()
    return network, found


def test_a_detector_in_bfloat16_is_close_to_itself_in_float32(both):
    _, found = both
    maps, heads, detections = found[BFLOAT16]
    expected_maps, expected_heads, _ = found[FLOAT32]

    for name, value in maps.items():
        assert value.dtype == tf.bfloat16
        assert _off_by(value, expected_maps[name]) < 0.02, name
    for name, value in heads.items():
        assert value.dtype == tf.float32
        # Random heads read differences of large features: they see several times their error.
        assert _off_by(value, expected_heads[name]) < 0.1, name
    assert all(
        value.dtype in (tf.float32, tf.int32, tf.bool) for value in detections if value is not None
    )


def test_float32_is_bit_for_bit_what_it_was(both):
    _, found = both
    tf.nest.map_structure(np.testing.assert_array_equal, found[FLOAT32], found["again"])


def test_nothing_leaks_into_other_models(both):
    network, _ = both
    compute_in(network, BFLOAT16)

    assert keras.config.dtype_policy().name == "float32"
    assert keras.layers.Dense(2)(tf.ones([1, 3])).dtype == tf.float32
    assert {v.dtype for v in network.variables} == {"float32"}
    compute_in(network, FLOAT32)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'float16'; allowed are float32 and bfloat16"):
        tiny_models.model_builder.build_network(DetectionModel(), False, "float16")


@pytest.mark.parametrize(
    ("flags", "is_reported"),
    [("fpu avx2 avx512f", True), ("fpu avx512_bf16", False), ("amx_bf16 amx_tile", False)],
)
def test_a_cpu_without_fast_bfloat16_is_reported(flags, is_reported, tmp_path, monkeypatch, caplog):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    read = precision.cpu_flags
    monkeypatch.setattr(precision, "cpu_flags", lambda: read(tmp_path / "cpuinfo"))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(logging.get_absl_logger(), "propagate", True)
    with caplog.at_level("INFO", logger="absl"):
        compute_in(ConvBlock(1, 1), BFLOAT16)

    assert ("slower than float32" in caplog.text) == is_reported


def test_a_machine_that_does_not_tell_its_cpu_is_not_judged(tmp_path):
    assert precision.cpu_flags(tmp_path / "nowhere") == set()
