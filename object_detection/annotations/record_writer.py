"""Writes tf.Examples into sharded record files that are whole or absent."""

import os
import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import tensorflow as tf


def example(features):
    """A tf.train.Example from plain values.

    Args:
        features: key -> list of bytes, or array of whole numbers (int64) or of others (float32).
    """
    return tf.train.Example(
        features=tf.train.Features(
            feature={key: _feature(value) for key, value in features.items()}
        )
    )


def _feature(value):
    if isinstance(value, list):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
    if np.issubdtype(value.dtype, np.integer):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=value.tolist()))
    return tf.train.Feature(float_list=tf.train.FloatList(value=value.tolist()))


def shard_name(base, index, count):
    """TFOD's name of a shard: `NAME-00003-of-00010`."""
    return f"{base}-{index:05d}-of-{count:05d}"


class ShardedWriter:
    """A context that spreads records over shards in turn.

    The shards have hidden names that no `NAME*` pattern matches while they grow, and get their own
    all together when the context ends well. When it ends in an error they are removed; after a
    kill the hidden files are all that is left, and the next run replaces them.

    Args:
        base: path of the records without the shard's suffix.
        num_shards: how many files.
    """

    def __init__(self, base, num_shards):
        base = Path(base)
        self.base, self.count = base, 0
        self.paths = [Path(shard_name(base, index, num_shards)) for index in range(num_shards)]
        self._partial = [path.with_name(f".{path.name}.partial") for path in self.paths]
        self._stack = ExitStack()
        self._writers = []

    @property
    def pattern(self):
        """The name of all the shards, as a config's `input_path` takes it."""
        return f"{self.base}-?????-of-{len(self.paths):05d}"

    def __enter__(self):
        self.base.parent.mkdir(parents=True, exist_ok=True)
        self._writers = [
            self._stack.enter_context(tf.io.TFRecordWriter(str(path))) for path in self._partial
        ]
        return self

    def write(self, features):
        """Writes one record to the next shard in turn."""
        self._writers[self.count % len(self._writers)].write(example(features).SerializeToString())
        self.count += 1

    def __exit__(self, kind, *_):
        self._stack.close()
        for partial, path in zip(self._partial, self.paths, strict=True):
            if kind is None:
                os.replace(partial, path)
            else:
                partial.unlink(missing_ok=True)

    def strangers(self):
        """Shards of the same name that another run left here: `NAME*` would read them too."""
        shard = re.compile(re.escape(self.base.name) + r"-\d{5}-of-\d{5}")
        found = {path for path in self.base.parent.iterdir() if shard.fullmatch(path.name)}
        return sorted(found - set(self.paths))
