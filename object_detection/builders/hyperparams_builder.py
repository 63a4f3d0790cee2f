"""`Hyperparams` messages -> `conv_block.Hyperparams`.

TFOD reads these messages in two ways, one for its TF2 models (Keras) and one for its TF1 models
(slim); where numbers hang on which, `slim` tells. `op` is read by neither here: a layer is what its
place makes it. (TFOD's TF1 models leave layers at slim's defaults where `op` names the other kind.)
"""

import functools

import keras
import tensorflow as tf

from object_detection.builders.pick import check_message, pick
from object_detection.modeling.conv_block import Hyperparams, Norm

_ACTIVATIONS = {"NONE": None, "RELU": "relu", "RELU_6": "relu6", "SWISH": "swish"}


def _truncated_normal(config):
    return keras.initializers.TruncatedNormal(mean=config.mean, stddev=config.stddev)


def _random_normal(config):
    return keras.initializers.RandomNormal(mean=config.mean, stddev=config.stddev)


# slim draws from a normal of variance 1.3 * factor / n cut at two deviations; Keras widens the
# normal by 1 / 0.8796 to have the variance right after the cut.
_SLIM_FACTOR = 1.3 * 0.87962566103423978**2


def _variance_scaling(config, slim=False):
    mode = config.Mode.Name(config.mode).lower()
    # TFOD's Keras layers draw with the truncated form where `uniform` is off.
    return keras.initializers.VarianceScaling(
        scale=config.factor * (_SLIM_FACTOR if slim and not config.uniform else 1.0),
        mode=mode,
        distribution="uniform" if config.uniform else "truncated_normal",
    )


INITIALIZERS = {
    "truncated_normal_initializer": _truncated_normal,
    "variance_scaling_initializer": _variance_scaling,
    "random_normal_initializer": _random_normal,
    "keras_initializer_by_name": keras.initializers.get,
}


def _l1(kernel, weight):
    return weight * tf.reduce_sum(tf.abs(kernel))


def _l2(kernel, weight):
    """As TFOD's: half the sum of squares."""
    return weight * tf.nn.l2_loss(kernel)


REGULARIZERS = {
    "l1_regularizer": lambda config: functools.partial(_l1, weight=config.weight),
    "l2_regularizer": lambda config: functools.partial(_l2, weight=config.weight),
}


def _batch_norm(config, kind="batch"):
    return Norm(
        kind=kind,
        momentum=config.decay,
        epsilon=config.epsilon,
        center=config.center,
        scale=config.scale,
        live=config.train,
    )


NORMS = {
    "batch_norm": _batch_norm,
    "sync_batch_norm": lambda c: _batch_norm(c, kind="sync"),
    # TFOD's TF2 models pass over group_norm; its TF1 models have slim's, epsilon included.
    "group_norm": lambda c: Norm(kind="group", epsilon=1e-6),
}


def build(config, *, is_training, slim=False):
    """The `Hyperparams` of a message.

    Args:
        config: a `Hyperparams` message.
        is_training: with False, batch norm uses its moving statistics whatever `train` says.
        slim: whether the model is one of TFOD's TF1 models.
    """
    check_message(config, "Hyperparams", "hyperparams_config")
    penalty = None
    if config.HasField("regularizer") and config.regularizer.WhichOneof("regularizer_oneof"):
        penalty = _penalty(config.regularizer)
    norm = None
    if config.WhichOneof("normalizer_oneof"):
        norm = pick(config, "normalizer_oneof", NORMS)
        norm = norm._replace(live=norm.live and is_training)
    initializer = "glorot_uniform"  # what Keras layers have of themselves
    if config.HasField("initializer") and config.initializer.WhichOneof("initializer_oneof"):
        scaling = functools.partial(_variance_scaling, slim=slim)
        table = INITIALIZERS | {"variance_scaling_initializer": scaling}
        initializer = pick(config.initializer, "initializer_oneof", table)
    # TFOD's Keras layers have a bias where the norm has no offset; slim's have none with a norm.
    without_offset = norm is not None and norm.kind != "group" and not norm.center and not slim
    return Hyperparams(
        initializer=initializer,
        penalty=penalty,
        activation=_ACTIVATIONS[config.Activation.Name(config.activation)],
        norm=norm,
        use_bias=config.force_use_bias or without_offset,
    )


def _penalty(regularizer):
    """None for a weight of 0, so that nothing is computed for it."""
    selected = getattr(regularizer, regularizer.WhichOneof("regularizer_oneof"))
    return pick(regularizer, "regularizer_oneof", REGULARIZERS) if selected.weight else None
