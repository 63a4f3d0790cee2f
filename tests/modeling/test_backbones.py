"""The table of extractors: which hyper-parameters reach which layers."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.modeling.backbones import BACKBONES, ExtractorSpec, fpn
from object_detection.modeling.conv_block import ConvBlock, Hyperparams, Norm

OWN = Hyperparams(
    penalty=lambda kernel: 3.0 * tf.reduce_sum(tf.square(kernel)),
    activation="relu6",
    norm=Norm(epsilon=0.5, live=True),
)
C4 = ["faster_rcnn_resnet50_keras", "faster_rcnn_resnet50"]


def _convs(extractor):
    """{path: block} of the convolutions in the features, and those of the base network alone."""
    extractor.features.build((None, None, None, 3))
    blocks = [x for x in extractor.features._flatten_layers() if isinstance(x, ConvBlock)]
    by_path = {x.kernel.path.rpartition("/")[0]: x for x in blocks}
    return by_path, [x for path, x in by_path.items() if "/resnet" in path]


def _squares(blocks):
    return sum(float(tf.reduce_sum(tf.square(x.kernel))) for x in blocks)


@pytest.mark.parametrize("name", [*C4, "faster_rcnn_resnet50_fpn_keras"])
def test_base_network_has_its_own_hyperparams(name):
    _, base = _convs(BACKBONES[name].build(ExtractorSpec(hyperparams=OWN)))

    assert {x.norm for x in base} == {Norm(momentum=0.997, epsilon=1e-5)}
    assert {x.activation for x in base} <= {"relu", None}


@pytest.mark.parametrize("name", [*C4, "faster_rcnn_resnet50_fpn_keras"])
def test_override_puts_those_of_the_config_into_it(name):
    spec = ExtractorSpec(hyperparams=OWN, override_base=True)
    extractor = BACKBONES[name].build(spec)
    _, base = _convs(extractor)

    assert {x.norm for x in base} == {OWN.norm._replace(live=False)}
    assert {x.activation for x in base} == {"relu6", None}  # None: projecting shortcuts
    assert all(x.hyperparams.penalty is OWN.penalty for x in base)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("name", [*C4, "faster_rcnn_resnet50_fpn_keras"])
def test_norms_are_live_where_batch_norm_trainable(name, live):
    extractor = BACKBONES[name].build(ExtractorSpec(hyperparams=OWN, live_norm=live))
    convs, _ = _convs(extractor)

    assert {x.norm.live for x in convs.values() if x.norm} == {live}


def test_without_a_norm_a_base_network_has_no_bias_either():
    spec = ExtractorSpec(hyperparams=Hyperparams(), override_base=True)
    _, base = _convs(BACKBONES["faster_rcnn_resnet50_keras"].build(spec))

    assert {x.bias for x in base} == {None}


@pytest.mark.parametrize(
    ("name", "base_decay"),
    [
        # TFOD passes its weight decay of 0 to the C4 networks, and forgets to in the pyramids,
        # whose base networks keep the 1e-4 that they have by default.
        ("faster_rcnn_resnet50_fpn_keras", 1e-4),
        ("faster_rcnn_resnet50_keras", 0.0),
        ("faster_rcnn_resnet18_fpn_keras", 0.0),
    ],
)
def test_regularization_of_the_base_network(name, base_decay):
    convs, base = _convs(BACKBONES[name].build(ExtractorSpec(hyperparams=OWN)))
    neck = [x for x in convs.values() if not any(x is y for y in base)]
    got = sum(float(x.penalty()) for x in convs.values() if x.hyperparams.penalty)

    np.testing.assert_allclose(got, base_decay * _squares(base) + 3.0 * _squares(neck), rtol=1e-4)


def test_first_values_of_tfods_keras_networks():
    """Variance 1 / fan-in; slim's have 2 / fan-in. Stem: 7 * 7 * 3 = 147 values a filter."""
    for name, variance in (("faster_rcnn_resnet50_keras", 1 / 147), (C4[1], 2 / 147)):
        _, base = _convs(BACKBONES[name].build(ExtractorSpec()))
        stem = next(x for x in base if x.kernel.shape[0] == 7)
        assert float(tf.math.reduce_variance(stem.kernel)) == pytest.approx(variance, rel=0.1)


def test_doubled_cells_are_added_to_four_each():
    x = tf.reshape(tf.range(2.0 * 2 * 3 * 4), [2, 2, 3, 4])
    lateral = tf.random.stateless_normal([2, 4, 6, 4], seed=[0, 1])
    cells = np.repeat(np.repeat(x, 2, axis=1), 2, axis=2)
    np.testing.assert_array_equal(fpn.add_doubled(lateral, x, True), lateral + cells)
    cut = lateral[:, :3, :5]
    np.testing.assert_array_equal(fpn.add_doubled(cut, x, False), cut + cells[:, :3, :5])
