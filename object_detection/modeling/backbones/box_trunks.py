"""What stands between a roi's crop and the heads where no stage of the backbone does."""

import keras
import tensorflow as tf

from object_detection.modeling.conv_block import DEFAULTS, DenseBlock


class FlattenTrunk(keras.layers.Layer):
    """Two dense layers over the flattened crop, as in the FPN paper (TFOD: a norm between them).

    Args:
        units: of both layers.
        norm: `Norm` after the first layer, or None. A group norm wants positions, of which a
            vector has none; with one there is none here.
        hyperparams: initializer of both layers.

    Call arguments:
        crops: [n, S, S, C].

    Returns:
        [n, 1, 1, units]. One cell: so a mask head on it sees no space (TFOD's Mask R-CNN on FPN
        degenerates so); `spatial_mask_branch` reads the pyramid instead.
    """

    def __init__(self, units, norm, hyperparams=DEFAULTS, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        norm = None if norm is not None and norm.kind == "group" else norm
        dense = {"activation": "relu", "hyperparams": hyperparams}
        self.fc1 = DenseBlock(units, norm=norm, name="fc1", **dense)
        self.fc2 = DenseBlock(units, name="fc2", **dense)
        self.filters = units

    def build(self, input_shape):
        size = input_shape[1] * input_shape[2] * input_shape[3]
        self.fc1.build((None, size))
        self.fc2.build((None, self.units))

    def compute_output_shape(self, input_shape):
        return (None, 1, 1, self.filters)

    def call(self, crops, training=False):
        size = crops.shape[1] * crops.shape[2] * crops.shape[3]
        x = self.fc1(tf.reshape(crops, [-1, size]), training=training)
        return self.fc2(x, training=training)[:, tf.newaxis, tf.newaxis, :]
