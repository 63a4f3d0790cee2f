"""Mask targets read straight from stored masks, and masks of boxes pasted into an image."""

import tensorflow as tf

from object_detection.ops import boxes as box_ops

# Least height or width, as a fraction of the image, a box is pasted with (TFOD).
_LEAST_EXTENT = 1e-4


def mask_targets(masks, mask_shape, true_shape, image_shape, boxes, gt_index, size):
    """The part of its ground truth's mask inside each roi, at the size of the prediction.

    The numbers are TFOD's to the last bit. It resizes every mask to the true image by nearest
    neighbours, pads that with zeros to the padded image and crops it bilinearly. Here the few
    points a crop reads are looked up in the stored mask through the same index map, and no mask
    is ever resized.

    Args:
        masks: [B, K, h, w] uint8 of 0 and 1, as in `structures.GroundTruth`.
        mask_shape: [B, 2] int32 (height, width) of each image's masks.
        true_shape: [B, 2] int32 (height, width) of each resized image before padding.
        image_shape: (H, W) of the padded image.
        boxes: [B, R, 4] pixels of the padded image.
        gt_index: [B, R] int32.
        size: (height, width) of a predicted mask.

    Returns:
        [B, R, height, width] float32 in 0..1; 0 at points outside the image, and everywhere
        where there is no mask (`gt_index` from K on, or an image without masks).
    """
    shape = tf.shape(gt_index)
    targets = mask_target_rows(
        masks,
        mask_shape,
        true_shape,
        image_shape,
        tf.reshape(boxes, [-1, 4]),
        tf.repeat(tf.range(shape[0]), shape[1]),
        tf.reshape(gt_index, [-1]),
        size,
    )
    return tf.reshape(targets, [shape[0], shape[1], *size])


def mask_target_rows(masks, mask_shape, true_shape, image_shape, boxes, owner, gt_index, size):
    """`mask_targets` of rows.

    Args:
        masks, mask_shape, true_shape, image_shape, size: as in `mask_targets`.
        boxes: [n, 4] pixels of the padded image.
        owner: [n] int32, the image of each.
        gt_index: [n] int32.

    Returns:
        [n, height, width] float32.
    """
    normalized = box_ops.to_normalized(boxes, image_shape[0], image_shape[1])
    own_mask, own_true = tf.gather(mask_shape, owner), tf.gather(true_shape, owner)
    (rows, row_real, row_lerp, row_in), (columns, column_real, column_lerp, column_in) = (
        _readings(
            normalized[:, axis],
            normalized[:, axis + 2],
            image_shape[axis],
            own_true[:, axis],
            own_mask[:, axis],
            size[axis],
        )
        for axis in (0, 1)
    )
    has_mask = (gt_index < tf.shape(masks)[1]) & tf.reduce_all(own_mask > 0, axis=1)
    pixels = _read(masks, owner, tf.where(has_mask, gt_index, 0), rows, columns)
    real = row_real[:, :, :, tf.newaxis, tf.newaxis] & column_real[:, tf.newaxis, tf.newaxis]
    pixels = tf.where(real & has_mask[:, tf.newaxis, tf.newaxis, tf.newaxis, tf.newaxis], pixels, 0)
    # In the order of TensorFlow's kernel: along x first, each as a + (b - a) * fraction.
    low, high = tf.unstack(tf.cast(pixels, tf.float32), axis=4)
    lines = low + (high - low) * column_lerp[:, tf.newaxis, tf.newaxis]
    top, bottom = tf.unstack(lines, axis=2)
    targets = top + (bottom - top) * row_lerp[:, :, tf.newaxis]
    return tf.where(row_in[:, :, tf.newaxis] & column_in[:, tf.newaxis], targets, 0.0)


