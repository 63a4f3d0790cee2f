"""Geometry of axis-aligned boxes (ymin, xmin, ymax, xmax).

Coordinates are continuous: a box from 0 to 4 is 4 high and covers rows 0..3. Leading dimensions
are taken as they come and broadcast.
"""

import tensorflow as tf


def area(boxes):
    """Areas [...] of boxes [..., 4]; 0 for boxes turned inside out."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    return tf.maximum(ymax - ymin, 0.0) * tf.maximum(xmax - xmin, 0.0)


def iou(boxes, others):
    """Intersection over union of each box with each other one.

    Args:
        boxes: [..., N, 4].
        others: [..., G, 4].

    Returns:
        [..., N, G] in 0..1; 0 where two boxes do not meet, and for boxes without area.
    """
    ymin, xmin, ymax, xmax = tf.unstack(boxes[..., :, tf.newaxis, :], axis=-1)
    other_ymin, other_xmin, other_ymax, other_xmax = tf.unstack(
        others[..., tf.newaxis, :, :], axis=-1
    )
    height = tf.maximum(tf.minimum(ymax, other_ymax) - tf.maximum(ymin, other_ymin), 0.0)
    width = tf.maximum(tf.minimum(xmax, other_xmax) - tf.maximum(xmin, other_xmin), 0.0)
    intersection = height * width
    union = area(boxes)[..., :, tf.newaxis] + area(others)[..., tf.newaxis, :] - intersection
    return tf.math.divide_no_nan(intersection, union)


def clip(boxes, window):
    """The part of each box inside a window; a box wholly outside is left without area.

    Args:
        boxes: [..., 4].
        window: [..., 4], broadcast against `boxes`.
    """
    low = tf.concat([window[..., :2], window[..., :2]], axis=-1)
    high = tf.concat([window[..., 2:], window[..., 2:]], axis=-1)
    return tf.maximum(tf.minimum(boxes, high), low)


def inside(boxes, window):
    """Which boxes [..., 4] lie wholly inside their window [..., 4]; touching its border counts."""
    low = tf.reduce_all(boxes[..., :2] >= window[..., :2], axis=-1)
    return low & tf.reduce_all(boxes[..., 2:] <= window[..., 2:], axis=-1)


def to_normalized(boxes, height, width):
    """Pixels -> fractions of an image of this height and width (scalars, or [...] each).

    Multiplied by the reciprocal, as TFOD does: the last bit decides whether a box on the image's
    border reaches the last row of a feature map or misses it.
    """
    return boxes * (1.0 / _scale(height, width))


def from_normalized(boxes_normalized, height, width):
    """Fractions of an image of this height and width (scalars, or [...] each) -> pixels."""
    return boxes_normalized * _scale(height, width)


def change_frame(boxes, window):
    """Boxes [..., 4] as fractions of a window [..., 4]: its corners become (0, 0) and (1, 1)."""
    origin = tf.concat([window[..., :2], window[..., :2]], axis=-1)
    size = window[..., 2:] - window[..., :2]
    return (boxes - origin) / tf.concat([size, size], axis=-1)


def _scale(height, width):
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    return tf.stack([height, width, height, width], axis=-1)
