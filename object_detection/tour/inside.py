"""What a network computes of one image, stage after stage, taken out of its own public parts.

Nothing is computed anew here: each value is the output of the layer or function that prediction and
training use. Boxes are (ymin, xmin, ymax, xmax) in pixels of the resized image.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.compat import outputs as tfod_outputs
from object_detection.modeling.backbones.fpn import FeaturePyramid, pad_to_multiple
from object_detection.ops import box_coder, boxes, roi_align
from object_detection.structures.batch import Batch

STEP = 0  # of a training run, whose draws the losses are shown with


class Proposed(NamedTuple):
    """The first stage's boxes of one image."""

    anchors: np.ndarray  # [N, 4], clipped to the padded image
    scores: np.ndarray  # [N] probability of an object
    deltas: np.ndarray  # [N, (ty, tx, th, tw)]
    boxes: np.ndarray  # [N, 4] anchors moved by their deltas, clipped to the image: before NMS
    kept: np.ndarray  # [P, 4] proposals: after NMS, best first
    kept_scores: np.ndarray  # [P]
    kept_levels: np.ndarray  # [P] pyramid level that each is cropped from


class Crops(NamedTuple):
    """What ROIAlign cuts out for one box."""

    box: np.ndarray  # [4]
    level: int
    points: np.ndarray  # [S, S, (y, x)] the points of the box, in pixels of the image
    readings: np.ndarray  # [S, S, (y, x)] where its level's map is read, in cells; 0 is the first
    features: np.ndarray  # [S, S, C]


class Found(NamedTuple):
    """What the heads say of one image."""

    probabilities: np.ndarray  # [P, C + 1] of each proposal, column 0 the background
    moved: np.ndarray  # [P, 4] each proposal moved by the deltas of its best class
    boxes: np.ndarray  # [D, 4] detections, after NMS of each class
    scores: np.ndarray  # [D]
    classes: np.ndarray  # [D], 1..C
    masks: np.ndarray  # [D, M, M] probabilities inside each box
    proposal: np.ndarray  # [D] row of the proposal that each came from


class Trained(NamedTuple):
    """What a training step computes of one image."""

    losses: dict  # TFOD's name -> float, the total too
    rois: np.ndarray  # [R, 4] the sampled proposals
    classes: np.ndarray  # [R] their targets, 0 for background
    mask_rois: np.ndarray  # [n, 4] those with an object
    mask_targets: np.ndarray  # [n, M, M] of 0 and 1 (between them at a border)
    mask_probabilities: np.ndarray  # [n, M, M]


class Inside(NamedTuple):
    """Everything the tour shows of one image."""

    image: np.ndarray  # [h, w, 3] uint8, resized, without padding
    source_shape: tuple  # (height, width) of the photograph
    stages: dict  # stage -> [h, w, C] of the backbone
    levels: dict  # level -> [h, w, C] of the pyramid
    anchors_per_cell: tuple  # one for each level
    proposed: Proposed
    crops: Crops
    found: Found
    truth: tuple  # (boxes [G, 4], classes [G]) of the annotations
    trained: Trained | None  # None without annotations

    @property
    def counts(self):
        """{level: number of its anchors}, finest first: the order in which they lie in N."""
        return {
            level: self.levels[level].shape[0] * self.levels[level].shape[1] * each
            for level, each in zip(self.levels, self.anchors_per_cell, strict=True)
        }

    def of_level(self, values):
        """{level: rows} of values [N, ...] of all anchors."""
        ends = np.cumsum(list(self.counts.values()))
        return dict(zip(self.counts, np.split(values, ends[:-1]), strict=True))


def check(network):
    """Refuses what the tour cannot show.

    Raises:
        ValueError: no feature pyramid, or no masks.
    """
    if not isinstance(network.backbone, FeaturePyramid) or not network.has_masks:
        raise ValueError(
            "the tour is of a Mask R-CNN with a feature pyramid: feature_extractor.type has to be "
            "one of the *_fpn_keras and number_of_stages 3"
        )


def look(network, batch: Batch) -> Inside:
    """Runs a network on the first image of a batch, and keeps what it computes on the way.

    Args:
        network: `FasterRCNN` with a feature pyramid and masks.
        batch: a `Batch` of one image, as the input pipeline gives it; without objects no losses
            are taken.

    Raises:
        ValueError: see `check`.
    """
    check(network)
    images, truth = batch.images, batch.truth
    height, width = (int(side) for side in images.true_shape[0])
    pixels = np.clip(images.pixels[0, :height, :width].numpy(), 0, 255)
    features = network.extract(images)
    inference = network.detect(features, images)
    valid = truth.valid[0].numpy()
    found = _found(network, inference)
    best = found.boxes[0] if len(found.boxes) else inference.proposals.boxes[0, 0].numpy()
    return Inside(
        image=np.uint8(np.rint(pixels)),
        source_shape=tuple(int(side) for side in batch.source_shape[0]),
        stages=stages_of(network, images),
        levels={level: features.levels[level][0].numpy() for level in sorted(features.levels)},
        anchors_per_cell=network.rpn.anchor_generator.per_location,
        proposed=_proposed(network, inference, images),
        crops=crops_of(network, features, best, images),
        found=found,
        truth=(truth.boxes[0].numpy()[valid], truth.classes[0].numpy()[valid]),
        trained=training_of(network, batch) if valid.any() else None,
    )


