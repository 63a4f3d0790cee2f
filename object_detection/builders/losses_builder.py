"""`ClassificationLoss` messages -> functions on logits."""

import functools

from object_detection.builders.pick import pick
from object_detection.ops import losses

CLASSIFICATION_LOSSES = {
    "weighted_softmax": lambda c: functools.partial(
        losses.softmax_cross_entropy, logit_scale=c.logit_scale
    ),
}


def build_faster_rcnn_classification_loss(config):
    """(logits [B, R, C + 1], one-hot targets) -> loss [B, R]; softmax unless the config says.

    Args:
        config: a `ClassificationLoss` message.
    """
    if config.WhichOneof("classification_loss") is None:
        return losses.softmax_cross_entropy
    return pick(config, "classification_loss", CLASSIFICATION_LOSSES)
