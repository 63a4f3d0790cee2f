"""Losses of boxes, classes and masks, elementwise and without weights; callers weigh and sum.

Also what TFOD keeps with them: the hard example miner and the score converter.
"""

from typing import NamedTuple

import tensorflow as tf

from object_detection.errors import ConfigError
from object_detection.ops import nms


def smooth_l1(prediction, target, delta=1.0):
    """Huber loss summed over the last axis (Fast R-CNN equation 3, where delta is 1).

    Args:
        prediction, target: [..., 4].
        delta: where the square becomes a line of slope `delta`.

    Returns:
        [...].
    """
    error = tf.abs(prediction - target)
    square = tf.minimum(error, delta)
    return tf.reduce_sum(0.5 * square * square + delta * (error - square), axis=-1)


def softmax_cross_entropy(logits, onehot, logit_scale=1.0):
    """Cross-entropy of softmax(logits / logit_scale): [..., C] twice -> [...].

    Args:
        logits: [..., C].
        onehot: [..., C] target distribution.
        logit_scale: temperature.
    """
    return tf.nn.softmax_cross_entropy_with_logits(onehot, logits / logit_scale)


def softmax_cross_entropy_against_logits(logits, target_logits, logit_scale=1.0):
    """Cross-entropy against the softmax of other logits (a teacher's): [..., C] twice -> [...]."""
    return softmax_cross_entropy(logits, tf.nn.softmax(target_logits / logit_scale), logit_scale)


def sigmoid_cross_entropy(logits, targets):
    """Cross-entropy of each logit independently: [...] twice -> [...]; targets in 0..1."""
    return tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)


def sigmoid_focal(logits, targets, gamma=2.0, alpha=None):
    """Focal loss of each logit independently (RetinaNet section 3).

    Args:
        logits, targets: [...]; targets 0 or 1.
        gamma: how fast easy examples lose weight.
        alpha: weight of positives, 1 - alpha that of negatives; None weighs neither.

    Returns:
        [...].
    """
    # One less the probability of the right answer is exp(-softplus(z)), with z the logit of the
    # right answer: so its power has a finite gradient everywhere, for gamma below 1 too.
    right = logits * (2.0 * targets - 1.0)
    loss = sigmoid_cross_entropy(logits, targets) * tf.exp(-gamma * tf.nn.softplus(right))
    if alpha is not None:
        loss *= targets * alpha + (1.0 - targets) * (1.0 - alpha)
    return loss


class HardExampleMiner(NamedTuple):
    """Keeps the boxes with the highest losses (Shrivastava et al. 2016, OHEM).

    TFOD's limit on negatives per positive is not here: its Faster R-CNN never applies it.
    """

    num_hard_examples: int  # 0 keeps all that suppression leaves
    iou_threshold: float  # boxes that overlap a kept one more than this are dropped
    loss_type: str  # BOTH, CLASSIFICATION or LOCALIZATION: what the boxes are ranked by
    localization_weight: float = 1.0  # of BOTH
    classification_weight: float = 1.0  # of BOTH

    def choose(self, localization, classification, boxes, valid):
        """Which boxes' losses count.

        Args:
            localization, classification: [B, N] losses of each box.
            boxes: [B, N, 4], what suppression compares.
            valid: [B, N] bool.

        Returns:
            [B, N] bool.

        Raises:
            ConfigError: an unknown `loss_type`.
        """
        ranked_by = {
            "CLASSIFICATION": classification,
            "LOCALIZATION": localization,
            "BOTH": classification * self.classification_weight
            + localization * self.localization_weight,
        }
        if self.loss_type not in ranked_by:
            raise ConfigError(
                f"HardExampleMiner.loss_type is {self.loss_type!r}; "
                f"supported: {', '.join(ranked_by)}"
            )
        return nms.keep_best(
            tf.stop_gradient(boxes),
            tf.stop_gradient(ranked_by[self.loss_type]),
            valid,
            iou_threshold=self.iou_threshold,
            max_output=self.num_hard_examples or tf.shape(boxes)[1],
        )


def score_converter(kind, logit_scale=1.0):
    """The function from class logits [..., C + 1] to scores of the same shape.

    Args:
        kind: IDENTITY, SIGMOID or SOFTMAX.
        logit_scale: logits are divided by it first.

    Raises:
        ConfigError: another kind.
    """
    converters = {"IDENTITY": tf.identity, "SIGMOID": tf.sigmoid, "SOFTMAX": tf.nn.softmax}
    if kind not in converters:
        raise ConfigError(f"score_converter is {kind!r}; supported: {', '.join(converters)}")
    return lambda logits: converters[kind](logits / logit_scale)
