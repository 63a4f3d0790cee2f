"""Maps from scores to calibrated scores, each preserves their order."""

import tensorflow as tf


def along_curve(scores, x, y):
    """Scores carried along a curve of straight lines through points; level beyond its ends.

    Args:
        scores: [...].
        x: [n] ascending.
        y: [n].

    Returns:
        [...].
    """
    x, y = tf.constant(x, tf.float32), tf.constant(y, tf.float32)
    last = tf.size(x) - 1
    after = tf.searchsorted(x, tf.reshape(scores, [-1]), side="right")
    after = tf.reshape(after, tf.shape(scores))
    low, high = tf.clip_by_value(after - 1, 0, last), tf.minimum(after, last)
    start, end = tf.gather(x, low), tf.gather(x, high)
    share = tf.math.divide_no_nan(scores - start, end - start)
    return tf.gather(y, low) + share * (tf.gather(y, high) - tf.gather(y, low))


def along_curve_of_class(scores, curves):
    """Scores [..., C + 1], each class along its own curve.

    Args:
        scores: [..., C + 1]; column 0 is background.
        curves: {class: (x, y)}; classes that are not in it keep their scores (TFOD).

    Returns:
        [..., C + 1].
    """
    columns = tf.unstack(scores, axis=-1)
    calibrated = [
        along_curve(column, *curves[label]) if label in curves else column
        for label, column in enumerate(columns)
    ]
    return tf.stack(calibrated, -1)