def _readings(low, high, padded, true, stored, size):
    """What the points of a crop read along one axis.

    Args:
        low, high: [n] ends of the boxes as fractions of the padded image.
        padded: length of the axis in the padded image, pixels.
        true: [n] int32, that in the true image.
        stored: [n] int32, that in the stored mask.
        size: int S, points.

    Returns:
        index: [n, S, 2] int32, the pixels of the stored mask before and after each point.
        real: [n, S, 2] bool, whether they are inside the true image; beyond it is padding.
        lerp: [n, S] float32, how far the point is from the first to the second.
        inside: [n, S] bool, whether the point is inside the padded image.
    """
    last = tf.cast(padded - 1, tf.float64)
    if size > 1:
        step = _float32(_float32(high - low, times=last), over=size - 1)
        points = tf.range(size, dtype=tf.float32)
        point = _float32(low, times=last)[:, tf.newaxis] + points * step[:, tf.newaxis]
    else:  # the kernel takes the middle in float64
        point = _float32(low + high, times=0.5 * last)[:, tf.newaxis]
    inside = (point >= 0.0) & (point <= tf.cast(last, tf.float32))
    point = tf.where(inside, point, 0.0)
    pixel = tf.stack([tf.floor(point), tf.math.ceil(point)], axis=-1)
    real = pixel < tf.cast(true, tf.float32)[:, tf.newaxis, tf.newaxis]
    # TensorFlow's nearest neighbour: the scale is rounded to float32 before it multiplies.
    scale = _float32(stored, over=true)[:, tf.newaxis, tf.newaxis]
    index = tf.cast(tf.floor(pixel * scale), tf.int32)
    index = tf.clip_by_value(index, 0, tf.maximum(stored - 1, 0)[:, tf.newaxis, tf.newaxis])
    return index, real, point - pixel[..., 0], inside


def _float32(value, *, times=1, over=1):
    """value * times / over, rounded to float32 once, of float32 or integer values.

    Plain float32 would do, but in a graph TensorFlow divides by a constant with its reciprocal
    and draws factors together, which rounds otherwise. In float64 that is lost in the rounding.
    """
    return tf.cast(
        tf.cast(value, tf.float64) * tf.cast(times, tf.float64) / tf.cast(over, tf.float64),
        tf.float32,
    )


def _read(masks, owner, gt_index, rows, columns):
    """Pixels [n, S, 2, S', 2] of masks [B, K, h, w] at rows [n, S, 2] and columns [n, S', 2]."""
    shape = tf.shape(masks, out_type=tf.int64)
    mask = tf.cast(owner, tf.int64) * shape[1] + tf.cast(gt_index, tf.int64)
    line = mask[:, tf.newaxis, tf.newaxis] * shape[2] + tf.cast(rows, tf.int64)
    place = (line * shape[3])[:, :, :, tf.newaxis, tf.newaxis]
    place += tf.cast(columns, tf.int64)[:, tf.newaxis, tf.newaxis]
    flat = tf.reshape(masks, [-1])
    return tf.cond(
        tf.size(flat) > 0,
        lambda: tf.gather(flat, place),
        lambda: tf.zeros(tf.shape(place), masks.dtype),
    )


def paste(masks, boxes_normalized, height, width, method="bilinear"):
    """Masks of boxes as masks of the image, with TFOD's numbers.

    Every image pixel reads the box's mask bilinearly; the centres of the mask's outermost pixels
    lie on the box's border. Masks of an integer type are read by nearest neighbours.

    Args:
        masks: [D, M, M'].
        boxes_normalized: [D, 4], fractions of the image.
        height, width: of the image, ints or scalar tensors.
        method: "bilinear" or "nearest", for masks of a float type.

    Returns:
        [D, height, width] float32, or the masks' integer type; 0 outside the boxes.
    """
    masks = tf.convert_to_tensor(masks)
    ymin, xmin, ymax, xmax = tf.unstack(boxes_normalized, axis=-1)
    box_height = tf.maximum(ymax - ymin, _LEAST_EXTENT)
    box_width = tf.maximum(xmax - xmin, _LEAST_EXTENT)
    image_in_box = tf.stack(
        [
            -ymin / box_height,
            -xmin / box_width,
            (1.0 - ymin) / box_height,
            (1.0 - xmin) / box_width,
        ],
        axis=-1,
    )
    pasted = tf.image.crop_and_resize(
        tf.cast(masks, tf.float32)[..., tf.newaxis],
        image_in_box,
        tf.range(tf.shape(masks)[0]),
        tf.stack([height, width]),
        method="nearest" if masks.dtype.is_integer else method,
    )
    return tf.cast(pasted[..., 0], masks.dtype)
