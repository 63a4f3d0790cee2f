"""Non-maximum suppression of proposals (Faster R-CNN section 3.3) and of detections.

It goes through TensorFlow's NonMaxSuppressionV5, as TFOD's does: of two boxes whose IoU is above
the threshold the one of lower score goes, of equal scores the later one; scores must
be above the score threshold. Suppression sees boxes unclipped. The survivors are clipped to a
window, and those left without area are dropped without others taking their place (TFOD).
"""

import contextlib
import contextvars
from typing import NamedTuple

import tensorflow as tf

from object_detection.errors import ConfigError
from object_detection.ops import boxes as box_ops
from object_detection.structures.batch import Proposals

_DROPPED = -float("inf")  # score of a box that takes no part: above no threshold
_TRIED_PROPOSALS = 4  # times as many boxes are looked at first as proposals are wanted
_TRIED = 10  # times as many pairs of box and class are looked at first as are wanted
_FEW = 1e-3  # a score that few pairs reach, of an image's tens of thousands
_ELSEWHERE = contextvars.ContextVar("suppression", default=None)


class Selected(NamedTuple):
    """Boxes that survived, sorted by score and padded to D."""

    boxes: tf.Tensor  # [B, D, 4] clipped; zeros in padding
    scores: tf.Tensor  # [B, D]; 0 in padding
    classes: tf.Tensor  # [B, D] int32, 0-based without background; 0 in padding
    index: tf.Tensor  # [B, D] int32, row of the input; 0 in padding
    valid: tf.Tensor  # [B, D] bool


@contextlib.contextmanager
def suppression_by(suppress):
    """What is traced within leaves suppression to another function, for runtimes without TF's op.

    Args:
        suppress: (boxes [K, N, 4], scores [K, N], *, max_output M, iou_threshold,
            score_threshold, soft_sigma=0.0) -> rows [K, M] int32 and their scores [K, M], best
            first, -inf in padding. Each of the K sets of boxes is suppressed on its own.
    """
    token = _ELSEWHERE.set(suppress)
    try:
        yield
    finally:
        _ELSEWHERE.reset(token)


def proposals_nms(
    boxes_of,
    scores,
    anchors_valid,
    window,
    *,
    score_threshold,
    iou_threshold,
    max_output,
    best_first=True,
) -> Proposals:
    """The best boxes of each image, whatever their class.

    All boxes take part, however many, as in TFOD: not only the best few thousand, as papers have
    it, other ones could survive.

    Args:
        boxes_of: rows [B, k] int32 -> their boxes [B, k, 4] pixels; None -> those of all N rows.
        scores: [B, N].
        anchors_valid: [B, N] bool, boxes that take part; None for all.
        window: [B, 4] pixels, to which the survivors are clipped.
        score_threshold, iou_threshold: floats.
        max_output: int P.
        best_first: asks for the boxes of the best scores alone where P of these survive; the
            result is the same without.

    Returns:
        `Proposals`, sorted by score and padded to P.
    """
    is_candidate = scores > score_threshold
    is_candidate = is_candidate if anchors_valid is None else is_candidate & anchors_valid
    scores = tf.where(is_candidate, scores, _DROPPED)

    def select(rows):
        own, boxes = scores if rows is None else _rows(scores, rows), boxes_of(rows)
        limits = {"iou_threshold": iou_threshold, "score_threshold": score_threshold}
        index, kept_scores = _suppress(boxes, own, max_output=max_output, **limits)
        return _rows(boxes, index), kept_scores

    if best_first and _ELSEWHERE.get() is None:
        boxes, kept_scores = _select_among_best(select, scores, _TRIED_PROPOSALS * max_output)
    else:
        boxes, kept_scores = select(None)
    best = _clip_and_sort(boxes, kept_scores, None, None, window, max_output)
    return Proposals(best.boxes, best.scores, best.valid)


def _select_among_best(select, scores, count):
    """`select(None)`, by way of the best `count` rows where these fill all places.

    A lower rank never affects a higher one.

    Args:
        select: rows [B, k] or None -> boxes [B, P, 4] and scores [B, P], those of padding
            `_DROPPED`.
        scores: [B, N], `_DROPPED` for what takes no part.
    """
    number = tf.shape(scores)[1]
    best, rows = tf.math.top_k(scores, tf.minimum(count, number))
    suppressed = select(rows)
    is_whole = (suppressed[1][:, -1] > _DROPPED) | (best[:, -1] <= _DROPPED) | (number <= count)
    return tf.cond(tf.reduce_all(is_whole), lambda: suppressed, lambda: select(None))


