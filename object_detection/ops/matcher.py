"""Which ground truth a candidate box belongs to (Faster R-CNN section 3.1.2).

Candidates are the anchors in the first stage and the proposals in the second.
"""

from typing import NamedTuple

import tensorflow as tf

from object_detection.ops import boxes as box_ops

IGNORED = -1
NEGATIVE = 0
POSITIVE = 1


class Match(NamedTuple):
    """What became of each candidate."""

    gt_index: tf.Tensor  # [B, N] int32: the ground truth overlapped most; 0 where there is none
    label: tf.Tensor  # [B, N] int32: IGNORED, NEGATIVE or POSITIVE


def match_by_iou(iou, gt_valid, *, low, high, force_best=False, candidates=None) -> Match:
    """Gives each candidate box the ground truth it overlaps most.

    Args:
        iou: [B, N, G] overlap of N candidates with G ground-truth boxes; G may be 0.
        gt_valid: [B, G] bool, False for padding.
        low, high: IoU below `low` is NEGATIVE, from `high` on POSITIVE, between them IGNORED.
        force_best: also make the best candidate of each ground truth POSITIVE, however little
            they overlap: True for all valid ones, or [B, G] bool for these of the valid ones
            (TFOD: those with a weight above 0). The first of equally good candidates is taken;
            one that is the best of several goes to the first of these.
        candidates: [N] or [B, N] bool, which candidates can be forced; None for all. (TFOD takes
            anchors that cross the border away before it matches.)
    """
    iou = tf.where(gt_valid[:, tf.newaxis], iou, -1.0)  # padding loses to everything
    if not iou.shape[2]:  # none, or unknown: a column of padding makes the maximum well defined
        missing = tf.maximum(1 - tf.shape(iou)[2], 0)
        gt_valid = tf.pad(gt_valid, [[0, 0], [0, missing]])
        iou = tf.pad(iou, [[0, 0], [0, 0], [0, missing]], constant_values=-1.0)
        if tf.is_tensor(force_best):
            force_best = tf.pad(force_best, [[0, 0], [0, missing]])
    best = tf.reduce_max(iou, axis=2)
    gt_index = tf.argmax(iou, axis=2, output_type=tf.int32)
    label = tf.where(best >= high, POSITIVE, tf.where(best < low, NEGATIVE, IGNORED))
    if force_best is not False:
        forcing = gt_valid if force_best is True else gt_valid & force_best
        if candidates is not None:
            iou = tf.where(candidates[..., tf.newaxis], iou, -1.0)
        forced = _forced_by(iou, forcing)
        is_forced = forced < tf.shape(iou)[2]
        gt_index = tf.where(is_forced, forced, gt_index)
        label = tf.where(is_forced, POSITIVE, label)
    return Match(gt_index, label)


def match_boxes(
    boxes, gt_boxes, gt_valid, *, low, high, force_best=False, candidates=None
) -> Match:
    """`match_by_iou` of boxes, image by image and only against real ground truth.

    With 260,000 anchors and 100 padded ground-truth boxes an image's overlaps are 105 MB, and
    several such arrays live at once; with the seven objects an image has, a fourteenth of that.

    Args:
        boxes: [B, N, 4], or [N, 4] where all images share them (anchors).
        gt_boxes: [B, G, 4]; G may be 0.
        gt_valid, low, high, force_best, candidates: as in `match_by_iou`.
    """
    per_image = {"gt_boxes": gt_boxes, "gt_valid": gt_valid, "boxes": boxes}
    if candidates is not None:
        per_image["candidates"] = candidates
    if tf.is_tensor(force_best):
        per_image["force_best"] = force_best
    shared = {name: per_image.pop(name) for name in ("boxes", "candidates") if name in per_image}
    for name, unmapped_rank in (("boxes", 2), ("candidates", 1)):
        if name in shared and shared[name].shape.rank > unmapped_rank:
            per_image[name] = shared.pop(name)

    def match_image(own):
        own = {**shared, **own}
        real = tf.cast(tf.where(own["gt_valid"])[:, 0], tf.int32)
        forcing = own.get("force_best", force_best)
        match = match_by_iou(
            box_ops.iou(own["boxes"], tf.gather(own["gt_boxes"], real))[tf.newaxis],
            tf.ones_like(real, tf.bool)[tf.newaxis],
            low=low,
            high=high,
            force_best=tf.gather(forcing, real)[tf.newaxis] if "force_best" in own else forcing,
            candidates=own.get("candidates"),
        )
        real = tf.pad(real, [[0, 1]])  # where there is none, index 0 stands in
        return Match(tf.gather(real, match.gt_index[0]), match.label[0])

    column = tf.TensorSpec(boxes.shape[-2:-1], tf.int32)
    return tf.map_fn(match_image, per_image, fn_output_signature=Match(column, column))


def _forced_by(iou, forcing):
    """[B, N] int32: the first ground truth whose best candidate this is; G if there is none."""
    shape = tf.shape(iou)
    best = tf.argmax(iou, axis=1, output_type=tf.int32)
    image = tf.broadcast_to(tf.range(shape[0])[:, tf.newaxis], tf.shape(best))
    gt_index = tf.broadcast_to(tf.range(shape[2]), tf.shape(best))
    return tf.tensor_scatter_nd_min(
        tf.fill(shape[:2], shape[2]),
        tf.stack([image, best], axis=-1),
        tf.where(forcing, gt_index, shape[2]),
    )
