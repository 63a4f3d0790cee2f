"""The second stage's heads for class and box (Faster R-CNN section 3.2 with per-class boxes)."""

import keras
import tensorflow as tf

from object_detection.modeling.conv_block import DEFAULTS, DenseBlock
from object_detection.structures.batch import BoxOutput


class BoxHead(keras.layers.Layer):
    """Class logits and box deltas from the mean of a roi's features.

    Args:
        num_classes: C, background not counted.
        share_box: one box for all classes instead of one each.
        hyperparams: `Hyperparams` of the two dense layers. They have no activation, and a bias
            where they have no norm (TFOD's TF2 models never have one).
        dropout: fraction of the mean features dropped while training; None without use_dropout. At
            0 nothing is dropped, but the layer takes a place in the names of TFOD's checkpoints.

    Call arguments:
        features: [B, R, s, s, channels].
        seed: int32 [2], needed where dropout is used while training.

    Returns:
        `BoxOutput`: logits [B, R, C + 1] and deltas [B, R, C or 1, (ty, tx, th, tw)].
    """

    def __init__(self, num_classes, *, share_box, hyperparams=DEFAULTS, dropout=None, **kwargs):
        super().__init__(**kwargs)
        self.dropout = dropout
        self.num_boxes = 1 if share_box else num_classes
        dense = {
            "hyperparams": hyperparams,
            "norm": hyperparams.norm,
            "use_bias": hyperparams.norm is None or hyperparams.use_bias,
            "keep_float32": True,
        }
        self.classes = DenseBlock(num_classes + 1, name="classes", **dense)
        self.boxes = DenseBlock(4 * self.num_boxes, name="boxes", **dense)

    def build(self, input_shape):
        self.classes.build((None, input_shape[-1]))
        self.boxes.build((None, input_shape[-1]))

    def call(self, features, training=False, seed=None):
        shape = tf.shape(features)
        mean = tf.reduce_mean(tf.cast(features, tf.float32), [2, 3])
        flat = tf.reshape(mean, [-1, features.shape[-1]])
        box_input = class_input = flat
        if training and self.dropout:
            box_seed, class_seed = tf.unstack(tf.random.split(seed, 2))
            drop = tf.nn.experimental.stateless_dropout
            box_input = drop(flat, self.dropout, seed=box_seed)
            class_input = drop(flat, self.dropout, seed=class_seed)
        return BoxOutput(
            tf.reshape(
                self.classes(class_input, training=training),
                [shape[0], shape[1], self.classes.units],
            ),
            tf.reshape(
                self.boxes(box_input, training=training), [shape[0], shape[1], self.num_boxes, 4]
            ),
        )
