"""What a `Hyperparams` message makes of layers, in TFOD's TF2 and TF1 sense."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import hyperparams_builder
from object_detection.modeling.conv_block import ConvBlock, Norm
from object_detection.protos import hyperparams_pb2


def built(text, *, is_training=True, slim=False):
    config = text_format.Parse(text, hyperparams_pb2.Hyperparams())
    return hyperparams_builder.build(config, is_training=is_training, slim=slim)


def drawn(text, *, slim=False, shape=(1, 1, 1000, 500)):
    """A million values, more or less, of a 1 x 1 kernel from 1000 to 500 channels."""
    keras.utils.set_random_seed(3)
    initializer = built(f"initializer {{ {text} }}", slim=slim).initializer
    return np.asarray(keras.initializers.get(initializer)(shape))


@pytest.mark.parametrize(
    ("text", "mean", "deviation", "largest"),
    [
        # Cut at two deviations, which leaves .8796 of a deviation.
        ("truncated_normal_initializer { mean: 1 stddev: 0.1 }", 1.0, 0.08796, 0.2),
        ("random_normal_initializer { mean: -1 stddev: 0.1 }", -1.0, 0.1, np.inf),
        # Variance 2 / 1000, 2 / 500, 2 / 750; uniform values end at the root of three variances.
        ("variance_scaling_initializer {}", 0.0, 0.04472, 2 * 0.04472 / 0.87962),
        ("variance_scaling_initializer { mode: FAN_OUT }", 0.0, 0.06325, np.inf),
        ("variance_scaling_initializer { mode: FAN_AVG uniform: true }", 0, 0.05164, 0.08945),
        ('keras_initializer_by_name: "ones"', 1.0, 0.0, 0.0),
    ],
)
def test_initializers(text, mean, deviation, largest):
    values = drawn(text).astype(np.float64)

    np.testing.assert_allclose(values.mean(), mean, atol=5e-4)
    np.testing.assert_allclose(values.std(), deviation, rtol=2e-3)
    assert np.abs(values - mean).max() <= largest + 1e-5


def test_variance_scaling_of_slim_is_a_little_wider():
    # The root of 1.3 * 2 / 1000, times .87963: 1.003 times Keras's.
    values = drawn("variance_scaling_initializer {}", slim=True)
    np.testing.assert_allclose(values.std(), 0.044853, rtol=1.5e-3)
    assert np.abs(values).max() <= 2 * 0.0509902 + 1e-6
    uniform = "variance_scaling_initializer { uniform: true }"
    np.testing.assert_array_equal(drawn(uniform, slim=True), drawn(uniform))


def test_without_an_initializer_it_is_that_of_keras():
    assert built("").initializer == "glorot_uniform"


@pytest.mark.parametrize(
    ("text", "penalty"),
    [
        ("l1_regularizer { weight: 0.5 }", 3.5),  # .5 * (3 + 4)
        ("l2_regularizer { weight: 0.5 }", 6.25),  # .5 * (9 + 16) / 2
    ],
)
def test_regularizers(text, penalty):
    found = built(f"regularizer {{ {text} }}").penalty(tf.constant([3.0, -4.0]))
    assert float(found) == penalty


@pytest.mark.parametrize(
    "text", ["", "regularizer {}", "regularizer { l2_regularizer {weight: 0}}"]
)
def test_no_penalty(text):
    assert built(text).penalty is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("NONE", [-1, 1, 9]), ("RELU", [0, 1, 9]), ("RELU_6", [0, 1, 6]), ("SWISH", None)],
)
def test_activations(name, expected):
    block = ConvBlock.from_hyperparams(built(f"activation: {name}"), 1, 1)
    block.build((None, None, None, 1))
    block.kernel.assign([[[[1.0]]]])
    x = tf.constant([-1.0, 1.0, 9.0])
    expected = x * tf.sigmoid(x) if expected is None else expected
    np.testing.assert_allclose(block(tf.reshape(x, [1, 1, 3, 1]))[0, 0, :, 0], expected, rtol=1e-6)


def test_batch_norms():
    text = "{ decay: 0.5 center: false scale: true epsilon: 0.25 }"
    plain = Norm(kind="batch", momentum=0.5, epsilon=0.25, center=False, scale=True, live=True)
    assert built(f"batch_norm {text}").norm == plain
    assert built(f"sync_batch_norm {text}").norm == plain._replace(kind="sync")
    assert not built("batch_norm { train: false }").norm.live
    assert not built("batch_norm {}", is_training=False).norm.live
    assert built("").norm is None


def test_group_norm_is_that_of_slim():
    assert built("group_norm {}").norm == Norm(kind="group", epsilon=1e-6)


@pytest.mark.parametrize(
    ("text", "slim", "expected"),
    [
        ("", False, True),
        ("batch_norm {}", False, False),
        ("batch_norm { center: false }", False, True),
        ("batch_norm { center: false }", True, False),
        ("batch_norm {} force_use_bias: true", False, True),
        ("group_norm {}", False, False),
    ],
)
def test_a_bias_stands_where_tfod_has_one(text, slim, expected):
    assert ConvBlock.from_hyperparams(built(text, slim=slim), 1, 1).use_bias == expected
