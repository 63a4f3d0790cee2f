"""TFOD's face over the network, as fine-tuning colabs call it."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tiny_models import PYRAMID

from object_detection.builders import model_builder
from object_detection.protos import model_pb2


def _model(is_training):
    tf.keras.utils.set_random_seed(1)
    config = text_format.Parse(PYRAMID, model_pb2.DetectionModel())
    return model_builder.build(config, is_training)


def test_a_training_step_by_hand():
    model = _model(is_training=True)
    images, shapes = model.preprocess(np.full([1, 32, 40, 3], 99.0, np.float32))
    # 32 x 40 with the short side to 64: 64 x 80
    assert shapes.numpy().tolist() == [[64, 80, 3]]
    model.provide_groundtruth(
        groundtruth_boxes_list=[tf.constant([[0.1, 0.1, 0.6, 0.7]])],
        groundtruth_classes_list=[tf.one_hot([1], 3)],
        groundtruth_masks_list=[np.ones([1, 32, 40], np.float32)],
    )
    with tf.GradientTape() as tape:
        losses = model.loss(model.predict(images, shapes), shapes)
        total = tf.add_n(list(losses.values()))

    assert "Loss/BoxClassifierLoss/mask_loss" in losses
    gradients = tape.gradient(total, model.trainable_variables)
    assert sum(g is not None for g in gradients) > 50


def test_inference_has_zero_based_classes():
    model = _model(is_training=False)
    images, shapes = model.preprocess(np.zeros([1, 64, 64, 3], np.float32))
    prediction = model.predict(images, shapes)
    detections = model.postprocess(prediction, shapes)
    ours = prediction["inference"].detections
    valid = ours.valid.numpy()
    assert valid.any()
    np.testing.assert_array_equal(
        detections["detection_classes"].numpy()[valid], ours.classes.numpy()[valid] - 1
    )
    assert detections["detection_masks"].shape == (1, 12, 14, 14)


def test_training_needs_ground_truth():
    model = _model(is_training=True)
    images, shapes = model.preprocess(np.zeros([1, 64, 64, 3], np.float32))
    with pytest.raises(ValueError, match="provide_groundtruth before predict"):
        model.predict(images, shapes)
