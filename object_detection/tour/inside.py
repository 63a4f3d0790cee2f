"""Intermediate values of a network for one image, stage by stage, from its own public parts.

Each value is the output of the layer or function that prediction and training use. Boxes are (ymin,
xmin, ymax, xmax) in pixels of the resized image.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.compat import outputs as tfod_outputs
from object_detection.errors import CheckpointError
from object_detection.modeling.backbones.fpn import FeaturePyramid, pad_to_multiple
from object_detection.ops import box_coder, boxes, roi_align
from object_detection.structures.batch import Batch

STEP = 0  # training step whose random samples the losses use


class Proposed(NamedTuple):
    """Boxes of the first stage for one image."""

    anchors: np.ndarray  # [N, 4], clipped to the padded image
    scores: np.ndarray  # [N] probability of an object
    deltas: np.ndarray  # [N, (ty, tx, th, tw)]
    boxes: np.ndarray  # [N, 4] anchors moved by their deltas, clipped to the image: before NMS
    kept: np.ndarray  # [P, 4] proposals: after NMS, best first
    kept_scores: np.ndarray  # [P]
    kept_levels: np.ndarray  # [P] pyramid level that each is cropped from


class Crops(NamedTuple):
    """Crop of ROIAlign for one box."""

    box: np.ndarray  # [4]
    level: int
    points: np.ndarray  # [S, S, (y, x)] the points of the box, in pixels of the image
    readings: np.ndarray  # [S, S, (y, x)] where its level's map is read, in cells; 0 is the first
    features: np.ndarray  # [S, S, C]


class HeadOutputs(NamedTuple):
    """Outputs of the heads for one image."""

    probabilities: np.ndarray  # [P, C + 1] of each proposal, column 0 the background
    moved: np.ndarray  # [P, 4] each proposal moved by the deltas of its best class
    boxes: np.ndarray  # [D, 4] detections, after NMS of each class
    scores: np.ndarray  # [D]
    classes: np.ndarray  # [D], 1..C
    masks: np.ndarray  # [D, M, M] probabilities inside each box
    proposal: np.ndarray  # [D] row of the proposal of each


class TrainStepValues(NamedTuple):
    """Values of a training step on one image."""

    losses: dict  # TFOD's name -> float, the total too
    rois: np.ndarray  # [R, 4] the sampled proposals
    classes: np.ndarray  # [R] their targets, 0 for background
    mask_rois: np.ndarray  # [n, 4] those with an object
    mask_targets: np.ndarray  # [n, M, M] of 0 and 1 (between them at a border)
    mask_probabilities: np.ndarray  # [n, M, M]


class Inside(NamedTuple):
    """All values that the tour shows for one image."""

    image: np.ndarray  # [h, w, 3] uint8, resized, without padding
    source_shape: tuple  # (height, width) of the photograph
    stages: dict  # stage -> [h, w, C] of the backbone
    levels: dict  # level -> [h, w, C] of the pyramid
    anchors_per_cell: tuple  # one for each level
    proposed: Proposed
    crops: Crops
    heads: HeadOutputs
    truth: tuple  # (boxes [G, 4], classes [G]) of the annotations
    trained: TrainStepValues | None  # None without annotations

    @property
    def counts(self):
        """Number of anchors by level, finest first: their order in N."""
        return {
            level: self.levels[level].shape[0] * self.levels[level].shape[1] * each
            for level, each in zip(self.levels, self.anchors_per_cell, strict=True)
        }

    def of_level(self, values):
        """Split values [N, ...] of all anchors; return {level: rows}."""
        ends = np.cumsum(list(self.counts.values()))
        return dict(zip(self.counts, np.split(values, ends[:-1]), strict=True))


def check(network):
    """Check that the tour can show a network.

    Raises:
        CheckpointError: no feature pyramid, or no masks.
    """
    if not isinstance(network.backbone, FeaturePyramid) or not network.has_masks:
        raise CheckpointError(
            "the tour needs a Mask R-CNN with a feature pyramid: feature_extractor.type must be "
            "one of the *_fpn_keras and number_of_stages 3"
        )


def inspect_image(network, batch: Batch) -> Inside:
    """Run a network on the first image of a batch and collect the intermediate values.

    Args:
        network: `FasterRCNN` with a feature pyramid and masks.
        batch: a `Batch` of one image, from the input pipeline; without objects, no losses.

    Raises:
        CheckpointError: see `check`.
    """
    check(network)
    images, truth = batch.images, batch.truth
    height, width = (int(side) for side in images.true_shape[0])
    pixels = np.clip(images.pixels[0, :height, :width].numpy(), 0, 255)
    features = network.extract(images)
    inference = network.detect(features, images)
    valid = truth.valid[0].numpy()
    heads = _head_outputs(network, inference)
    best = heads.boxes[0] if len(heads.boxes) else inference.proposals.boxes[0, 0].numpy()
    return Inside(
        image=np.uint8(np.rint(pixels)),
        source_shape=tuple(int(side) for side in batch.source_shape[0]),
        stages=backbone_stages(network, images),
        levels={level: features.levels[level][0].numpy() for level in sorted(features.levels)},
        anchors_per_cell=network.rpn.anchor_generator.per_location,
        proposed=_proposed(network, inference, images),
        crops=crop_box(network, features, best, images),
        heads=heads,
        truth=(truth.boxes[0].numpy()[valid], truth.classes[0].numpy()[valid]),
        trained=train_step_values(network, batch) if valid.any() else None,
    )


def backbone_stages(network, images):
    """Return {stage: [h, w, C]} of the backbone, before the pyramid."""
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
    """Return the pyramid level that each of boxes [n, 4] is cropped from, [n] int."""
    cropper, names = network.roi_stage.cropper, sorted(network.backbone.channels)
    shape = tf.shape(images.pixels)[1:3]
    return np.array(names)[cropper.levels_of(names, tf.constant(boxes_px), shape).numpy()]


def crop_box(network, features, box, images):
    """Return the `Crops` of one box [4]."""
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


def _head_outputs(network, inference):
    output, detections = inference.boxes, inference.detections
    convert = network.roi_stage.detection.scores_of
    proposals = inference.proposals.valid[0]
    kept = detections.valid[0]
    return HeadOutputs(
        probabilities=convert(output.class_logits)[0][proposals].numpy(),
        moved=detections.raw_boxes[0][proposals].numpy(),
        boxes=detections.boxes[0][kept].numpy(),
        scores=detections.scores[0][kept].numpy(),
        classes=detections.classes[0][kept].numpy(),
        masks=detections.masks[0][kept].numpy(),
        proposal=detections.anchor_index[0][kept].numpy(),
    )


def train_step_values(network, batch, *, seed=0, step=STEP, regularization=True) -> TrainStepValues:
    """Return the values of a training step on a batch; no weight changes.

    Trainable norms use the statistics of the batch, as in training; their averages are restored.
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
    return TrainStepValues(
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
    """Return the level of a square box by equation 1 of the FPN paper, k0 = 4, unbounded."""
    box = tf.constant([[0.0, 0.0, side, side]])
    return int(roi_align.paper_levels(box, min_level=0, max_level=9)[0])


SQUARES = (32, 112, 224, 448)  # pixels; examples of equation 1 of the FPN paper
SURE = 0.5


def to_numbers(inside, names, network, *, image="", weights=""):
    """Return all numbers of the page, {section: {name: number}}, ready for json.

    Args:
        inside: `Inside`.
        names: {class: name}.
        network: the inspected network.
        image: name of the photograph's file.
        weights: source of the weights, a few words.
    """
    return {
        "photograph": {
            "file": image,
            "size": list(inside.source_shape),
            "resized": list(inside.image.shape[:2]),
            "objects": [names.get(int(label), str(label)) for label in inside.truth[1]],
        },
        "model": {
            "weights": weights,
            "parameters": int(sum(np.prod(v.shape) for v in network.trainable_variables)),
        },
        "stages": {f"C{stage}": list(x.shape) for stage, x in inside.stages.items()},
        "levels": {f"P{level}": list(x.shape) for level, x in inside.levels.items()},
        "anchors": _anchors(inside),
        "scores": _scores(inside),
        "best_anchor": _best_anchor(inside),
        "proposals": _proposals(inside, network),
        "level_assignment": {
            "proposals": {
                f"P{level}": int(np.sum(inside.proposed.kept_levels == level))
                for level in inside.levels
            },
            "squares": {str(side): paper_level(side) for side in SQUARES},
            "paper_rule": bool(network.roi_stage.cropper.settings.paper_levels),
        },
        "roi_align": {
            "box": _rounded(inside.crops.box),
            "level": f"P{inside.crops.level}",
            "crop": list(inside.crops.features.shape),
        },
        "detections": _detections(inside, names),
        "mask_branch": {
            "spatial": bool(network.mask_stage.settings.spatial),
            "crop": network.mask_stage.settings.crop_size,
        },
        "losses": None if inside.trained is None else inside.trained.losses,
        "rois": None if inside.trained is None else _rois(inside.trained),
    }


def _rounded(values, digits=1):
    return [round(float(value), digits) for value in values]


def _anchors(inside):
    per_cell = zip(inside.levels, inside.anchors_per_cell, strict=True)
    return {
        "per_cell": {f"P{level}": each for level, each in per_cell},
        "per_level": {f"P{level}": count for level, count in inside.counts.items()},
        "total": len(inside.proposed.anchors),
    }


def _scores(inside):
    return {
        f"P{level}": {
            "best": round(float(values.max()), 4),
            "above_half": int(np.sum(values > 0.5)),
        }
        for level, values in inside.of_level(inside.proposed.scores).items()
    }


def _best_anchor(inside):
    proposed = inside.proposed
    best = int(np.argmax(proposed.scores))
    levels = np.repeat(list(inside.counts), list(inside.counts.values()))
    return {
        "level": f"P{levels[best]}",
        "score": round(float(proposed.scores[best]), 4),
        "anchor": _rounded(proposed.anchors[best]),
        "deltas": _rounded(proposed.deltas[best], 3),
        "moved": _rounded(proposed.boxes[best]),
    }


def _proposals(inside, network):
    proposed, settings = inside.proposed, network.rpn.settings
    return {
        "before": len(proposed.boxes),
        "after": len(proposed.kept),
        "sure_before": int(np.sum(proposed.scores > SURE)),
        "sure_after": int(np.sum(proposed.kept_scores > SURE)),
        "nms_iou": round(float(settings.nms_iou_threshold), 3),
        "at_most": settings.max_proposals,
    }


def _detections(inside, names):
    heads = inside.heads
    sure = np.flatnonzero(heads.scores >= SURE)
    objects = [
        {
            "name": names.get(int(heads.classes[k]), str(heads.classes[k])),
            "score": round(float(heads.scores[k]), 4),
            "box": _rounded(heads.boxes[k]),
            "from": _rounded(inside.proposed.kept[heads.proposal[k]]),
        }
        for k in sure
    ]
    return {
        "all": len(heads.scores),
        "mask": list(heads.masks.shape[1:]),
        "pairs": int(heads.probabilities.shape[0] * (heads.probabilities.shape[1] - 1)),
        "objects": objects,
    }


def _rois(trained):
    return {
        "sampled": len(trained.classes),
        "with_object": int(np.sum(trained.classes > 0)),
    }
