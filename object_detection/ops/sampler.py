"""Draws a minibatch of boxes with a bounded share of positives (Faster R-CNN section 3.1.3)."""

import tensorflow as tf


def sample(positive, candidate, size, positive_fraction, seed):
    """Chooses up to `size` boxes of each image at random.

    At most int(positive_fraction * size) are positives, and the rest negatives as far as there
    are any (TFOD). Where there are fewer than may be chosen, all are.

    Args:
        positive: [B, N] bool.
        candidate: [B, N] bool, which boxes may be chosen at all.
        size: int.
        positive_fraction: 0..1.
        seed: [2] integer tensor; the same seed chooses the same.

    Returns:
        [B, N] bool, the chosen ones.
    """
    key = tf.random.stateless_uniform(tf.shape(positive), seed)
    most_positives = int(positive_fraction * size)
    selected_positive = _draw(key, positive & candidate, most_positives, most_positives)
    num_positives = tf.reduce_sum(tf.cast(selected_positive, tf.int32), axis=1, keepdims=True)
    return selected_positive | _draw(key, ~positive & candidate, size, size - num_positives)


def gather_selected(selected, size):
    """The indices of the chosen boxes in their order, padded or cut to `size`.

    Args:
        chosen: [B, N] bool.
        size: int or scalar tensor.

    Returns:
        index [B, size] int32, 0 in padding, and valid [B, size] bool.
    """
    count = tf.shape(selected)[1]
    rank = tf.where(selected, count - tf.range(count), 0)  # the earlier the higher; 0 not chosen
    rank = tf.pad(rank, [[0, 0], [0, tf.maximum(size - count, 0)]])
    rank, index = tf.math.top_k(rank, size)
    return tf.where(rank > 0, index, 0), rank > 0


def _draw(key, allowed, most, limit):
    """Marks the `limit` (int or [B, 1]; never above the int `most`) highest keys allowed."""
    shape = tf.shape(key)
    key, index = tf.math.top_k(tf.where(allowed, key, -1.0), tf.minimum(most, shape[1]))
    taken = (key >= 0.0) & (tf.range(tf.shape(key)[1]) < limit)
    image = tf.broadcast_to(tf.range(shape[0])[:, tf.newaxis], tf.shape(index))
    rows = tf.boolean_mask(tf.stack([image, index], axis=-1), taken)
    return tf.scatter_nd(rows, tf.ones_like(rows[:, 0], tf.bool), shape)
