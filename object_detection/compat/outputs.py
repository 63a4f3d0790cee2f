"""Our structures in TFOD's words and units: loss names, and what a SavedModel returns.

The second and last place that knows normalized boxes (the first is the record decoder).
"""

import tensorflow as tf

LOSS_NAMES = {
    "rpn_localization": "Loss/RPNLoss/localization_loss",
    "rpn_objectness": "Loss/RPNLoss/objectness_loss",
    "box_localization": "Loss/BoxClassifierLoss/localization_loss",
    "box_classification": "Loss/BoxClassifierLoss/classification_loss",
    "mask": "Loss/BoxClassifierLoss/mask_loss",
}
REGULARIZATION_LOSS = "Loss/regularization_loss"
TOTAL_LOSS = "Loss/total_loss"


def named_losses(losses, regularization=None):
    """{TFOD's name: scalar} with the total.

    Args:
        losses: `Losses`; members that are None are left out.
        regularization: scalar, or None where it is not part of the total.
    """
    named = {
        LOSS_NAMES[field]: value for field, value in losses._asdict().items() if value is not None
    }
    if regularization is not None:
        named[REGULARIZATION_LOSS] = regularization
    return {**named, TOTAL_LOSS: tf.add_n(list(named.values()))}


def serving_outputs(inference, images, *, raw=False):
    """The outputs of a SavedModel, all float32, classes 1-based (1 in padding, as TFOD has it).

    Args:
        inference: `Inference`.
        images: the `Images` it was made of.
        raw: adds TFOD's internal tensors, which its Mask R-CNN exports carry; the mask logits of
            all classes among them need an `Inference` made with `all_masks`.
    """
    detections = inference.detections
    size = tf.cast(images.true_shape, tf.float32)
    scale = tf.tile(size, [1, 2])[:, tf.newaxis]
    outputs = {
        "detection_boxes": detections.boxes / scale,
        "detection_scores": detections.scores,
        "detection_classes": tf.maximum(detections.classes, 1),
        "num_detections": tf.reduce_sum(tf.cast(detections.valid, tf.float32), axis=1),
        "detection_multiclass_scores": detections.multiclass_scores,
        "detection_anchor_indices": detections.anchor_index,
        "raw_detection_scores": detections.raw_scores,
        "detection_masks": detections.masks,
    }
    if detections.raw_boxes is not None:
        outputs["raw_detection_boxes"] = detections.raw_boxes / scale
    if raw:
        outputs.update(raw_outputs(inference, images))
    return {k: tf.cast(v, tf.float32) for k, v in outputs.items() if v is not None}


def raw_outputs(inference, images):
    """TFOD's prediction dict, as far as it holds tensors of one kind."""
    rpn, proposals = inference.rpn, inference.proposals
    shape = tf.shape(images.pixels)
    outputs = {
        "image_shape": shape,
        "anchors": rpn.anchors,
        "rpn_box_encodings": rpn.deltas,
        "rpn_objectness_predictions_with_background": rpn.objectness,
    }
    if inference.boxes is None:
        return outputs
    scale = tf.cast(tf.tile(shape[1:3], [2]), tf.float32)
    outputs |= {
        "proposal_boxes": proposals.boxes,
        "proposal_boxes_normalized": proposals.boxes / scale,
        "final_anchors": proposals.boxes / scale,
        "num_proposals": tf.reduce_sum(tf.cast(proposals.valid, tf.int32), 1),
        "refined_box_encodings": merge_first_two(inference.boxes.deltas),
        "class_predictions_with_background": merge_first_two(inference.boxes.class_logits),
        "box_classifier_features": merge_first_two(inference.trunk),
    }
    if inference.mask_logits is not None:
        outputs["mask_predictions"] = inference.mask_logits
    return outputs


def merge_first_two(x):
    """[B, R, ...] -> [B * R, ...]."""
    return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))
