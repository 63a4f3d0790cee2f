"""Ignore regions in the evaluation of a whole data set."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from pycocotools import mask as rle_codec

from object_detection.ops import ignore_regions
from object_detection.structures.batch import IgnoreRegions


class _Listed(NamedTuple):
    """Objects of one image as a batch of one."""

    boxes: tf.Tensor  # [1, n, 4] pixels
    classes: tf.Tensor  # [1, n]
    valid: tf.Tensor  # [1, n] bool


def split(truth, is_ignored, height, width):
    """The true objects alone, and where the ignore regions are.

    Args:
        truth: `ImageTruth`.
        is_ignored: [g] bool.
        height, width: of the image.

    Returns:
        `ImageTruth`, and a COCO RLE; None where there are no ignore regions.
    """
    if not np.any(is_ignored):
        return truth, None
    ground = truth.select(is_ignored).encoded()
    codes = ground.masks
    if codes is None:
        codes = [_filled(box, height, width) for box in ground.boxes]
    return truth.select(~is_ignored), rle_codec.merge(codes)


def left_out(image, found):
    """A `TruthImage` and the `ImageDetections` in it without what is not to be judged."""
    if image.ignore is None:
        return image, found
    size = tf.constant([[image.height, image.width]])
    ground = IgnoreRegions(tf.constant(rle_codec.decode(image.ignore)[np.newaxis]), size, size)
    finite = found.finite()
    objects, detections = ignore_regions.apply_ignore_regions(
        _listed(image.truth.boxes, image.truth.classes, np.ones(len(image.truth.boxes), bool)),
        _listed(np.where(finite[:, np.newaxis], found.boxes, 0), found.classes, finite),
        ground,
    )
    kept = ~finite | detections.numpy()[0]  # what is no box is told of elsewhere
    return image._replace(truth=image.truth.select(objects.numpy()[0])), found.select(kept)


def _listed(boxes, classes, valid):
    return _Listed(
        tf.constant(np.asarray(boxes, np.float32).reshape(1, -1, 4)),
        tf.constant(np.asarray(classes, np.int64)[np.newaxis]),
        tf.constant(valid[np.newaxis]),
    )


def _filled(box, height, width):
    """RLE of the pixels whose middle is in a box."""
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    ymin, xmin, ymax, xmax = box
    inside = np.outer((rows >= ymin) & (rows < ymax), (columns >= xmin) & (columns < xmax))
    return rle_codec.encode(np.asfortranarray(inside.astype(np.uint8)))
