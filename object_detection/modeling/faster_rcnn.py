"""Faster R-CNN (Ren et al. 2015) and Mask R-CNN (He et al. 2017), whole.

    images -> features -> proposals -> rois -> classes and boxes -> masks

With ground truth, rois are sampled and the losses can be taken; without, detections come out.
`training` says only whether live norms and dropout are on.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from object_detection.ops import box_coder
from object_detection.structures.batch import (
    BoxOutput,
    Detections,
    Losses,
    Proposals,
    Rois,
    RPNOutput,
)


class LossWeights(NamedTuple):
    """The `*_loss_weight` fields of the config."""

    rpn_localization: float
    rpn_objectness: float
    box_localization: float
    box_classification: float
    mask: float


class Features(NamedTuple):
    """What the first stage leaves for the others."""

    levels: dict  # level -> [B, h, w, C]
    rpn: RPNOutput  # anchors not yet placed
    rpn_hidden: list  # the RPN's hidden maps, one per level


class TrainingOutputs(NamedTuple):
    """Outputs on sampled rois, from which the losses are taken."""

    rpn: RPNOutput
    valid_anchors: tf.Tensor  # [N] bool
    rois: Rois | None = None
    boxes: BoxOutput | None = None
    mask_logits: tf.Tensor | None = None  # [n, M, M] of positive rois
    mask_rows: tf.Tensor | None = None  # [n, (image, roi)]


class Inference(NamedTuple):
    """Everything an inference step computed; `detections` is what most callers want."""

    detections: Detections
    proposals: Proposals
    rpn: RPNOutput  # anchors placed
    features: Features
    boxes: BoxOutput | None = None
    trunk: tf.Tensor | None = None  # [B, P, s, s, C]
    mask_logits: tf.Tensor | None = None  # [B * D, C, M, M] of all classes, on request
    final_crops: tf.Tensor | None = None  # [B, D, s, s, C] of the detections, on request
    final_trunk: tf.Tensor | None = None  # [B, D, s', s', C'] likewise


class FinalFeatures(NamedTuple):
    """Which features of the final boxes come out too."""

    trunk: bool = False  # output_final_box_features
    crops: bool = False  # output_final_box_rpn_features


NO_FINAL_FEATURES = FinalFeatures()


class FasterRCNN(keras.Model):
    """The detector.

    Args:
        extractor: `backbones.Extractor`.
        rpn: `RegionProposalNetwork`.
        roi_stage: `RoiStage`, or None with one stage.
        mask_stage: `MaskStage`, or None.
        weights: `LossWeights`.
        num_classes: C.
        final_features: `FinalFeatures`.

    Call arguments:
        images: `Images`.
        truth: `GroundTruth`; with it rois are sampled.
        training: bool, live norms and dropout.
        seed: int32 [2] for sampling and dropout; None draws one.
        all_masks: without `truth`, also give the mask logits of every class.

    Returns:
        `TrainingOutputs` with `truth`, else `Inference`.
    """

    def __init__(
        self,
        extractor,
        rpn,
        roi_stage,
        mask_stage,
        *,
        weights,
        num_classes,
        final_features=NO_FINAL_FEATURES,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.preprocess = extractor.preprocess
        self.channels = extractor.channels
        self.backbone = extractor.features
        self.rpn = rpn
        self.roi_stage = roi_stage
        self.mask_stage = mask_stage
        self.loss_weights = weights
        self.num_classes = num_classes
        self.final_features = final_features

    @property
    def number_of_stages(self):
        """1: proposals only, 2: boxes, 3: masks."""
        return 1 if self.roi_stage is None else 2 if self.mask_stage is None else 3

    @property
    def has_masks(self):
        """Whether detections carry masks."""
        return self.mask_stage is not None

    def build(self, input_shape=None):
        """Creates every variable at once, without running the network."""
        self.backbone.build((None, None, None, 3))
        channels = self.channels[min(self.channels)]
        self.rpn.build((None, None, None, channels))
        if self.roi_stage is not None:
            self.roi_stage.build((None, None, None, channels))
        if self.mask_stage is not None:
            size = self.roi_stage.trunk_size
            if self.mask_stage.settings.spatial:
                size = (self.mask_stage.settings.crop_size,) * 2 + (channels,)
            self.mask_stage.build((None, *size))

    def call(self, images, truth=None, training=False, seed=None, all_masks=False):
        features = self.extract(images, training=training)
        if truth is None:
            return self.detect(features, images, all_masks=all_masks)
        return self.sample_and_predict(features, images, truth, training=training, seed=seed)

    def extract(self, images, training=False, preprocessed=False):
        """The first stage up to its raw predictions, a `Features`.

        Args:
            preprocessed: whether the pixels have been through `preprocess` already.
        """
        pixels = images.pixels if preprocessed else self.preprocess(images.pixels)
        levels = self.backbone(pixels, training=training)
        maps = [levels[level] for level in sorted(levels)]
        rpn, hidden = self.rpn(maps, training=training)
        return Features(levels, rpn, hidden)

    def sample_and_predict(self, features, images, truth, *, training, seed=None):
        """Outputs on rois sampled against `truth`, a `TrainingOutputs`."""
        if seed is None:
            seed = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
        roi_seed, dropout_seed = fold(seed, 1), fold(seed, 2)
        truth = trim(truth)
        image_shape = tf.shape(images.pixels)[1:3]
        rpn, valid_anchors = self.rpn.place_anchors(features.rpn, image_shape, sampling=True)
        if self.roi_stage is None:
            return TrainingOutputs(rpn, valid_anchors)
        proposals = self.rpn.propose(rpn, valid_anchors, images.true_shape)
        rois = self.roi_stage.sample(proposals, truth, roi_seed)
        output, trunk = self.roi_stage(
            features.levels, rois, image_shape, training=training, seed=dropout_seed
        )
        if self.mask_stage is None:
            return TrainingOutputs(rpn, valid_anchors, rois, output)
        logits, rows = self.mask_stage.training_logits(
            features.levels, rois, trunk, self.roi_stage.cropper, image_shape, training
        )
        return TrainingOutputs(rpn, valid_anchors, rois, output, logits, rows)

    def losses_of(self, images, truth, outputs, seed=None):
        """The named losses, each times its weight in the config.

        Args:
            outputs: `TrainingOutputs` of these images.
            seed: the seed of the call, for the minibatch of anchors.

        Returns:
            `Losses`; the sum of its members (and the regularization loss) is what is minimized.
        """
        if seed is None:
            seed = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
        truth, weights = trim(truth), self.loss_weights
        localization, objectness = self.rpn.losses_of(
            outputs.rpn, outputs.valid_anchors, truth, fold(seed, 0)
        )
        losses = Losses(
            localization * weights.rpn_localization, objectness * weights.rpn_objectness
        )
        if outputs.boxes is not None:
            localization, classification = self.roi_stage.losses_of(outputs.boxes, outputs.rois)
            losses = losses._replace(
                box_localization=localization * weights.box_localization,
                box_classification=classification * weights.box_classification,
            )
        if outputs.mask_logits is not None:
            mask = self.mask_stage.loss_of(
                outputs.mask_logits, outputs.mask_rows, outputs.rois, truth, images
            )
            losses = losses._replace(mask=mask * weights.mask)
        return losses

    def regularization_loss(self):
        """The sum of all kernels' penalties, a scalar."""
        layers = self._flatten_layers(include_self=False)
        penalties = [layer.penalty() for layer in layers if hasattr(layer, "penalty")]
        return tf.add_n([p for p in penalties if p is not None] or [tf.zeros([])])

    def detect(self, features, images, all_masks=False):
        """Detections and what led to them, an `Inference`."""
        image_shape = tf.shape(images.pixels)[1:3]
        rpn, valid_anchors = self.rpn.place_anchors(features.rpn, image_shape, sampling=False)
        proposals = self.rpn.propose(rpn, valid_anchors, images.true_shape)
        if self.roi_stage is None:
            return Inference(to_detections(proposals, rpn), proposals, rpn, features)
        rois = Rois(proposals.boxes, proposals.valid)
        output, trunk = self.roi_stage(features.levels, rois, image_shape)
        detections = self.roi_stage.detect(output, proposals, images.true_shape)
        if self.mask_stage is not None:
            detections = self.mask_stage.predict(
                features.levels, detections, self.roi_stage, images
            )
        logits = None
        if self.mask_stage is not None and all_masks:
            logits = self.mask_stage.logits_of_all_classes(
                features.levels, detections, self.roi_stage, images
            )
        final = self.features_of_final_boxes(features.levels, detections.boxes, images)
        return Inference(detections, proposals, rpn, features, output, trunk, logits, *final)

    def features_of_final_boxes(self, levels, boxes_px, images):
        """The features of detections' boxes [B, D, 4], padding too, as the config requires.

        Returns:
            Pooled crops [B, D, s, s, C] and the trunk's features of them [B, D, s', s', C'], each
            None where it is not wanted.
        """
        wanted = self.final_features
        if not any(wanted):
            return None, None
        cropper = self.roi_stage.cropper
        boxes_px = cropper.final_boxes(boxes_px, images)
        crops = cropper.crop(levels, boxes_px, tf.shape(images.pixels)[1:3])
        trunk = self.roi_stage.trunk_of_crops(crops) if wanted.trunk else None
        return crops if wanted.crops else None, trunk

    def evaluate_batch(self, images, truth, seed=None):
        """Detections and losses of one batch; the features are computed once.

        Returns:
            `Detections`, `Losses`.
        """
        features = self.extract(images)
        outputs = self.sample_and_predict(features, images, truth, training=False, seed=seed)
        losses = self.losses_of(images, truth, outputs, seed=seed)
        return self.detect(features, images).detections, losses


