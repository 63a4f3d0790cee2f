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
    outputs = detection_outputs(inference.detections, images.true_shape)
    outputs.update(final_features(inference.final_crops, inference.final_trunk))
    if raw:
        outputs.update(raw_outputs(inference, images))
    return {k: tf.cast(v, tf.float32) for k, v in outputs.items()}


def detection_outputs(detections, true_shape):
    """Detections by TFOD's names, boxes as parts of the true image, classes 1-based.

    Args:
        detections: `Detections`; what is None in them is left out.
        true_shape: [B, 2] int32.
    """
    scale = tf.tile(tf.cast(true_shape, tf.float32), [1, 2])[:, tf.newaxis]
    outputs = {
        "detection_boxes": detections.boxes / scale,
        "detection_scores": detections.scores,
        "detection_classes": tf.cast(tf.maximum(detections.classes, 1), tf.float32),
        "num_detections": tf.reduce_sum(tf.cast(detections.valid, tf.float32), axis=1),
        "detection_multiclass_scores": detections.multiclass_scores,
        "detection_anchor_indices": detections.anchor_index,
        "raw_detection_scores": detections.raw_scores,
        "detection_masks": detections.masks,
    }
    if detections.raw_boxes is not None:
        outputs["raw_detection_boxes"] = detections.raw_boxes / scale
    return {name: value for name, value in outputs.items() if value is not None}


def final_features(crops, trunk):
    """The features of the detections' boxes by TFOD's names.

    Args:
        crops: [B, D, s, s, C] or None; trunk: [B, D, s', s', C'] or None.
    """
    outputs = {"cropped_rpn_box_features": crops, "detection_features": trunk}
    return {k: tf.cast(v, tf.float32) for k, v in outputs.items() if v is not None}


def raw_outputs(inference, images):
    """The tensors of TFOD's prediction dict; its lists of maps are `feature_maps`."""
    shape = tf.shape(images.pixels)
    outputs = first_stage_outputs(inference.rpn, shape)
    if inference.boxes is None:
        return outputs
    outputs |= second_stage_outputs(inference.proposals, inference.boxes, inference.trunk, shape)
    if inference.mask_logits is not None:
        outputs["mask_predictions"] = inference.mask_logits
    return outputs


def first_stage_outputs(rpn, shape):
    """TFOD's tensors of the first stage.

    Args:
        rpn: `RPNOutput`, anchors placed.
        shape: [4] int32 of the batch of padded images.
    """
    return {
        "image_shape": shape,
        "anchors": rpn.anchors,
        "rpn_box_encodings": rpn.deltas,
        "rpn_objectness_predictions_with_background": rpn.objectness,
    }


def second_stage_outputs(rois, output, trunk, shape):
    """TFOD's tensors of the second stage.

    Args:
        rois: has boxes [B, R, 4] pixels and valid [B, R].
        output: `BoxOutput` of them.
        trunk: [B, R, s', s', C'], the box trunk's features of them.
        shape: [4] int32 of the batch of padded images.
    """
    scale = tf.cast(tf.tile(shape[1:3], [2]), tf.float32)
    return {
        "proposal_boxes": rois.boxes,
        "proposal_boxes_normalized": rois.boxes / scale,
        "final_anchors": rois.boxes / scale,
        "num_proposals": tf.reduce_sum(tf.cast(rois.valid, tf.int32), 1),
        "refined_box_encodings": merge_first_two(output.deltas),
        "class_predictions_with_background": merge_first_two(output.class_logits),
        "box_classifier_features": tf.cast(merge_first_two(trunk), tf.float32),
    }


def feature_maps(features):
    """The lists of TFOD's prediction dict, one map [B, h, w, C] a level each.

    Args:
        features: `Features`.
    """
    maps = [tf.cast(features.levels[level], tf.float32) for level in sorted(features.levels)]
    return {
        "rpn_box_predictor_features": [tf.cast(x, tf.float32) for x in features.rpn_hidden],
        "rpn_features_to_crop": maps,
        "feature_maps": maps,
    }


def merge_first_two(x):
    """[B, R, ...] -> [B * R, ...]."""
    return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))
