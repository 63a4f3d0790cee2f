"""The third stage: masks of positive rois in training, of final detections at inference."""

import keras
import tensorflow as tf

from object_detection.modeling.conv_block import mean_over_replicas, replica_count
from object_detection.modeling.rewrites import FAST
from object_detection.ops import ignore_regions, losses, masks


class MaskStage(keras.layers.Layer):
    """Where the mask head's features come from, its loss and its predictions.

    The head is run on the rows that matter only (the rewrite `counted_masks`): TFOD runs it on
    every sampled roi and on every padded detection. With `spatial` its features are crops of the
    pyramid, as in the paper; else the box trunk's features, as in TFOD.

    Args:
        head: `MaskHead`.
        roi_stage: the `RoiStage` whose cropper and trunk are shared.
    """

    rewrites = FAST

    def __init__(self, head, **kwargs):
        super().__init__(**kwargs)
        self.head = head
        self.settings = head.settings

    def build(self, input_shape):
        self.head.build(input_shape)

    def training_logits(self, features, rois, trunk, cropper, image_shape, training):
        """Logits of the positive rois' own classes.

        Where the head's norm takes the statistics of the batch, every roi is computed, padding
        included, for these are TFOD's batch; the loss weight of the others is zero.

        Args:
            features: {level: [B, h, w, C]}.
            rois: `Rois` with targets.
            trunk: [B, R, s, s, C] the box trunk's features of the rois.

        Returns:
            [n, M, M] logits and [n, 2] int32, (image, roi) of each row. Never without a row:
            where no roi is positive, row 0 is a substitute with loss weight zero.
        """
        counted = rois.has_object
        if (training and self.head.has_live_norm) or not self.rewrites.counted_masks:
            counted = tf.ones_like(counted)
        rows = at_least_one_row(tf.cast(tf.where(counted), tf.int32))
        x = self._features_of(features, rois.boxes, trunk, rows, cropper, image_shape, training)
        classes = tf.gather_nd(rois.target_class, rows)
        logits = self.head(x, tf.maximum(classes, 1), training=training)
        masks_of_classes = not self.settings.class_agnostic and self.head.num_classes > 1
        if rois.is_object is not None and masks_of_classes:
            # An object of no class has no mask of its own: TFOD's logits of background are 0.
            logits = tf.where(classes[:, tf.newaxis, tf.newaxis] > 0, logits, 0.0)
        return logits, rows

    def logits_of_all_rois(self, features, boxes_px, trunk, cropper, image_shape, training=False):
        """Mask logits [B * R, C, M, M] of every class for every roi (TFOD's training tensor)."""
        rows = tf.cast(tf.where(tf.ones(tf.shape(boxes_px)[:2], tf.bool)), tf.int32)
        x = self._features_of(features, boxes_px, trunk, rows, cropper, image_shape, training)
        return self.head(x, training=training)

    def _features_of(self, features, boxes_px, trunk, rows, cropper, image_shape, training):
        if not self.settings.spatial:
            return tf.gather_nd(trunk, rows)
        own, owner = tf.gather_nd(boxes_px, rows), rows[:, 0]
        size = self.settings.crop_size
        return cropper.crop_rows(features, own, owner, image_shape, size, training)

    def loss_of(self, logits, rows, rois, truth, images):
        """Mean sigmoid cross-entropy over the pixels of the positive rois' masks (TFOD).

        Rois whose ground truth has no mask (`masks.present`) carry no loss, nor do pixels of ignore
        regions. The mean is that of the whole batch, however many replicas share it, so that the
        same batch is the same training on any number of them; TFOD's, with
        `mask_loss_per_replica`, gives the replicas equal weight instead.

        Returns:
            A scalar.
        """
        if truth.masks is None:
            return tf.zeros([])
        image_shape = tf.shape(images.pixels)[1:3]
        size = self.head.mask_size
        gt_index = tf.gather_nd(rois.gt_index, rows)
        number_of_masks = tf.shape(truth.masks.pixels)[1]
        has_mask = gt_index < number_of_masks
        if truth.masks.present is not None:
            known = tf.pad(truth.masks.present, [[0, 0], [0, 1]])  # objects beyond have none
            at = tf.minimum(gt_index, number_of_masks)
            has_mask = tf.gather_nd(known, tf.stack([tf.cast(rows[:, 0], at.dtype), at], axis=1))
        targets = self.targets_of(rows, rois, truth, images)
        is_object = tf.gather_nd(rois.has_object, rows)
        weight = tf.where(is_object & has_mask, tf.gather_nd(rois.weight, rows), 0.0)
        loss = losses.sigmoid_cross_entropy(logits, tf.stop_gradient(targets))
        pixels = float(size[0] * size[1])
        counted = weight[:, tf.newaxis, tf.newaxis]
        number, least = tf.reduce_sum(weight) * pixels, 1.0
        if truth.ignore is not None:
            touched = ignore_regions.touched_points(
                truth.ignore, image_shape, tf.gather_nd(rois.boxes, rows), rows[:, 0], size
            )
            counted = tf.where(touched, 0.0, counted)
            number = tf.reduce_sum(counted)
        if not self.settings.loss_per_replica:
            # A replica's loss is averaged with the others' afterwards.
            (number,), least = mean_over_replicas([number]), 1.0 / replica_count()
        number = tf.maximum(number, least)
        return tf.reduce_sum(loss * counted) / number

    def targets_of(self, rows, rois, truth, images):
        """What the masks [n, M, M] of the rois at rows [n, (image, roi)] should be, 0..1."""
        stored = self.rewrites.stored_mask_targets
        target_rows = masks.mask_target_rows if stored else masks.resized_mask_target_rows
        return target_rows(
            truth.masks,
            images.true_shape,
            tf.shape(images.pixels)[1:3],
            tf.gather_nd(rois.boxes, rows),
            rows[:, 0],
            tf.gather_nd(rois.gt_index, rows),
            self.head.mask_size,
        )

    def predict(self, features, detections, roi_stage, images):
        """Detections with their masks, probabilities inside each box; zeros in padding."""
        counted = detections.valid
        if not self.rewrites.counted_masks:
            counted = tf.ones_like(counted)
        rows = at_least_one_row(tf.where(counted))
        x = self.detection_features(features, detections.boxes, rows, roi_stage, images)
        logits = self.head(x, tf.maximum(tf.gather_nd(detections.classes, rows), 1))
        shape = tf.concat([tf.shape(detections.valid), tf.shape(logits)[1:]], 0)
        probabilities = tf.scatter_nd(rows, tf.sigmoid(logits), tf.cast(shape, tf.int64))
        valid = detections.valid[..., tf.newaxis, tf.newaxis]
        probabilities = tf.where(valid, probabilities, 0.0)
        probabilities = tf.reshape(
            probabilities, [-1, detections.valid.shape[1], *self.head.mask_size]
        )
        return detections._replace(masks=probabilities)

    def logits_of_all_classes(self, features, detections, roi_stage, images):
        """Mask logits [B * D, C, M, M] of every class for every row, padding included (TFOD)."""
        rows = tf.where(tf.ones_like(detections.valid))
        x = self.detection_features(features, detections.boxes, rows, roi_stage, images)
        return self.head(x)

    def detection_features(self, features, boxes_px, rows, roi_stage, images):
        """The head's input [n, s, s, C] for rows [n, (image, detection)] of boxes [B, D, 4].

        The spatial branch, which TFOD does not have, crops the box itself; without it, see
        `RoiCropper.final_boxes`.
        """
        image_shape = tf.shape(images.pixels)[1:3]
        cropper, owner = roi_stage.cropper, tf.cast(rows[:, 0], tf.int32)
        if self.settings.spatial:
            own = tf.gather_nd(boxes_px, rows)
            return cropper.crop_rows(features, own, owner, image_shape, self.settings.crop_size)
        own = tf.gather_nd(cropper.final_boxes(boxes_px, images), rows)
        rois = boxes_px.shape[1]
        return roi_stage.trunk_of_rows(features, own, owner, image_shape, rois=rois)


def at_least_one_row(rows):
    """[n, 2] indices, or the one row (0, 0) where n is 0.

    TensorFlow's fused convolutions give an empty batch the wrong number of channels.
    """
    padded = tf.pad(rows, [[0, tf.maximum(1 - tf.shape(rows)[0], 0)], [0, 0]])
    return tf.reshape(padded, [-1, 2])  # two columns, as every converter of the graph can tell