def multiclass_nms(
    boxes,
    scores,
    valid,
    window,
    *,
    score_threshold,
    iou_threshold,
    max_per_class,
    max_total,
    soft_sigma=0.0,
    class_agnostic=False,
    max_classes_per_detection=1,
    best_first=True,
) -> Selected:
    """The best boxes of all classes; boxes of different classes don't suppress each other.

    More than eight parameters, since they are the fields of one message of the config.

    Args:
        boxes: [B, P, C, 4] pixels, or [B, P, 1, 4] where the classes share them.
        scores: [B, P, C] without background.
        valid: [B, P] bool, False for padding; None for none.
        window: [B, 4] pixels, to which the survivors are clipped.
        score_threshold, iou_threshold: floats.
        max_per_class: int, survivors of a class at most, counted before they are clipped.
        max_total: int D.
        soft_sigma: above 0, boxes that overlap less than `iou_threshold` lower each other's
            scores besides (Soft-NMS with its Gaussian).
        class_agnostic: each box is only of its best class and suppresses those of any class;
            `max_per_class` is not read (TFOD).
        max_classes_per_detection: with `class_agnostic`; must be 1, as in TFOD.
        best_first: looks at the best pairs of box and class alone where these hold all that is
            wanted, and at no class without a candidate; the result is the same without.

    Returns:
        `Selected`; of equal scores the lower class first, then the one that was selected first.

    Raises:
        ConfigError: `max_classes_per_detection` above 1 with `class_agnostic`.
    """
    if valid is not None:
        scores = tf.where(valid[..., tf.newaxis], scores, _DROPPED)
    limits = {"iou_threshold": iou_threshold, "soft_sigma": soft_sigma}
    if not class_agnostic:

        def select(threshold, **how):
            how |= {"max_output": max_per_class, "score_threshold": threshold, **limits}
            index, kept_scores = _suppress_by_class(boxes, scores, **how)
            classes = tf.repeat(tf.range(tf.shape(scores)[2]), max_per_class)
            classes = tf.broadcast_to(classes, tf.shape(index))
            kept_boxes = _of_class(tf.gather(boxes, index, batch_dims=1), classes)
            return _clip_and_sort(kept_boxes, kept_scores, classes, index, window, max_total)

        if not best_first or _ELSEWHERE.get() is not None:
            return select(score_threshold)
        few_pairs = (scores.shape[2] or 0) <= _TRIED or score_threshold > _FEW
        if soft_sigma > 0.0 or few_pairs:
            return select(score_threshold, pass_over=True)
        return _select_best_first(select, scores, score_threshold, _TRIED * max_total)
    if max_classes_per_detection > 1:
        raise ConfigError(
            f"max_classes_per_detection is {max_classes_per_detection}; with "
            "use_class_agnostic_nms only 1 is supported, as in TFOD"
        )
    classes = tf.argmax(scores, axis=2, output_type=tf.int32)
    boxes = _of_class(boxes, classes)
    limits["score_threshold"] = score_threshold
    index, kept_scores = _suppress(
        boxes, tf.reduce_max(scores, axis=2), max_output=max_total, **limits
    )
    kept_boxes, kept_classes = (tf.gather(x, index, batch_dims=1) for x in (boxes, classes))
    return _clip_and_sort(kept_boxes, kept_scores, kept_classes, index, window, max_total)


def _select_best_first(select, scores, threshold, count):
    """`select(threshold)`, by way of a higher threshold where that gives the same.

    A lower rank never affects a higher one. So where those above a bound fill all places,
    they are the answer.

    Args:
        select: (threshold, pass_over) -> `Selected`, as these are in `_suppress_by_class`.
        scores: [B, P, C].
        threshold: float.
        count: int, how many scores of an image are not below the bound.
    """
    flat = tf.reshape(scores, [tf.shape(scores)[0], -1])
    bound = tf.math.top_k(flat, tf.minimum(count, tf.shape(flat)[1])).values[:, -1]
    best = select(tf.maximum(bound, threshold), pass_over=True)
    is_whole = best.valid[:, -1] | (bound <= threshold)
    return tf.cond(tf.reduce_all(is_whole), lambda: best, lambda: select(threshold, pass_over=True))


def of_classes(selected, classes) -> Selected:
    """A `Selected` without those of other classes than `classes` (0-based); the rest moves up."""
    kept = selected.valid & tf.reduce_any(selected.classes[..., tf.newaxis] == classes, -1)
    order = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)
    kept = tf.gather(kept, order, batch_dims=1)

    def pick(values):
        values = tf.gather(values, order, batch_dims=1)
        shown = kept[..., tf.newaxis] if values.shape.rank == 3 else kept
        return tf.where(shown, values, tf.zeros_like(values))

    return Selected(*(pick(x) for x in selected[:4]), valid=kept)


def keep_best(boxes, scores, valid, *, iou_threshold, max_output):
    """Marks the boxes that survive suppression.

    Args:
        boxes: [B, N, 4].
        scores: [B, N].
        valid: [B, N] bool, boxes that take part.
        iou_threshold: float.
        max_output: int or scalar tensor.

    Returns:
        [B, N] bool.
    """

    def keep(image):
        own_boxes, own_scores, own_valid = image
        real = tf.cast(tf.where(own_valid), tf.int32)[:, 0]
        index = tf.image.non_max_suppression(
            tf.gather(own_boxes, real), tf.gather(own_scores, real), max_output, iou_threshold
        )
        kept = tf.gather(real, index)[:, tf.newaxis]
        return tf.scatter_nd(kept, tf.ones_like(index, tf.bool), tf.shape(own_valid))

    return tf.map_fn(keep, (boxes, scores, valid), fn_output_signature=tf.bool)


