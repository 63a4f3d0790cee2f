"""A detector without weights to speak of: it finds the bright rectangle in an image.

It has the doors of the real network (variables, a call with `Images`, an `Inference`), so that
export and prediction can be tested in seconds and with numbers known beforehand.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from object_detection.structures.batch import Detections


class FakeResult(NamedTuple):
    """As much of an `Inference` as the serving outputs read."""

    detections: Detections
    final_crops: None = None
    final_trunk: None = None


class BrightRectangle(keras.Model):
    """One detection an image: the box around the pixels brighter than 128, as class 2.

    Its score is a weight, .75; its mask is all ones in an 8 x 8 grid. A second row is padding.
    """

    def __init__(self, masks=True):
        super().__init__(name="bright")
        self.masks = masks
        # Kept in a list, where Keras 3 hides layers from TensorFlow's checkpoints and savers.
        self.blocks = [keras.layers.Dense(1, use_bias=False, name="score")]

    def build(self, input_shape=None):
        self.blocks[0].build((None, 1))
        self.blocks[0].kernel.assign([[0.75]])
        self.built = True

    def call(self, images, all_masks=False):
        del all_masks  # its prediction dict has none
        bright = tf.reduce_max(images.pixels, -1) > 128
        ymin, ymax = _extent(tf.reduce_any(bright, 2))
        xmin, xmax = _extent(tf.reduce_any(bright, 1))
        box = tf.stack([ymin, xmin, ymax, xmax], -1)
        count = tf.shape(box)[0]
        score = self.blocks[0](tf.ones([count, 1]))
        detections = Detections(
            boxes=tf.stack([box, tf.zeros_like(box)], 1),
            scores=tf.concat([score, tf.zeros_like(score)], 1),
            classes=tf.tile([[2, 0]], [count, 1]),
            valid=tf.tile([[True, False]], [count, 1]),
            masks=tf.ones([count, 2, 8, 8]) if self.masks else None,
        )
        return FakeResult(detections)


def _extent(hit):
    """First and one past the last True of each row of [B, n], float32."""
    size = tf.shape(hit)[1]
    first = tf.argmax(hit, 1, output_type=tf.int32)
    last = size - tf.argmax(hit[:, ::-1], 1, output_type=tf.int32)
    return tf.cast(first, tf.float32), tf.cast(last, tf.float32)


def bright_rectangle(masks=True):
    """The detector, built."""
    network = BrightRectangle(masks)
    network.build()
    return network
