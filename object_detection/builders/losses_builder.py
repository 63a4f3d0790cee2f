"""`ClassificationLoss` messages -> functions on logits."""

import functools

import tensorflow as tf

from object_detection.builders.pick import check_message, pick
from object_detection.ops import losses


def _softmax(config):
    return functools.partial(losses.softmax_cross_entropy, logit_scale=config.logit_scale)


def _softmax_against_logits(config):
    return functools.partial(
        losses.softmax_cross_entropy_against_logits, logit_scale=config.logit_scale
    )


def _sigmoid(config):
    del config
    return lambda logits, onehot: tf.reduce_sum(losses.sigmoid_cross_entropy(logits, onehot), -1)


def _sigmoid_focal(config):
    gamma = config.gamma
    alpha = config.alpha if config.HasField("alpha") else None

    def loss(logits, onehot):
        return tf.reduce_sum(losses.sigmoid_focal(logits, onehot, gamma, alpha), -1)

    return loss


# What TFOD's Faster R-CNN takes; `anchorwise_output` does not matter there.
CLASSIFICATION_LOSSES = {
    "weighted_sigmoid": _sigmoid,
    "weighted_softmax": _softmax,
    "weighted_sigmoid_focal": _sigmoid_focal,
    "weighted_logits_softmax": _softmax_against_logits,
}


def build_faster_rcnn_classification_loss(config):
    """(logits [B, R, C + 1], one-hot targets) -> loss [B, R]; softmax unless the config says.

    Args:
        config: a `ClassificationLoss` message.

    Raises:
        ValueError: a loss that Faster R-CNN does not take.
    """
    check_message(config, "ClassificationLoss", "loss_config")
    if config.WhichOneof("classification_loss") is None:
        return losses.softmax_cross_entropy
    return pick(config, "classification_loss", CLASSIFICATION_LOSSES)


def build_hard_example_miner(config, *, localization_weight, classification_weight):
    """The `losses.HardExampleMiner` of a `HardExampleMiner` message.

    Args:
        config: the message. Its limits on negatives are not read: TFOD's Faster R-CNN never
            applies them.
        localization_weight, classification_weight: of the losses, for the rank of a region where
            `loss_type` is BOTH.
    """
    check_message(config, "HardExampleMiner", "config")
    return losses.HardExampleMiner(
        num_hard_examples=config.num_hard_examples,
        iou_threshold=config.iou_threshold,
        loss_type=config.LossType.Name(config.loss_type),
        localization_weight=localization_weight,
        classification_weight=classification_weight,
    )
