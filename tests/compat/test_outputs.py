"""TFOD's names and units of losses and detections."""

import numpy as np
import tensorflow as tf
from tiny_models import images_of_shapes, network_of

from object_detection.compat.outputs import named_losses, serving_outputs
from object_detection.structures.batch import Losses


def test_loss_names_and_total():
    losses = Losses(*(tf.constant(x) for x in (1.0, 2.0, 3.0, 4.0, 5.0)))
    named = named_losses(losses, tf.constant(0.5))

    assert {k: float(v) for k, v in named.items()} == {
        "Loss/RPNLoss/localization_loss": 1.0,
        "Loss/RPNLoss/objectness_loss": 2.0,
        "Loss/BoxClassifierLoss/localization_loss": 3.0,
        "Loss/BoxClassifierLoss/classification_loss": 4.0,
        "Loss/BoxClassifierLoss/mask_loss": 5.0,
        "Loss/regularization_loss": 0.5,
        "Loss/total_loss": 15.5,
    }


def test_a_model_of_one_stage_has_two_losses():
    named = named_losses(Losses(tf.constant(1.0), tf.constant(2.0)))
    assert sorted(named) == [
        "Loss/RPNLoss/localization_loss",
        "Loss/RPNLoss/objectness_loss",
        "Loss/total_loss",
    ]


def test_boxes_are_parts_of_the_true_image():
    images = images_of_shapes([(64, 80), (32, 40)])
    inference = network_of()(images)
    outputs = serving_outputs(inference, images)

    pixels = inference.detections.boxes.numpy()
    np.testing.assert_allclose(outputs["detection_boxes"][1], pixels[1] / [32, 40, 32, 40])
    assert all(v.dtype == tf.float32 for v in outputs.values())
    valid = inference.detections.valid.numpy()
    np.testing.assert_array_equal(outputs["num_detections"], valid.sum(1))
    assert np.all(outputs["detection_classes"].numpy()[~valid] == 1)


def test_raw_outputs_carry_tfods_names():
    images = images_of_shapes([(64, 80)])
    inference = network_of()(images, all_masks=True)
    extra = set(serving_outputs(inference, images, raw=True)) - set(
        serving_outputs(inference, images)
    )
    assert extra == {
        "anchors",
        "box_classifier_features",
        "class_predictions_with_background",
        "final_anchors",
        "image_shape",
        "mask_predictions",
        "num_proposals",
        "proposal_boxes",
        "proposal_boxes_normalized",
        "refined_box_encodings",
        "rpn_box_encodings",
        "rpn_objectness_predictions_with_background",
    }
