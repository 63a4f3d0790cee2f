"""Bilinear resizing of whole batches in C: TensorFlow's numbers, in about half of its time."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from object_detection.data import native
from object_detection.ops import image as image_ops

_BUFFERS = native.Buffers()
_KINDS = (image_ops.KeepAspectRatio, image_ops.FixedShape)


def can_replace(resizer, dtype):
    """Whether `resize_batch` does what a resizer of `ops.image` does with images of this type."""
    plain = isinstance(resizer, _KINDS) and resizer.method == image_ops.BILINEAR
    return plain and not resizer.grayscale and dtype == tf.uint8 and is_exact()


def resize_batch(resizer, images, source_shape, true_shape):
    """Resizes images and pads them to one size.

    Args:
        resizer: one that `can_replace`.
        images: [B, h, w, 3] uint8, padded.
        source_shape: [B, 2] int32 (height, width) of each before padding.
        true_shape: [B, 2] int32, the `true_shape` that the resizer gives each.

    Returns:
        [B, H, W, 3] float32: each as by the resizer; smaller ones are padded with zeros.
    """
    sides = [side or 0 for side in resizer.static_shape]
    frame = tf.maximum(tf.reduce_max(true_shape, axis=0), sides)
    color = getattr(resizer, "pad_value", (0.0, 0.0, 0.0)) if all(sides) else (0.0, 0.0, 0.0)
    arguments = [images, source_shape, true_shape, frame, tf.constant(color, tf.float32)]
    resized = tf.numpy_function(_resize, arguments, tf.float32, stateful=False)
    return tf.ensure_shape(resized, [images.shape[0], *resizer.static_shape, 3])


@functools.cache
def is_exact():
    """Whether there is the library and TensorFlow, as it was built, gives the same numbers."""
    if native.load() is None:
        return False
    images = np.random.default_rng(0).integers(0, 256, (1, 37, 53, 3), np.uint8)
    own, color = np.array([images.shape[1:3]]), np.zeros(3, np.float32)
    for shape in ((61, 97), (22, 17), (800, 3), (37, 53)):
        with tf.init_scope():  # at once, also where a graph is being made
            floats = tf.cast(images, tf.float32)
            expected = tf.raw_ops.ResizeBilinear(images=floats, size=tf.constant(shape)).numpy()
        if not np.array_equal(expected, _resize(images, own, np.array([shape]), shape, color)):
            return False
    return True


def _resize(images, source_shape, true_shape, frame, color):
    count, (height, width) = len(images), (int(side) for side in frame)
    size = count * height * width * 3 * np.dtype(np.float32).itemsize
    frames = _BUFFERS.take(size).view(np.float32).reshape(count, height, width, 3)
    color = np.ascontiguousarray(color, np.float32)

    def one(k):
        sides = (images.shape[2], *source_shape[k].tolist(), *true_shape[k].tolist())
        place = (frames[k].ctypes.data, height, width, color.ctypes.data)
        return native.load().od_resize(images[k].ctypes.data, *sides, *place)

    done = [one(0)] if count == 1 else _threads().map(one, range(count))
    if not all(done):
        raise MemoryError("no memory to resize images in")
    return frames


@functools.cache
def _threads():
    return ThreadPoolExecutor(os.cpu_count(), "resize")
