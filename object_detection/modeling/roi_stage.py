"""The second stage: rois -> class and box (Faster R-CNN section 3.2, Fast R-CNN).

`RoiStage` samples rois for training, crops their features, runs the heads, and turns the heads'
output into detections.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from object_detection.modeling.rewrites import FAST
from object_detection.modeling.rpn import gather_matched
from object_detection.ops import (
    box_coder,
    boxes,
    ignore_regions,
    losses,
    matcher,
    nms,
    roi_align,
    sampler,
)
from object_detection.structures.batch import Detections, Proposals, Rois

MATCH_IOU = 0.5  # fixed by TFOD's target assigner
# Cells of a map whose size is not known when the graph is made: of 1024 x 1024 pixels at stride 8.
_CELLS = 128 * 128


class CropSettings(NamedTuple):
    """How the features of a roi are cut out."""

    size: int  # initial_crop_size
    pool_kernel: int
    pool_stride: int
    matmul: bool  # use_matmul_crop_and_resize
    paper_levels: bool  # our fpn_paper_levels
    true_boxes: bool = False  # our crop_masks_at_true_boxes
    unstretched: bool = False  # our fpn_unstretched_crops


class SamplingSettings(NamedTuple):
    """How rois are drawn for the losses."""

    batch_size: int  # second_stage_batch_size
    positive_fraction: float  # second_stage_balance_fraction
    add_groundtruth: bool  # our add_groundtruth_to_proposals


class DetectionSettings(NamedTuple):
    """`second_stage_post_processing`."""

    score_converter: str  # SOFTMAX, SIGMOID or IDENTITY
    logit_scale: float
    score_threshold: float
    iou_threshold: float
    max_per_class: int
    max_total: int
    soft_nms_sigma: float
    class_agnostic: bool
    max_classes_per_detection: int
    calibrate: Callable | None = None  # scores [..., C + 1] -> calibrated ones
    calibrate_logits: Callable | None = None  # the same of logits, before they are converted
    classes: tuple = ()  # the only ones (1..C) that are detected; none named: all

    def scores_of(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the scores [..., C + 1] of class logits [..., C + 1], background included.

        In TFOD's order: a temperature divides the logits before anything else is done to them; the
        other calibrations are maps of the scores that the converter makes.
        """
        if self.calibrate_logits is not None:
            logits = self.calibrate_logits(logits)
        scores = losses.score_converter(self.score_converter, self.logit_scale)(logits)
        return scores if self.calibrate is None else self.calibrate(scores)


class RoiCropper(NamedTuple):
    """Cuts rois out of the features, which may be a pyramid.

    With TFOD's rule every level of the pyramid may be read and the level depends on the image's
    size; with `paper_levels` it is equation 1 of the FPN paper (224 px boxes from level 4).

    A pyramid is computed of the image padded to `pad_to_multiple`, but TFOD takes its maps for
    those of the image without that padding, and so crops stretched regions; not so `unstretched`.
    """

    settings: CropSettings

    def crop(self, features, boxes_px, image_shape, training=False):
        """Crops [B, R, S, S, C] of {level: [B, h, w, C]} at boxes [B, R, 4], max-pooled."""
        shape = tf.shape(boxes_px)
        owner = tf.repeat(tf.range(shape[0]), shape[1])
        flat = tf.reshape(boxes_px, [-1, 4])
        rows = self.crop_rows_and_pool(features, flat, owner, image_shape, training)
        return tf.reshape(rows, [shape[0], shape[1], *rows.shape[1:]])

    def crop_rows(self, features, boxes_px, owner, image_shape, size, training=False):
        """Crops [n, size, size, C] at boxes [n, 4] of the images `owner` [n] int32."""
        maps = [features[level] for level in sorted(features)]
        levels = self.levels_of(features, boxes_px, image_shape)
        if self.settings.unstretched and len(maps) > 1:
            image_shape = tf.shape(maps[0])[1:3] * 2 ** min(features)  # that the maps cover
        return self._crop_maps(maps, boxes_px, owner, levels, image_shape, size, training)

    def _crop_maps(self, maps, boxes_px, owner, levels, shape, size, training):
        """`crop_rows`, each box from its own of the maps, which cover an image of `shape`."""
        how = {"matmul": self.settings.matmul, "exact_gradient": training}
        if len(maps) == 1:
            return roi_align.crop_rows(maps[0], boxes_px, owner, shape, size, **how)
        return roi_align.crop_pyramid_rows(maps, boxes_px, owner, levels, shape, size, **how)

    def crop_rows_and_pool(self, features, boxes_px, owner, image_shape, training=False):
        """`crop_rows` at `initial_crop_size`, max-pooled as the config says: [n, s, s, C]."""
        size = self.settings.size
        crops = self.crop_rows(features, boxes_px, owner, image_shape, size, training)
        pooled = roi_align.max_pool(
            crops[tf.newaxis], self.settings.pool_kernel, self.settings.pool_stride
        )
        return pooled[0]

    def final_boxes(self, boxes_px, images):
        """The boxes [B, D, 4] that are cropped for final boxes: with padding, not they themselves.

        TFOD reads boxes that are normalized by the true image as if they were normalized by the
        padded one, so with padding it crops a stretched region. Its numbers, of its published
        weights too, hang on it: it is kept, unless `true_boxes`.
        """
        if self.settings.true_boxes:
            return boxes_px
        padded = tf.cast(tf.shape(images.pixels)[1:3], tf.float32)
        stretch = padded / tf.cast(images.true_shape, tf.float32)
        return boxes_px * tf.tile(stretch, [1, 2])[:, tf.newaxis]

    def levels_of(self, features, boxes_px, image_shape):
        """Index of the level each box [..., 4] reads, from 0; only the levels are used."""
        levels = sorted(features)
        if len(levels) == 1:
            return tf.zeros(tf.shape(boxes_px)[:-1], tf.int32)
        if self.settings.paper_levels:
            index = roi_align.paper_levels(boxes_px, min_level=levels[0], max_level=levels[-1])
            return index - levels[0]
        return roi_align.tfod_levels(boxes_px, image_shape, len(levels))

    @property
    def pooled_size(self):
        """Side of a pooled crop."""
        return (self.settings.size - self.settings.pool_kernel) // self.settings.pool_stride + 1