def _suppress(boxes, scores, *, max_output, **limits):
    """Suppression in each image.

    Args:
        boxes: [B, N, 4].
        scores: [B, N].
        max_output: int M.
        limits: the other keywords of `_suppress_one`.

    Returns:
        Rows [B, M] int32 and their scores [B, M], best first; `_DROPPED` in padding.
    """
    elsewhere = _ELSEWHERE.get()
    if elsewhere is not None:
        return elsewhere(boxes, scores, max_output=max_output, **limits)
    return tf.map_fn(
        lambda image: _suppress_one(*image, max_output=max_output, **limits),
        (boxes, scores),
        fn_output_signature=_signature(max_output),
    )


def _suppress_by_class(boxes, scores, *, max_output, score_threshold, pass_over=False, **limits):
    """Suppression in each class of each image: rows and scores [B, C * M], class after class.

    Args:
        boxes: [B, P, C or 1, 4].
        scores: [B, P, C].
        max_output, limits: as in `_suppress`, M of a class.
        score_threshold: float, or [B] of each image.
        pass_over: leaves classes out that have no score above the threshold.
    """
    shape = tf.shape(scores)
    boxes, scores = tf.transpose(boxes, [0, 2, 1, 3]), tf.transpose(scores, [0, 2, 1])
    shared = boxes.shape[1] == 1
    elsewhere = _ELSEWHERE.get()
    if elsewhere is not None:
        boxes = tf.broadcast_to(boxes, [shape[0], shape[2], shape[1], 4])
        suppressed = elsewhere(
            tf.reshape(boxes, [-1, shape[1], 4]),
            tf.reshape(scores, [-1, shape[1]]),
            max_output=max_output,
            score_threshold=score_threshold,
            **limits,
        )
        return tuple(tf.reshape(x, [shape[0], shape[2] * max_output]) for x in suppressed)
    threshold = tf.broadcast_to(tf.cast(score_threshold, tf.float32), shape[:1])

    def suppress(number):
        image, label = number // shape[2], number % shape[2]
        own = {"max_output": max_output, "score_threshold": threshold[image], **limits}
        return _suppress_one(boxes[image, 0 if shared else label], scores[image, label], **own)

    numbers = tf.range(shape[0] * shape[2])
    if pass_over:
        is_without = tf.reduce_max(scores, axis=2) <= threshold[:, tf.newaxis]
        numbers = tf.boolean_mask(numbers, tf.reshape(~is_without, [-1]))
    suppressed = tf.map_fn(suppress, numbers, fn_output_signature=_signature(max_output))
    if pass_over:
        empty = tf.zeros([shape[0] * shape[2], max_output])
        empty = tf.cast(empty, tf.int32), empty + _DROPPED
        suppressed = (
            tf.tensor_scatter_nd_update(values, numbers[:, tf.newaxis], rows)
            for values, rows in zip(empty, suppressed, strict=True)
        )
    return tuple(tf.reshape(x, [shape[0], shape[2] * max_output]) for x in suppressed)


def _suppress_one(boxes, scores, *, max_output, iou_threshold, score_threshold, soft_sigma=0.0):
    """Boxes [N, 4] and scores [N] -> rows [M] and scores [M], `_DROPPED` in padding."""
    index, kept_scores, count = tf.raw_ops.NonMaxSuppressionV5(
        boxes=boxes,
        scores=scores,
        max_output_size=max_output,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        soft_nms_sigma=soft_sigma,
        pad_to_max_output_size=True,
    )
    return index, tf.where(tf.range(max_output) < count, kept_scores, _DROPPED)


def _signature(max_output):
    return tf.TensorSpec([max_output], tf.int32), tf.TensorSpec([max_output], tf.float32)


def _clip_and_sort(boxes, scores, classes, index, window, size):
    """The `size` best of the survivors [B, M, ...] that have area in the window, as `Selected`."""
    boxes = box_ops.clip(boxes, window[:, tf.newaxis])
    scores = tf.where(box_ops.area(boxes) > 0.0, scores, _DROPPED)
    missing = tf.maximum(size - tf.shape(scores)[1], 0)
    scores = tf.pad(scores, [[0, 0], [0, missing]], constant_values=_DROPPED)
    best, order = tf.math.top_k(scores, size)
    valid = best > _DROPPED
    order = tf.where(valid, order, 0)

    return Selected(
        boxes=tf.where(valid[..., tf.newaxis], _rows(boxes, order), 0.0),
        scores=tf.where(valid, best, 0.0),
        classes=None if classes is None else tf.where(valid, _rows(classes, order), 0),
        index=None if index is None else tf.where(valid, _rows(index, order), 0),
        valid=valid,
    )


def _rows(values, index):
    """Of values [B, N, ...] the rows [B, k] of each image."""
    return tf.gather(values, index, batch_dims=1)


def _of_class(boxes, classes):
    """Boxes [B, M, C or 1, 4] of the classes [B, M]: [B, M, 4]."""
    return boxes[:, :, 0] if boxes.shape[2] == 1 else tf.gather(boxes, classes, batch_dims=2)