def fold(seed, number):
    """A seed of its own for each use of randomness in a step."""
    return tf.random.fold_in(seed, number)


def trim(truth):
    """Ground truth without the columns that are padding in every image of the batch."""
    most = tf.reduce_max(tf.reduce_sum(tf.cast(truth.valid, tf.int32), 1))
    names = ["boxes", "classes", "valid", "weights", "crowd", "difficult", "area"]
    names += ["class_targets"] * (truth.class_targets is not None)
    per_box = {name: getattr(truth, name)[:, :most] for name in names}
    return truth._replace(**per_box)


def to_detections(proposals, rpn):
    """Proposals as detections of the one class "object" (a model of one stage).

    Args:
        proposals: `Proposals`.
        rpn: the `RPNOutput` they were chosen from, anchors placed; all N of its boxes, unclipped,
            are the raw ones (TFOD).
    """
    background = tf.where(proposals.valid, 1.0 - proposals.scores, 0.0)
    return Detections(
        boxes=proposals.boxes,
        scores=proposals.scores,
        classes=tf.cast(proposals.valid, tf.int32),
        valid=proposals.valid,
        multiclass_scores=tf.stack([background, proposals.scores], -1),
        raw_boxes=box_coder.decode(rpn.deltas, rpn.anchors[tf.newaxis]),
        raw_scores=tf.nn.softmax(rpn.objectness),
    )
