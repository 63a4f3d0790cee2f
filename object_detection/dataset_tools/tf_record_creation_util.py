"""The helper that scripts of TFOD's users import to write sharded records."""

import tensorflow as tf

from object_detection.datasets.records import shard_name


def open_sharded_output_tfrecords(exit_stack, base_path, num_shards):
    """Opens all shards of a record file at once.

    Args:
        exit_stack: a `contextlib.ExitStack` that closes them.
        base_path: path without the shard's suffix.
        num_shards: how many.

    Returns:
        A list of `tf.io.TFRecordWriter`, of the files `BASE-00000-of-0000N` and so on.
    """
    return [
        exit_stack.enter_context(tf.io.TFRecordWriter(shard_name(base_path, index, num_shards)))
        for index in range(num_shards)
    ]
