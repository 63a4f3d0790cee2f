"""What a layer knows of the replicas that work on the other parts of its batch."""

import tensorflow as tf


def count():
    """Replicas that run in step, 1 outside a strategy's replica context."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def mean(values):
    """The mean over all replicas of each tensor of a list, the same on every one."""
    if count() == 1:
        return values
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, values)
