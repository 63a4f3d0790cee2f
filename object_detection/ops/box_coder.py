"""Boxes as offsets from anchors and back (Faster R-CNN section 3.1.2, equation 2)."""

import tensorflow as tf

# TFOD fixes these: the config cannot change them, and published weights expect them.
SCALES = (10.0, 10.0, 5.0, 5.0)

_EPSILON = 1e-8  # keeps the logarithm of a box without height or width finite (TFOD)


def encode(boxes, anchors, scales=SCALES):
    """How each anchor must change to become its box.

    Args:
        boxes: [..., 4] pixels.
        anchors: [..., 4] pixels, broadcast against `boxes`.
        scales: factors of (ty, tx, th, tw).

    Returns:
        Deltas [..., (ty, tx, th, tw)]; finite, though large, for boxes without area. Of boxes
        turned inside out the sizes are not a number.
    """
    center, size = _center_and_size(boxes)
    anchor_center, anchor_size = _center_and_size(anchors)
    size, anchor_size = size + _EPSILON, anchor_size + _EPSILON
    shift = (center - anchor_center) / anchor_size
    return tf.concat([shift, tf.math.log(size / anchor_size)], axis=-1) * tf.constant(scales)


def decode(deltas, anchors, scales=SCALES):
    """The box each anchor becomes.

    The change of size is not limited before the exponential (TFOD).

    Args:
        deltas: [..., (ty, tx, th, tw)].
        anchors: [..., 4] pixels, broadcast against `deltas`.
        scales: as in `encode`.

    Returns:
        Boxes [..., 4] pixels, not clipped.
    """
    deltas = deltas / tf.constant(scales)
    anchor_center, anchor_size = _center_and_size(anchors)
    center = deltas[..., :2] * anchor_size + anchor_center
    half = tf.exp(deltas[..., 2:]) * anchor_size / 2.0
    return tf.concat([center - half, center + half], axis=-1)


def _center_and_size(boxes):
    """(y, x) and (height, width), [..., 2] each."""
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + size / 2.0, size
