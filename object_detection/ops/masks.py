"""Mask targets read straight from stored masks, and masks of boxes pasted into an image."""

import tensorflow as tf

from object_detection.ops import boxes as box_ops
from object_detection.structures.batch import CroppedMasks

# Least height or width, as a fraction of the image, a box is pasted with (TFOD).
_LEAST_EXTENT = 1e-4


def mask_target_rows(
    masks: CroppedMasks,
    true_shape: tf.Tensor,
    image_shape: tuple,
    boxes: tf.Tensor,
    owner: tf.Tensor,
    gt_index: tf.Tensor,
    size: tuple[int, int],
) -> tf.Tensor:
    """Return the part of its ground truth's mask inside each roi, at the size of the prediction.

    The numbers are TFOD's to the last bit. It resizes every mask to the true image by nearest
    neighbors, pads that with zeros to the padded image and crops it bilinearly. Here the few
    points a crop reads are looked up in the stored mask through the same index map, and no mask
    is ever resized.

    Args:
        masks: of the batch, [B, K].
        true_shape: [B, 2] int32 (height, width) of each resized image before padding.
        image_shape: (H, W) of the padded image.
        boxes: [n, 4] rois, pixels of the padded image.
        owner: [n] int32, the image of each.
        gt_index: [n] int32, the object of each.
        size: (height, width) of a predicted mask.

    Returns:
        [n, height, width] float32 in 0..1; 0 at points outside the image, and everywhere where
        there is no mask (`gt_index` from K on, or an image without masks).
    """
    normalized = box_ops.to_normalized(boxes, image_shape[0], image_shape[1])
    own_mask, own_true = tf.gather(masks.shape, owner), tf.gather(true_shape, owner)
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
    pixels = masks.pixels
    has_mask = (gt_index < tf.shape(pixels)[1]) & tf.reduce_all(own_mask > 0, axis=1)
    gt_index = tf.where(has_mask, gt_index, 0)
    if masks.origin is not None:
        own_origin = _of_rows(masks.origin, owner, gt_index)
        rows, row_held = _in_crop(rows, own_origin[:, 0], tf.shape(pixels)[2])
        columns, column_held = _in_crop(columns, own_origin[:, 1], tf.shape(pixels)[3])
        row_real, column_real = row_real & row_held, column_real & column_held
    pixels = _read(pixels, owner, gt_index, rows, columns)
    real = row_real[:, :, :, tf.newaxis, tf.newaxis] & column_real[:, tf.newaxis, tf.newaxis]
    pixels = tf.where(real & has_mask[:, tf.newaxis, tf.newaxis, tf.newaxis, tf.newaxis], pixels, 0)
    # In the order of TensorFlow's kernel: along x first, each as a + (b - a) * fraction.
    low, high = tf.unstack(tf.cast(pixels, tf.float32), axis=4)
    lines = low + (high - low) * column_lerp[:, tf.newaxis, tf.newaxis]
    top, bottom = tf.unstack(lines, axis=2)
    targets = top + (bottom - top) * row_lerp[:, :, tf.newaxis]
    return tf.where(row_in[:, :, tf.newaxis] & column_in[:, tf.newaxis], targets, 0.0)


def resized_mask_target_rows(
    masks: CroppedMasks,
    true_shape: tf.Tensor,
    image_shape: tuple,
    boxes: tf.Tensor,
    owner: tf.Tensor,
    gt_index: tf.Tensor,
    size: tuple[int, int],
) -> tf.Tensor:
    """Return `mask_target_rows` computed in TFOD's way, from masks as large as the padded image.

    It takes four bytes for each pixel of each mask and again for each row.
    """
    masks = whole_masks(masks)
    count = tf.shape(masks.pixels)[1]
    # A mask of zeros for rows without one, and a pixel to resize where there is none.
    pixels = tf.pad(masks.pixels, [[0, 0], [0, 1], [0, 1], [0, 1]])
    extent = tf.stack(image_shape)

    def resize(image):
        own, (height, width), true = image
        own = own[:, : tf.maximum(height, 1), : tf.maximum(width, 1), tf.newaxis]
        own = tf.compat.v1.image.resize_nearest_neighbor(tf.cast(own, tf.float32), true)
        missing = extent - true
        return tf.pad(own, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])

    shape = tf.TensorSpec([None, None, None, 1], tf.float32)
    resized = tf.map_fn(
        resize, (pixels, tf.unstack(masks.shape, axis=1), true_shape), fn_output_signature=shape
    )
    own = tf.gather_nd(resized, tf.stack([owner, tf.minimum(gt_index, count)], axis=1))
    normalized = box_ops.to_normalized(boxes, image_shape[0], image_shape[1])
    rows = tf.range(tf.size(owner))
    return tf.image.crop_and_resize(own, normalized, rows, size)[..., 0]


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
    # TensorFlow's nearest neighbor: the scale is rounded to float32 before it multiplies.
    scale = _float32(stored, over=true)[:, tf.newaxis, tf.newaxis]
    index = tf.cast(tf.floor(pixel * scale), tf.int32)
    index = tf.clip_by_value(index, 0, tf.maximum(stored - 1, 0)[:, tf.newaxis, tf.newaxis])
    return index, real, point - pixel[..., 0], inside


def _of_rows(values, owner, gt_index):
    """[n, 2] of values [B, K, 2], zeros where no image has a mask."""
    place = tf.stack([owner, gt_index], axis=1)
    return tf.cond(
        tf.size(values) > 0,
        lambda: tf.gather_nd(values, place),
        lambda: tf.zeros([tf.shape(owner)[0], 2], values.dtype),
    )


def _in_crop(index, origin, length):
    """Indices [n, S, 2] of a whole mask as those of its crop, and whether the crop has them."""
    index -= origin[:, tf.newaxis, tf.newaxis]
    held = (index >= 0) & (index < length)
    return tf.where(held, index, 0), held


def whole_masks(masks: CroppedMasks) -> CroppedMasks:
    """Return the whole masks [B, K, height, width] of a batch, of the largest size in it.

    They are zero beyond each image's own shape.
    """
    if masks.origin is None:
        return masks
    size, extent = tf.reduce_max(masks.shape, axis=0), tf.shape(masks.pixels)[2:]
    axes = []
    for axis in (0, 1):
        place = tf.range(size[axis])
        index = place - masks.origin[..., axis, tf.newaxis]
        own = place < masks.shape[:, axis, tf.newaxis]
        held = (index >= 0) & (index < extent[axis]) & own[:, tf.newaxis]
        axes.append((tf.where(held, index, 0), held))
    (rows, row_held), (columns, column_held) = axes
    padding = [[0, 0], [0, 0], [0, 1], [0, 1]]  # a pixel to read where there is none
    lines = tf.gather(tf.pad(masks.pixels, padding), rows, axis=2, batch_dims=2)
    pixels = tf.gather(lines, columns, axis=3, batch_dims=2)
    pixels = tf.where(row_held[..., tf.newaxis] & column_held[:, :, tf.newaxis], pixels, 0)
    return masks._replace(pixels=pixels, origin=None)


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

    Every image pixel reads the box's mask bilinearly; the centers of the mask's outermost pixels
    lie on the box's border. Masks of an integer type are read by nearest neighbors.

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