class RoiStage(keras.layers.Layer):
    """Trunk and box head on rois, the sampling of rois, the losses, and detections.

    Args:
        trunk: layer, pooled crops [n, s, s, C] -> [n, s', s', C'].
        head: `BoxHead`.
        cropper: `RoiCropper`.
        sampling: `SamplingSettings`.
        detection: `DetectionSettings`.
        classification_loss: (logits [B, R, C + 1], one-hot) -> [B, R].
        miner: `losses.HardExampleMiner`, or None. With one, losses are taken of all proposals and
            the hardest count; without, of rois that are drawn.

    Call arguments:
        features: {level: [B, h, w, C]}.
        rois: `Rois`.
        image_shape: (H, W) of the padded image.

    Returns:
        `BoxOutput` and the trunk's features [B, R, s', s', C'].
    """

    rewrites = FAST

    def __init__(
        self,
        trunk,
        head,
        cropper,
        *,
        sampling,
        detection,
        classification_loss,
        miner=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.trunk = trunk
        self.head = head
        self.cropper = cropper
        self.sampling = sampling
        self.detection = detection
        self.classification_loss = classification_loss
        self.miner = miner

    def build(self, input_shape):
        size = self.cropper.pooled_size
        self.trunk.build((None, size, size, input_shape[-1]))
        self.head.build((None, self.trunk.filters))

    def call(self, features, rois, image_shape, training=False, seed=None):
        trunk = self.trunk_features(features, rois.boxes, image_shape, training=training)
        return self.head(trunk, training=training, seed=seed), trunk

    @property
    def trunk_size(self):
        """(s', s', C') of the trunk's features."""
        size = self.cropper.pooled_size
        return tuple(self.trunk.compute_output_shape((None, size, size, None))[1:])

    def trunk_features(self, features, boxes_px, image_shape, training=False):
        """The trunk's features [B, R, s', s', C'] of boxes [B, R, 4]."""
        shape, rois = tf.shape(boxes_px), boxes_px.shape[1]
        owner = tf.repeat(tf.range(shape[0]), shape[1])
        flat = tf.reshape(boxes_px, [-1, 4])
        rows = self.trunk_of_rows(features, flat, owner, image_shape, training, rois=rois)
        return tf.reshape(rows, [shape[0], shape[1], *rows.shape[1:]])

    def trunk_of_rows(self, features, boxes_px, owner, image_shape, training=False, *, rois=None):
        """The trunk's features [n, s', s', C'] of boxes [n, 4] of the images `owner` [n] int32.

        A crop is a weighted mean of cells, or 0 outside the map, and a 1x1 convolution without its
        bias is linear, so their order does not matter. It hardly ever pays to convolve
        every crop: boxes overlap, and there are many.

        Args:
            rois: boxes of an image at most, None where that is not known.
        """
        place = (boxes_px, owner, image_shape)
        crops = self.cropper.crop_rows_and_pool(features, *place, training)
        if not self._convolves_before_crop(features, rois):
            return self.trunk(crops, training=training)

        def convolve(_, kernel):
            products = {
                level: tf.nn.conv2d(tf.cast(cells, kernel.dtype), kernel, 1, "SAME")
                for level, cells in features.items()
            }
            return self.cropper.crop_rows(products, *place, self.cropper.settings.size, training)

        return self.trunk(crops, training=training, convolve=convolve)

    def _convolves_before_crop(self, features, rois):
        settings = self.cropper.settings
        pooled = settings.pool_kernel > 1 or settings.pool_stride > 1
        can = getattr(self.trunk, "begins_with_products", False) and len(features) == 1
        if pooled or not can or not self.rewrites.convolution_before_crop:
            return False
        (cells,) = features.values()
        area = cells.shape[1:3].num_elements() or _CELLS
        return rois is None or rois * settings.size**2 > area

    def trunk_of_crops(self, crops, training=False):
        """The trunk's features [B, R, s', s', C'] of pooled crops [B, R, s, s, C]."""
        shape = tf.shape(crops)
        flat = self.trunk(tf.reshape(crops, [-1, *crops.shape[2:]]), training=training)
        return tf.reshape(flat, [shape[0], shape[1], *flat.shape[1:]])

    def sample(self, proposals, truth, seed):
        """Draws rois from the proposals and gives them their targets.

        Ground truth is not among the proposals (TFOD), unless `add_groundtruth`.

        Returns:
            `Rois` with R = second_stage_batch_size; with a `miner`, all of them.
        """
        if self.sampling.add_groundtruth:
            proposals = Proposals(
                tf.concat([proposals.boxes, truth.boxes], 1),
                tf.concat([proposals.scores, tf.ones_like(truth.weights)], 1),
                tf.concat([proposals.valid, truth.valid], 1),
            )
        if truth.ignore is not None:
            is_kept = ~ignore_regions.mostly_ignored(proposals.boxes, truth.ignore)
            proposals = proposals._replace(valid=proposals.valid & is_kept)
        if self.miner is not None:
            return self.with_targets(proposals.boxes, proposals.valid, truth)
        iou = boxes.iou(proposals.boxes, truth.boxes)
        match = matcher.match_by_iou(iou, truth.valid, low=MATCH_IOU, high=MATCH_IOU)
        positive = match.label == matcher.POSITIVE
        weight = tf.where(positive, gather_matched(truth.weights, match.gt_index), 1.0)
        selected = sampler.sample(
            positive,
            proposals.valid & (weight > 0),
            self.sampling.batch_size,
            self.sampling.positive_fraction,
            seed,
        )
        index, valid = sampler.gather_selected(selected, self.sampling.batch_size)
        return self.with_targets(tf.gather(proposals.boxes, index, batch_dims=1), valid, truth)

    def with_targets(self, boxes_px, valid, truth):
        """`Rois` at boxes [B, R, 4], their targets matched with the ground truth."""
        rois = tf.where(valid[..., tf.newaxis], boxes_px, 0.0)
        iou = boxes.iou(rois, truth.boxes)
        match = matcher.match_by_iou(iou, truth.valid, low=MATCH_IOU, high=MATCH_IOU)
        is_object = (match.label == matcher.POSITIVE) & valid
        weight = tf.where(is_object, gather_matched(truth.weights, match.gt_index), 1.0)
        deltas = box_coder.encode(gather_matched(truth.boxes, match.gt_index), rois)
        class_targets = None
        if truth.class_targets is not None:
            class_targets = _class_targets(truth.class_targets, match.gt_index, is_object)
        return Rois(
            boxes=tf.stop_gradient(rois),
            valid=valid,
            target_class=tf.where(is_object, gather_matched(truth.classes, match.gt_index), 0),
            target_deltas=tf.where(is_object[..., tf.newaxis], deltas, 0.0),
            gt_index=tf.where(is_object, match.gt_index, 0),
            weight=tf.where(valid, weight, 0.0),
            class_targets=class_targets,
            is_object=None if class_targets is None else is_object,
        )

    def losses_of(self, output, rois):
        """Localization and classification loss, unweighted.

        Each is a sum over an image's rois divided by their number and by the batch (TFOD). With a
        `miner` the sum is only over the hardest, the divisor as before; TFOD mines, and counts,
        the first image of a batch only, which is not copied.

        Returns:
            Two scalars.
        """
        batch = tf.cast(tf.shape(rois.valid)[0], tf.float32)
        number = tf.maximum(tf.reduce_sum(tf.cast(rois.valid, tf.float32), 1, keepdims=True), 1.0)
        scale = rois.weight / (number * batch)
        deltas = deltas_of_class(output.deltas, rois.target_class)
        if rois.class_targets is not None and output.deltas.shape[2] > 1:
            # An object of no class has no deltas of its own (TFOD): it moves nothing.
            deltas = tf.where(rois.target_class[..., tf.newaxis] > 0, deltas, 0.0)
        box_loss = losses.smooth_l1(deltas, tf.stop_gradient(rois.target_deltas))
        class_loss = self._class_loss(output.class_logits, rois) * scale
        box_loss = tf.where(rois.has_object, box_loss * scale, 0.0)
        if self.miner is not None:
            hardest = self.miner.choose(box_loss, class_loss, rois.boxes, rois.valid)
            box_loss, class_loss = (tf.where(hardest, x, 0.0) for x in (box_loss, class_loss))
        return tf.reduce_sum(box_loss), tf.reduce_sum(class_loss)

    def _class_loss(self, logits, rois):
        """[B, R] of logits [B, R, C + 1]."""
        if rois.class_targets is None:
            return self.classification_loss(logits, tf.one_hot(rois.target_class, logits.shape[-1]))
        loss = self.classification_loss(logits, rois.class_targets)
        # TensorFlow's softmax loss has a gradient even against targets that sum to 0.
        return tf.where(loss == 0.0, tf.stop_gradient(loss), loss)

    def detect(self, output, proposals, true_shape):
        """Per-class non-maximum suppression over the refined proposals.

        Args:
            output: `BoxOutput` of the proposals.
            true_shape: [B, 2] int32; detections are clipped to it.

        Returns:
            `Detections` without masks.
        """
        scores = self.detection.scores_of(output.class_logits)
        decoded = box_coder.decode(output.deltas, proposals.boxes[:, :, tf.newaxis])
        size = tf.cast(true_shape, tf.float32)
        window = tf.concat([tf.zeros_like(size), size], 1)
        selected = self._suppress(decoded, scores[..., 1:], proposals.valid, window)
        best = tf.argmax(output.class_logits[..., 1:], -1, output_type=tf.int32) + 1
        multiclass = tf.gather(scores, selected.index, batch_dims=1)
        return Detections(
            boxes=selected.boxes,
            scores=selected.scores,
            classes=tf.where(selected.valid, selected.classes + 1, 0),
            valid=selected.valid,
            multiclass_scores=tf.where(selected.valid[..., tf.newaxis], multiclass, 0.0),
            anchor_index=tf.where(selected.valid, selected.index, 0),
            raw_boxes=boxes.clip(deltas_of_class(decoded, best), window[:, tf.newaxis]),
            raw_scores=scores,
        )

    def _suppress(self, decoded, scores, valid, window):
        """Non-maximum suppression as the settings have it, `nms.Selected`.

        With a choice of classes the others are as if they were not there, whose place among the
        `max_total` best others take. Where classes suppress each other they are taken out
        afterwards.

        Args:
            decoded: [B, P, C or 1, 4]; scores: [B, P, C]; valid: [B, P]; window: [B, 4].
        """
        settings = self.detection
        columns = [label - 1 for label in settings.classes]
        only_columns = columns and not settings.class_agnostic
        if only_columns:
            scores = tf.gather(scores, columns, axis=2)
            decoded = decoded if decoded.shape[2] == 1 else tf.gather(decoded, columns, axis=2)
        selected = nms.multiclass_nms(
            decoded,
            scores,
            valid,
            window,
            score_threshold=settings.score_threshold,
            iou_threshold=settings.iou_threshold,
            max_per_class=settings.max_per_class,
            max_total=settings.max_total,
            soft_sigma=settings.soft_nms_sigma,
            class_agnostic=settings.class_agnostic,
            max_classes_per_detection=settings.max_classes_per_detection,
            best_first=self.rewrites.best_first_suppression,
        )
        if only_columns:
            return selected._replace(classes=tf.gather(columns, selected.classes))
        return nms.of_classes(selected, columns) if columns else selected


def _class_targets(targets, gt_index, is_object):
    """[B, R, C + 1] of targets [B, G, C]: 1 for background where there is no object."""
    own = tf.pad(gather_matched(targets, gt_index), [[0, 0], [0, 0], [1, 0]])
    background = tf.one_hot(tf.zeros_like(gt_index), tf.shape(own)[-1])
    return tf.where(is_object[..., tf.newaxis], own, background)


def deltas_of_class(deltas, classes):
    """[B, R, C or 1, 4] -> [B, R, 4] for classes [B, R] in 1..C; background reads class 1."""
    if deltas.shape[2] == 1:
        return deltas[:, :, 0]
    return tf.gather(deltas, tf.maximum(classes - 1, 0), batch_dims=2)
