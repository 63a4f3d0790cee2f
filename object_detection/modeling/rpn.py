"""The region proposal network (Faster R-CNN section 3.1): features -> scored proposals.

Class targets, sampling and losses of the first stage live here too, so that the stage can be read
in one place.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from object_detection.modeling.conv_block import DEFAULTS, ConvBlock
from object_detection.modeling.rewrites import FAST
from object_detection.ops import box_coder, boxes, ignore_regions, losses, matcher, nms, sampler
from object_detection.structures.batch import Proposals, RPNOutput

# TFOD fixes these in its target assigner; the config cannot change them.
FOREGROUND_IOU = 0.7
BACKGROUND_IOU = 0.3


class RPNSettings(NamedTuple):
    """The `first_stage_*` fields of the config."""

    kernel_size: int
    depth: int
    atrous_rate: int
    nms_score_threshold: float
    nms_iou_threshold: float
    max_proposals: int
    minibatch_size: int
    positive_fraction: float
    clip_anchors: bool  # clip_anchors_to_image: train on clipped anchors instead of dropping them


class RPNHead(keras.layers.Layer):
    """Scores and refines A anchors at each cell of each level.

    The 3x3 convolution is shared by the levels, the 1x1 heads are not (TFOD; the FPN paper shares
    them). Its activation is always ReLU6 (TFOD), whatever the hyper-parameters say.

    Args:
        anchors_per_cell: A of each level.
        settings: `RPNSettings`.
        hyperparams: `Hyperparams` of all convolutions.

    Call arguments:
        features: list of [B, h, w, C], one per level.

    Returns:
        Objectness logits [B, N, (background, object)], deltas [B, N, (ty, tx, th, tw)] and the
        list of hidden maps [B, h, w, depth].
    """

    def __init__(self, anchors_per_cell, settings, hyperparams, **kwargs):
        super().__init__(**kwargs)
        self.conv = ConvBlock.from_hyperparams(
            hyperparams,
            settings.depth,
            settings.kernel_size,
            dilation=settings.atrous_rate,
            activation="relu6",
            name="conv",
        )
        plain = {"norm": None, "activation": None, "use_bias": True, "keep_float32": True}
        self.objectness = [
            ConvBlock.from_hyperparams(hyperparams, 2 * a, 1, name=f"objectness{i}", **plain)
            for i, a in enumerate(anchors_per_cell)
        ]
        self.deltas = [
            ConvBlock.from_hyperparams(hyperparams, 4 * a, 1, name=f"deltas{i}", **plain)
            for i, a in enumerate(anchors_per_cell)
        ]

    def build(self, input_shape):
        self.conv.build(input_shape)
        for head in (*self.objectness, *self.deltas):
            head.build((None, None, None, self.conv.filters))

    def call(self, features, training=False):
        hidden = [self.conv(x, training=training) for x in features]
        batch = tf.shape(features[0])[0]
        objectness = [
            tf.reshape(head(x), [batch, -1, 2])
            for head, x in zip(self.objectness, hidden, strict=True)
        ]
        deltas = [
            tf.reshape(head(x), [batch, -1, 4]) for head, x in zip(self.deltas, hidden, strict=True)
        ]
        return tf.concat(objectness, 1), tf.concat(deltas, 1), hidden


class RegionProposalNetwork(keras.layers.Layer):
    """Head and anchors, proposals, and the first stage's losses.

    Args:
        anchors: `ops.anchors.GridAnchors` or `MultiscaleAnchors`.
        settings: `RPNSettings`.
        hyperparams: `Hyperparams` of the head.

    Call arguments:
        features: list of [B, h, w, C].

    Returns:
        `RPNOutput` and the hidden maps.
    """

    rewrites = FAST

    def __init__(self, anchors, settings, hyperparams=DEFAULTS, **kwargs):
        super().__init__(**kwargs)
        self.settings = settings
        self.anchor_generator = anchors
        self.head = RPNHead(anchors.per_location, settings, hyperparams, name="head")

    def build(self, input_shape):
        self.head.build(input_shape)

    def call(self, features, training=False):
        objectness, deltas, hidden = self.head(features, training=training)
        shapes = [(tf.shape(x)[1], tf.shape(x)[2]) for x in features]
        anchors = self.anchor_generator.generate(shapes)
        return RPNOutput(objectness, deltas, anchors), hidden

    def place_anchors(self, rpn, image_shape, *, sampling):
        """Anchors as this step uses them, and which of them count.

        Where rois are sampled for losses, anchors that cross the border of the padded image do not
        count (or are clipped, with `clip_anchors`); at inference all are clipped to it. TFOD also
        drops anchors wholly outside, which breaks its FPN at sizes that are no multiple of 32;
        clipping them without dropping has no effect where TFOD works.

        Returns:
            `RPNOutput` with the anchors placed, and bool [N].
        """
        window = tf.cast([0, 0, image_shape[0], image_shape[1]], tf.float32)
        if sampling and not self.settings.clip_anchors:
            return rpn, boxes.inside(rpn.anchors, window)
        everywhere = tf.ones(tf.shape(rpn.anchors)[:1], tf.bool)
        return rpn._replace(anchors=boxes.clip(rpn.anchors, window)), everywhere

    def propose(self, rpn, valid_anchors, true_shape):
        """The best regions after non-maximum suppression, without gradient.

        Args:
            rpn: `RPNOutput`, anchors placed.
            valid_anchors: [N] bool, anchors that are used.
            true_shape: [B, 2] int32, to which proposals are clipped.

        Returns:
            `Proposals`.
        """
        deltas, anchors = tf.stop_gradient(rpn.deltas), rpn.anchors

        def boxes_of(rows):
            if rows is None:
                return box_coder.decode(deltas, anchors[tf.newaxis])
            return box_coder.decode(tf.gather(deltas, rows, batch_dims=1), tf.gather(anchors, rows))

        scores = tf.stop_gradient(tf.nn.softmax(rpn.objectness)[..., 1])
        size = tf.cast(true_shape, tf.float32)
        window = tf.concat([tf.zeros_like(size), size], 1)
        proposals = nms.proposals_nms(
            boxes_of,
            scores,
            tf.broadcast_to(valid_anchors, tf.shape(scores)),
            window,
            score_threshold=self.settings.nms_score_threshold,
            iou_threshold=self.settings.nms_iou_threshold,
            max_output=self.settings.max_proposals,
            best_first=self.rewrites.best_first_suppression,
        )
        return Proposals(*(tf.stop_gradient(x) for x in proposals))

    def losses_of(self, rpn, valid_anchors, truth, seed):
        """Localization and objectness loss of a sampled minibatch of anchors, both unweighted.

        Each is a sum over the sampled anchors of an image divided by their number, then the mean
        over the batch (TFOD; the paper divides the localization loss by the number of cells).

        Returns:
            Two scalars.
        """
        batch = tf.shape(rpn.deltas)[0]
        match = matcher.match_boxes(
            rpn.anchors,
            truth.boxes,
            truth.valid,
            low=BACKGROUND_IOU,
            high=FOREGROUND_IOU,
            force_best=truth.weights > 0,
            candidates=valid_anchors,
        )
        positive = match.label == matcher.POSITIVE
        weight = tf.where(positive, gather_matched(truth.weights, match.gt_index), 1.0)
        candidate = valid_anchors[tf.newaxis] & (match.label != matcher.IGNORED) & (weight > 0)
        if truth.ignore is not None:
            candidate &= ~ignore_regions.mostly_ignored(rpn.anchors, truth.ignore)
        selected = sampler.sample(
            positive,
            candidate,
            self.settings.minibatch_size,
            self.settings.positive_fraction,
            seed,
        )
        size = tf.minimum(self.settings.minibatch_size, tf.shape(selected)[1])
        index, valid = sampler.gather_selected(selected, size)

        def pick(values):
            return tf.gather(values, index, batch_dims=1)

        anchors = pick(tf.broadcast_to(rpn.anchors, tf.concat([[batch], tf.shape(rpn.anchors)], 0)))
        is_object = pick(positive)
        targets = box_coder.encode(gather_matched(truth.boxes, pick(match.gt_index)), anchors)
        # Padding and background may encode to anything, infinite values too: drop it, don't scale.
        targets = tf.where((valid & is_object)[..., tf.newaxis], targets, 0.0)
        box_weight = tf.where(valid & is_object, pick(weight), 0.0)
        number = tf.maximum(tf.reduce_sum(tf.cast(valid, tf.float32), 1), 1.0)

        box_loss = losses.smooth_l1(pick(rpn.deltas), tf.stop_gradient(targets)) * box_weight
        onehot = tf.one_hot(tf.cast(is_object, tf.int32), 2)
        class_loss = losses.softmax_cross_entropy(pick(rpn.objectness), onehot)
        class_loss *= tf.cast(valid, tf.float32)
        return (
            tf.reduce_mean(tf.reduce_sum(box_loss, 1) / number),
            tf.reduce_mean(tf.reduce_sum(class_loss, 1) / number),
        )


def gather_matched(values, gt_index):
    """values [B, G, ...] of the matched ground truth of each box; zeros where G is 0.

    Args:
        gt_index: [B, N] int32, meaningful for positives only.
    """
    shape = tf.shape(values)
    padding = [[0, 0], [0, tf.maximum(1 - shape[1], 0)]] + [[0, 0]] * (values.shape.rank - 2)
    return tf.gather(tf.pad(values, padding), tf.maximum(gt_index, 0), batch_dims=1)
