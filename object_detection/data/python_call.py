"""Calls from inside a tf.data pipeline into Python: rare ones, for what is found wrong."""

import functools

import tensorflow as tf

from object_detection.errors import RecordError


def call(function, arguments, result=tf.bool):
    """Runs a Python function when the pipeline comes by.

    Args:
        function: called with numpy values. An `RecordError` of it ends the pipeline with its
            sentence alone: raised through TensorFlow it would be logged with tracebacks.
        arguments: list of tensors.
        result: type of what the function returns: `tf.bool`, or `tf.string` of a str.

    Returns:
        Scalar: what the function returned.
    """
    none = b"" if result == tf.string else False

    def run(*values):
        try:
            found = function(*values)
            return found.encode() if result == tf.string else bool(found), b""
        except RecordError as error:
            return none, str(error).encode()

    found, fault = tf.numpy_function(run, arguments, [result, tf.string])
    found.set_shape([])
    fault.set_shape([])
    with tf.control_dependencies([tf.cond(fault == "", lambda: True, _cancelled)]):
        return tf.identity(found)


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
