"""Cuts the features of boxes out of feature maps (in the place of RoIAlign, Mask R-CNN section 3).

A crop is a grid of bilinear readings whose corners lie on the box's corners, one reading a point
(TFOD; published weights know no other). No gradient flows to the boxes: they are taken as fixed
(approximate joint training, Faster R-CNN section 3.2).

Functions on rows take boxes [n, 4] of any images, `owner` [n] int32 naming the image of each.
"""

import functools
import math

import tensorflow as tf

from object_detection.ops import boxes as box_ops


def crop_rows(features, boxes, owner, image_shape, size, *, matmul=False, exact_gradient=True):
    """Crop boxes from one feature map; points outside it read 0.

    Args:
        features: [B, h, w, C].
        boxes: [n, 4] pixels of the padded image.
        owner: [n] int32.
        image_shape: (H, W) of the padded image.
        size: int S.
        matmul: compute as TFOD's `use_matmul_crop_and_resize`: outside the feature map a reading
            fades to 0 within one cell, instead of being 0 at once. (It is gathered here and not
            multiplied: TFOD's matrices are nearly all zeros.)
        exact_gradient: without it the gradient is TensorFlow's own, for graphs that are not
            trained, where a gradient of ours would only be in the way (of a SavedModel, say).

    Returns:
        [n, S, S, C] in the features' type.
    """
    boxes = tf.stop_gradient(box_ops.to_normalized(boxes, image_shape[0], image_shape[1]))
    # In float32 whatever the type of the features, as TensorFlow crops: in the gradient many crops
    # add to one pixel.
    pixels = tf.cast(features, tf.float32)
    if matmul:
        crops = _crop_fading(pixels, boxes, owner, size)
    elif exact_gradient:
        crops = _crop_with_exact_gradient(size)(pixels, boxes, owner)
        crops = tf.ensure_shape(crops, [boxes.shape[0], size, size, features.shape[-1]])
    else:
        crops = tf.image.crop_and_resize(pixels, boxes, owner, [size, size])
    return tf.cast(crops, features.dtype)


def crop_pyramid_rows(features, boxes, owner, levels, image_shape, size, **how):
    """Crop each box from its own level of a pyramid.

    Equal to cropping every box from every level and keeping the right one, without the waste.

    Args:
        features: list of [B, h, w, C], one for each level.
        boxes: [n, 4] pixels of the padded image.
        owner: [n] int32.
        levels: [n] int32, index into `features`.
        image_shape: (H, W) of the padded image.
        size: int S.
        how: `matmul` and `exact_gradient` of `crop_rows`.

    Returns:
        [n, S, S, C] in the features' type.
    """
    rows = tf.dynamic_partition(tf.range(tf.size(owner)), levels, len(features))
    crops = [
        crop_rows(
            level,
            tf.gather(boxes, row),
            tf.gather(owner, row),
            image_shape,
            size,
            **how,
        )
        for level, row in zip(features, rows, strict=True)
    ]
    return tf.dynamic_stitch(rows, crops)


def tfod_levels(boxes, image_shape, num_levels):
    """The level of a pyramid TFOD crops each box from.

    As equation 1 of the FPN paper, but boxes of 224 pixels belong to the last level but one,
    extra levels counted: P5 of P2..P6, where the paper says P4.

    Args:
        boxes: [..., 4] pixels of the padded image.
        image_shape: (H, W) of the padded image.
        num_levels: int.

    Returns:
        [...] int32 in 0..num_levels - 1, 0 the finest.
    """
    height, width = (tf.cast(image_shape[axis], tf.float32) for axis in (0, 1))
    # Through normalized boxes, as TFOD: at a border between levels rounding decides.
    area = box_ops.area(box_ops.to_normalized(boxes, height, width))
    relative_size = tf.sqrt(area) * (tf.sqrt(height * width) / 224.0)
    return _level_of(relative_size, num_levels - 2, 0, num_levels - 1)


def paper_levels(boxes, *, min_level, max_level, canonical_size=224.0, canonical_level=4):
    """The level of a pyramid each box belongs to by equation 1 of the FPN paper.

    Args:
        boxes: [..., 4] pixels.
        min_level, max_level: the levels there are, as 2 and 5 for P2..P5.
        canonical_size: side in pixels of the boxes that belong to `canonical_level`.

    Returns:
        [...] int32 in min_level..max_level.
    """
    relative_size = tf.sqrt(box_ops.area(boxes)) / canonical_size
    return _level_of(relative_size, canonical_level, min_level, max_level)


def max_pool(crops, kernel, stride):
    """Max-pools crops [B, R, S, S, C] without padding; kernel and stride 1 change nothing."""
    if kernel == 1 and stride == 1:
        return crops
    shape = tf.shape(crops)
    pooled = tf.nn.max_pool2d(tf.reshape(crops, [-1, *crops.shape[2:]]), kernel, stride, "VALID")
    return tf.reshape(pooled, [shape[0], shape[1], *pooled.shape[1:]])


def _level_of(relative_size, level_of_one, lowest, highest):
    level = level_of_one + tf.floor(tf.math.log(relative_size) / math.log(2.0))
    return tf.cast(tf.clip_by_value(level, float(lowest), float(highest)), tf.int32)


