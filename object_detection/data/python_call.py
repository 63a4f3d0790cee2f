"""Calls from inside a tf.data pipeline into Python: rare ones, for what is found wrong."""

import functools

import tensorflow as tf

from object_detection.data.report import InputError


def call(function, arguments):
    """Runs a Python function when the pipeline comes by.

    Args:
        function: called with numpy values; returns a bool. An `InputError` of it ends the pipeline
            with its sentence alone: raised through TensorFlow it would be logged with tracebacks.
        arguments: list of tensors.

    Returns:
        bool scalar: what the function returned.
    """

    def run(*values):
        try:
            return bool(function(*values)), b""
        except InputError as error:
            return False, str(error).encode()

    result, fault = tf.numpy_function(run, arguments, [tf.bool, tf.string])
    result.set_shape([])
    fault.set_shape([])
    with tf.control_dependencies([tf.cond(fault == "", lambda: True, _cancelled)]):
        return tf.identity(result)


def _cancelled():
    """Raises a `tf.errors.CancelledError`, the one kind that `ignore_errors` lets through."""
    with tf.control_dependencies([_closed_queue().enqueue(False)]):
        return tf.constant(False)


@functools.cache
def _closed_queue():
    """Kept, because a graph does not keep it."""
    with tf.init_scope():
        queue = tf.queue.FIFOQueue(1, [tf.bool], shapes=[[]])
        queue.close()
    return queue
