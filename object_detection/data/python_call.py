"""Calls from inside a tf.data pipeline into Python: rare ones, for what is found wrong."""

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
    with tf.control_dependencies([tf.debugging.Assert(fault == "", [fault])]):
        result = tf.identity(result)
    result.set_shape([])
    return result
