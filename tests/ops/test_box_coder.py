"""The box coder: by hand, there and back, and TFOD's."""

import numpy as np
import tensorflow as tf
from random_boxes import random_boxes
from reference import blocks, needs_reference

from object_detection.ops import box_coder

GOLDEN = blocks("box_coder")
PLAIN = (1.0, 1.0, 1.0, 1.0)


def test_encode_by_hand():
    anchor = tf.constant([0.0, 0.0, 10.0, 20.0])  # centre (5, 10), 10 x 20
    box = tf.constant([4.0, 5.0, 8.0, 35.0])  # centre (6, 20), 4 x 30
    # ((6 - 5) / 10, (20 - 10) / 20, log(4 / 10), log(30 / 20))
    expected = [0.1, 0.5, np.log(0.4), np.log(1.5)]
    np.testing.assert_allclose(box_coder.encode(box, anchor, scales=PLAIN), expected, rtol=1e-6)
    np.testing.assert_allclose(
        box_coder.encode(box, anchor), np.multiply(expected, [10, 10, 5, 5]), rtol=1e-6
    )


def test_no_deltas_leave_the_anchor():
    anchors = random_boxes(0, 6)
    np.testing.assert_allclose(box_coder.decode(tf.zeros([6, 4]), anchors), anchors, rtol=1e-5)


def test_decode_undoes_encode():
    anchors, boxes = random_boxes(0, 3, 40) + [0, 0, 1, 1], random_boxes(1, 3, 40) + [0, 0, 1, 1]
    anchors, boxes = anchors.astype(np.float32), boxes.astype(np.float32)
    back = box_coder.decode(box_coder.encode(boxes, anchors), anchors)
    np.testing.assert_allclose(back, boxes, rtol=1e-4, atol=1e-3)


def test_the_deltas_of_all_classes_move_one_anchor():
    anchors, deltas = random_boxes(0, 2, 5), tf.random.stateless_normal([2, 5, 3, 4], [0, 0])
    decoded = box_coder.decode(deltas, anchors[:, :, np.newaxis])
    for label in range(3):
        np.testing.assert_allclose(
            decoded[:, :, label], box_coder.decode(deltas[:, :, label], anchors), rtol=1e-6
        )


def test_boxes_without_area_encode_to_finite_numbers():
    flat = tf.constant([[3.0, 3.0, 3.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    assert np.isfinite(box_coder.encode(flat, tf.constant([[0.0, 0.0, 10.0, 10.0]]))).all()
    assert np.isfinite(box_coder.encode(tf.constant([[0.0, 0.0, 10.0, 10.0]]), flat)).all()


def test_decode_has_a_gradient():
    deltas, anchors = tf.constant([[1.0, -2.0, 0.5, 0.0]]), tf.constant([[0.0, 0.0, 10.0, 20.0]])
    with tf.GradientTape() as tape:
        tape.watch(deltas)
        ymin, xmin, ymax, xmax = tf.unstack(box_coder.decode(deltas, anchors)[0])
        height = ymax - ymin
    # The height is 10 exp(th / 5): its derivative by th is a fifth of it.
    np.testing.assert_allclose(
        tape.gradient(height, deltas), [[0.0, 0.0, 2 * np.exp(0.1), 0.0]], rtol=1e-5, atol=1e-6
    )


@needs_reference
def test_coder_as_in_tfod():
    anchors, boxes = GOLDEN["anchors"], GOLDEN["boxes"]
    encoded = box_coder.encode(boxes, anchors)
    np.testing.assert_allclose(encoded, GOLDEN["encoded"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        box_coder.encode(boxes, anchors, scales=PLAIN),
        GOLDEN["encoded_noscale"],
        rtol=1e-5,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        box_coder.decode(GOLDEN["rel_codes"], anchors), GOLDEN["decoded"], rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(
        box_coder.decode(encoded, anchors), GOLDEN["roundtrip"], rtol=1e-5, atol=1e-4
    )