@functools.lru_cache(maxsize=8)
def _crop_with_exact_gradient(size):
    """TensorFlow's crop of normalized boxes, with a gradient that is exact on CPUs too.

    TensorFlow's own gradient lets the threads of a CPU add to one pixel at once, and loses some of
    what they add (norms of gradients vary by up to 1 %). On GPUs it is exact, and kept.

    TensorFlow keeps the graph in which a `custom_gradient` was met forever. Here that is the
    small graph of this function, traced once for each size, and not that of a training step with
    all of its weights.

    Args:
        size: int S.

    Returns:
        (features [B, h, w, C], boxes [n, 4], owner [n] int32) -> [n, S, S, C], all float32.
    """

    def crop_of(features, boxes, owner):
        @tf.custom_gradient
        def of_features(features):
            def gradient(upstream):
                if tf.config.list_logical_devices("GPU"):
                    return tf.raw_ops.CropAndResizeGradImage(
                        grads=upstream,
                        boxes=boxes,
                        box_ind=owner,
                        image_size=tf.shape(features),
                        T=tf.float32,
                    )
                return _spread(upstream, boxes, owner, tf.shape(features), size)

            return tf.image.crop_and_resize(features, boxes, owner, [size, size]), gradient

        return of_features(features)

    signature = [
        tf.TensorSpec([None, None, None, None], tf.float32),
        tf.TensorSpec([None, 4], tf.float32),
        tf.TensorSpec([None], tf.int32),
    ]
    return tf.function(crop_of, input_signature=signature, autograph=False)


def _spread(upstream, boxes, owner, shape, size):
    """The gradient of TensorFlow's crop: each point goes to the four pixels it was read from.

    One product with a sparse matrix [pixels, points], whose rows are shared out among threads: no
    two add to one pixel, and the sums are the same, to the bit, however many threads there are.

    Args:
        upstream: [n, S, S, C].
        boxes: [n, 4], normalized.
        owner: [n] int32.
        shape: [4] int32 of the features.
        size: int S.

    Returns:
        [B, h, w, C].
    """
    pixels, weights = [], []
    for row, row_weight in taps(boxes[:, 0:1], boxes[:, 2:3], shape[1], size):
        line = (owner[:, tf.newaxis] * shape[1] + row) * shape[2]
        for column, column_weight in taps(boxes[:, 1:2], boxes[:, 3:4], shape[2], size):
            pixels.append(line[:, :, tf.newaxis] + column[:, tf.newaxis])
            weights.append(row_weight[:, :, tf.newaxis] * column_weight[:, tf.newaxis])
    pixel = tf.reshape(tf.stack(pixels), [-1])
    weight = tf.reshape(tf.stack(weights), [-1])
    number_of_points = tf.size(pixel) // 4
    order = tf.argsort(pixel, stable=True)
    at = tf.stack([tf.gather(pixel, order), order % tf.maximum(number_of_points, 1)], 1)
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.cast(at, tf.int64),
        values=tf.gather(weight, order),
        dense_shape=tf.cast([shape[0] * shape[1] * shape[2], number_of_points], tf.int64),
    )
    points = tf.reshape(upstream, [number_of_points, shape[3]])
    return tf.reshape(tf.raw_ops.SparseMatrixMatMul(a=matrix, b=points), shape)


def taps(low, high, length, size):
    """What the points of a crop read along one axis: TensorFlow's CropAndResize, rounded as it is.

    Args:
        low, high: [n, 1] ends of the boxes as fractions of the axis.
        length: number of cells of the feature map, int32: one, or [n, 1].
        size: int S, number of points; a single one lies in the middle.

    Returns:
        Twice a pair: cell [n, S] int32 in 0..length - 1, and its weight [n, S]; points outside
        the map weigh nothing.
    """
    last = tf.cast(length - 1, tf.float32)
    if size > 1:
        step = (high - low) * last / (size - 1)
        point = low * last + tf.range(size, dtype=tf.float32) * step
    else:
        point = 0.5 * (low + high) * last
    exists = (point >= 0.0) & (point <= last)
    point = tf.where(exists, point, 0.0)
    before = tf.floor(point)
    cell, share = tf.cast(before, tf.int32), point - before
    after = tf.minimum(cell + 1, length - 1)  # beyond the last its share is 0
    return (
        (cell, tf.where(exists, 1.0 - share, 0.0)),
        (after, tf.where(exists, share, 0.0)),
    )


def _crop_fading(features, boxes, owner, size):
    """`crop_rows` with `matmul` of normalized boxes: four readings a point, weighed and added."""
    shape = tf.shape(features)
    pixels = tf.reshape(features, [-1, features.shape[-1]])
    crops = 0.0
    for row, row_weight in fading_taps(boxes[:, 0:1], boxes[:, 2:3], shape[1], size):
        line = (owner[:, tf.newaxis] * shape[1] + row) * shape[2]
        for column, column_weight in fading_taps(boxes[:, 1:2], boxes[:, 3:4], shape[2], size):
            weight = row_weight[:, :, tf.newaxis] * column_weight[:, tf.newaxis]
            reading = tf.gather(pixels, line[:, :, tf.newaxis] + column[:, tf.newaxis])
            crops += reading * tf.cast(weight, features.dtype)[..., tf.newaxis]
    return crops


def fading_taps(low, high, length, size):
    """`taps` of `use_matmul_crop_and_resize`: a reading fades to 0 within one cell."""
    last = tf.cast(length - 1, tf.float32)
    low, high = low * last, high * last
    step = tf.range(size, dtype=tf.float32) / (size - 1) if size > 1 else tf.constant([0.5])
    point = low + step * (high - low)
    before = tf.floor(point)
    taps = []
    for cell, weight in ((before, before + 1.0 - point), (before + 1.0, point - before)):
        exists = (cell >= 0.0) & (cell <= last)
        cell = tf.cast(tf.where(exists, cell, 0.0), tf.int32)
        taps.append((cell, tf.where(exists, weight, 0.0)))
    return taps