def stages_of(network, images):
    """{stage: [h, w, C]} of the backbone alone, before the pyramid is built on it."""
    pixels = pad_to_multiple(network.preprocess(images.pixels), network.backbone.pad_to_multiple)
    stages = network.backbone.backbone(pixels)
    return {stage: stages[stage][0].numpy() for stage in sorted(stages)}


def _proposed(network, inference, images):
    rpn, proposals = inference.rpn, inference.proposals
    size = tf.cast(images.true_shape[0], tf.float32)
    window = tf.concat([tf.zeros(2), size], 0)
    decoded = box_coder.decode(rpn.deltas, rpn.anchors[tf.newaxis])[0]
    kept = proposals.valid[0]
    return Proposed(
        anchors=rpn.anchors.numpy(),
        scores=tf.nn.softmax(rpn.objectness)[0, :, 1].numpy(),
        deltas=rpn.deltas[0].numpy(),
        boxes=boxes.clip(decoded, window).numpy(),
        kept=proposals.boxes[0][kept].numpy(),
        kept_scores=proposals.scores[0][kept].numpy(),
        kept_levels=levels_of(network, proposals.boxes[0][kept], images),
    )


def levels_of(network, boxes_px, images):
    """The pyramid level that each of boxes [n, 4] is cropped from, [n] int."""
    cropper, names = network.roi_stage.cropper, sorted(network.backbone.channels)
    shape = tf.shape(images.pixels)[1:3]
    return np.array(names)[cropper.levels_of(names, tf.constant(boxes_px), shape).numpy()]


def crops_of(network, features, box, images):
    """`Crops` of one box [4]."""
    cropper = network.roi_stage.cropper
    size, shape = cropper.settings.size, tf.shape(images.pixels)[1:3]
    crop = cropper.crop_rows(features.levels, box[np.newaxis], tf.constant([0]), shape, size)
    level = int(levels_of(network, box[np.newaxis], images)[0])
    finest = min(features.levels)
    if cropper.settings.unstretched:  # the maps cover the image with its padding to 32
        shape = tf.shape(features.levels[finest])[1:3] * 2**finest
    normalized = boxes.to_normalized(tf.constant(box[np.newaxis]), shape[0], shape[1])
    cells = tf.shape(features.levels[level])[1:3]
    readings = [
        sum(
            tf.cast(cell, tf.float32) * weight
            for cell, weight in roi_align.taps(
                normalized[:, axis : axis + 1], normalized[:, axis + 2 : axis + 3], length, size
            )
        )[0]
        for axis, length in enumerate(tf.unstack(cells))
    ]
    points = [np.linspace(box[axis], box[axis + 2], size) for axis in (0, 1)]
    points, readings = (
        np.stack(np.meshgrid(*each, indexing="ij"), -1) for each in (points, readings)
    )
    return Crops(box, level, points, readings, crop[0].numpy())


def _found(network, inference):
    output, detections = inference.boxes, inference.detections
    convert = network.roi_stage.detection.scores_of
    proposals = inference.proposals.valid[0]
    kept = detections.valid[0]
    return Found(
        probabilities=convert(output.class_logits)[0][proposals].numpy(),
        moved=detections.raw_boxes[0][proposals].numpy(),
        boxes=detections.boxes[0][kept].numpy(),
        scores=detections.scores[0][kept].numpy(),
        classes=detections.classes[0][kept].numpy(),
        masks=detections.masks[0][kept].numpy(),
        proposal=detections.anchor_index[0][kept].numpy(),
    )


def training_of(network, batch, *, seed=0, step=STEP, regularization=True) -> Trained:
    """What a training step with this seed and number computes of a batch; no weight changes.

    Norms that are live take the statistics of the batch, as in training; the averages they keep
    are set back.
    """
    seeds = tf.constant([seed, step], tf.int64)
    kept = [(variable, variable.numpy()) for variable in network.non_trainable_variables]
    outputs = network(batch.images, batch.truth, training=True, seed=seeds)
    named = network.losses_of(batch.images, batch.truth, outputs, seed=seeds)
    penalty = network.regularization_loss() if regularization else None
    for variable, value in kept:
        variable.assign(value)
    rois, rows = outputs.rois, outputs.mask_rows
    is_object = tf.gather_nd(rois.target_class, rows) > 0
    rows, logits = rows[is_object], outputs.mask_logits[is_object]
    valid = rois.valid[0]
    return Trained(
        losses={
            name: float(value) for name, value in tfod_outputs.named_losses(named, penalty).items()
        },
        rois=rois.boxes[0][valid].numpy(),
        classes=rois.target_class[0][valid].numpy(),
        mask_rois=tf.gather_nd(rois.boxes, rows).numpy(),
        mask_targets=_mask_targets(network, batch, rois, rows).numpy(),
        mask_probabilities=tf.sigmoid(logits).numpy(),
    )


def _mask_targets(network, batch, rois, rows):
    stage = network.mask_stage
    if batch.truth.masks is None:
        return tf.zeros([len(rows), *stage.head.mask_size])
    return stage.targets_of(rows, rois, batch.truth, batch.images)


def paper_level(side):
    """Equation 1 of the FPN paper, k0 = 4: the level of a square box, before it is bounded."""
    box = tf.constant([[0.0, 0.0, side, side]])
    return int(roi_align.paper_levels(box, min_level=0, max_level=9)[0])
