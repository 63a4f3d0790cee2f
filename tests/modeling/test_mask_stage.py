"""The mask loss apart from the network."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import truth_of

from object_detection.modeling.mask_stage import MaskStage
from object_detection.structures.batch import Images, Rois

SETTINGS = SimpleNamespace(class_agnostic=False, spatial=False, loss_per_replica=True)


@pytest.mark.parametrize(
    ("has_mask", "expected"),
    [
        # The logits of image 1 are 0, a loss of ln 2 at each pixel; those of image 2 are -100
        # where its mask is 1.
        (None, (np.log(2) + 100) / 2),
        ([[True], [True]], (np.log(2) + 100) / 2),
        ([[True], [False]], np.log(2)),
        ([[False], [False]], 0.0),
    ],
)
def test_an_object_whose_mask_is_not_known_has_no_weight(has_mask, expected):
    head = SimpleNamespace(settings=SETTINGS, mask_size=(4, 4), num_classes=3)
    stage = MaskStage(head)
    boxes = tf.constant([[[0.0, 0, 32, 32]]] * 2)
    truth = truth_of(boxes)
    if has_mask is not None:
        masks = truth.masks._replace(present=tf.constant(has_mask))
        truth = truth._replace(masks=masks)
    zeros = tf.zeros([2, 1], tf.int32)
    rois = Rois(boxes, zeros == 0, zeros + 1, boxes, zeros, tf.ones([2, 1]))
    logits = tf.stack([tf.zeros([4, 4]), tf.fill([4, 4], -100.0)])
    images = Images(tf.zeros([2, 32, 32, 3]), tf.constant([[32, 32]] * 2))

    loss = stage.loss_of(logits, tf.constant([[0, 0], [1, 0]]), rois, truth, images)

    np.testing.assert_allclose(loss, expected, rtol=1e-6)
