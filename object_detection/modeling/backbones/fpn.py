"""Feature pyramid network (Lin et al. 2017) over a ResNet, as TFOD's Keras extractors build it.

TFOD's departures from the paper, kept because published checkpoints were trained so: the coarsest
lateral map is not smoothed, levels above C5 come from strided 3x3 convolutions on the last top-down
map (not on C5), smoothing convolutions carry norm and activation when conv_hyperparams say so, and
each smoothed map is what the next finer one is built on (the paper adds the map before smoothing;
`paper_top_down` does so too, for the extractors of our own).
"""

import keras
import tensorflow as tf

from object_detection.modeling.conv_block import DEFAULTS, ConvBlock, DenseBlock


class FeaturePyramid(keras.layers.Layer):
    """Pyramid levels min_level..max_level of one depth over the stages of a backbone.

    Args:
        backbone: layer with `.channels` {stage: C}, pixels -> {stage: features}.
        min_level, max_level: of the pyramid; levels above 5 are strided from the last one.
        depth: channels of every level.
        hyperparams: `Hyperparams` of the smoothing and strided convolutions.
        paper_top_down: hand the map before smoothing down the pyramid.
        pad_to_multiple: the preprocessed image is padded with zeros to a multiple of this (TFOD).

    Call arguments:
        pixels: [B, H, W, 3] float, preprocessed.

    Returns:
        {level: [B, H'/2^level, W'/2^level, depth]} with H', W' the padded size.
    """

    def __init__(
        self,
        backbone,
        *,
        min_level,
        max_level,
        depth,
        hyperparams,
        paper_top_down=False,
        pad_to_multiple=32,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.min_level = min_level
        self.max_level = max_level
        self.top_level = min(max_level, 5)
        self.paper_top_down = paper_top_down
        self.pad_to_multiple = pad_to_multiple
        self.is_doubling = pad_to_multiple % 2**self.top_level == 0  # each level half the one below
        lateral = {"activation": None, "norm": None, "use_bias": True}
        levels = range(min_level, self.top_level + 1)
        self.laterals = {
            i: ConvBlock.from_hyperparams(hyperparams, depth, 1, name=f"lateral{i}", **lateral)
            for i in levels
        }
        self.smoothing = {
            i: ConvBlock.from_hyperparams(hyperparams, depth, 3, name=f"smoothing{i}")
            for i in levels[:-1]
        }
        self.coarse = {
            i: ConvBlock.from_hyperparams(hyperparams, depth, 3, strides=2, name=f"coarse{i}")
            for i in range(self.top_level + 1, max_level + 1)
        }
        self.channels = dict.fromkeys(range(min_level, max_level + 1), depth)
        self.depth = depth

    def build(self, input_shape):
        self.backbone.build(input_shape)
        for level, layer in self.laterals.items():
            layer.build((None, None, None, self.backbone.channels[level]))
        for layer in (*self.smoothing.values(), *self.coarse.values()):
            layer.build((None, None, None, self.depth))

    def call(self, pixels, training=False):
        stages = self.backbone(pad_to_multiple(pixels, self.pad_to_multiple), training=training)
        top_down = self.laterals[self.top_level](stages[self.top_level])
        features = {self.top_level: top_down}
        for level in range(self.top_level - 1, self.min_level - 1, -1):
            top_down = add_doubled(self.laterals[level](stages[level]), top_down, self.is_doubling)
            features[level] = self.smoothing[level](top_down, training=training)
            if not self.paper_top_down:
                top_down = features[level]
        for level, layer in self.coarse.items():
            features[level] = layer(features[level - 1], training=training)
        return {level: features[level] for level in sorted(features)}


def add_doubled(lateral, x, is_twice):
    """`lateral` [B, H, W, C] plus x [B, h, w, C], each cell of it repeated in both directions.

    Args:
        is_twice: whether it is known that H = 2 h and W = 2 w; else what is over is cut.
    """
    shape, channels = tf.shape(x), x.shape[-1]
    if not is_twice:
        target = tf.shape(lateral)
        doubled = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
        return lateral + doubled[:, : target[1], : target[2]]
    # Two equal cells side by side, added to two rows at once: no map of the whole size between.
    pairs = tf.reshape(tf.concat([x, x], -1), [-1, 1, shape[2], 2 * channels])
    rows = tf.reshape(lateral, [-1, 2, shape[2], 2 * channels])
    return tf.reshape(rows + pairs, tf.shape(lateral))


def pad_to_multiple(pixels, multiple):
    """Zeros at the bottom and on the right of [B, H, W, C] up to a multiple of `multiple`."""
    if multiple <= 1:
        return pixels
    shape = tf.shape(pixels)
    # Of positive numbers only: ONNX's remainder of negative ones is another.
    down, right = ((multiple - side % multiple) % multiple for side in (shape[1], shape[2]))
    return tf.pad(pixels, [[0, 0], [0, down], [0, right], [0, 0]])


class FlattenTrunk(keras.layers.Layer):
    """Two dense layers over the flattened crop, as in the FPN paper (TFOD: a norm between them).

    Args:
        units: of both layers.
        norm: `Norm` after the first layer, or None. Ignored if it is a group norm, which needs
            positions: a vector has none.
        hyperparams: initializer of both layers.

    Call arguments:
        crops: [n, S, S, C].

    Returns:
        [n, 1, 1, units]. With one cell a mask head sees no positions (so TFOD's Mask R-CNN on FPN
        degenerates); `spatial_mask_branch` reads the pyramid instead.
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
