"""The functions of TFOD's `utils.ops` that scripts and notebooks call around a model.

They take tensors, arrays and lists, in a graph too. Boxes are (ymin, xmin, ymax, xmax).
"""

import tensorflow as tf

from object_detection.ops import boxes as box_ops
from object_detection.ops import masks as mask_ops

_METHODS = ("bilinear", "nearest")


def reframe_box_masks_to_image_masks(
    box_masks, boxes, image_height, image_width, resize_method="bilinear"
):
    """Masks of boxes as masks of the image.

    Args:
        box_masks: [n, mask height, mask width], as `detection_masks` without its first axis.
            Masks of uint8 are read by nearest neighbors and stay uint8.
        boxes: [n, 4] normalized.
        image_height, image_width: of the image, ints or scalar tensors.
        resize_method: "bilinear", or "nearest" for float masks too.

    Returns:
        [n, image height, image width]; the probability at each pixel, 0 outside the box.

    Raises:
        ValueError: another resize_method.
    """
    if resize_method not in _METHODS:
        raise ValueError(f"resize_method is {resize_method!r}; allowed: {', '.join(_METHODS)}")
    box_masks = tf.convert_to_tensor(box_masks)
    boxes = tf.cast(tf.convert_to_tensor(boxes), tf.float32)
    height, width = (tf.cast(side, tf.int32) for side in (image_height, image_width))
    return mask_ops.paste(box_masks, boxes, height, width, method=resize_method)


def normalized_to_image_coordinates(normalized_boxes, image_shape, parallel_iterations=32):
    """Normalized boxes in pixels.

    Args:
        normalized_boxes: [B, n, 4].
        image_shape: [4] (B, height, width, channels).
        parallel_iterations: without meaning here.

    Returns:
        [B, n, 4].
    """
    del parallel_iterations
    boxes = tf.cast(tf.convert_to_tensor(normalized_boxes), tf.float32)
    height, width = (tf.cast(image_shape[axis], tf.float32) for axis in (1, 2))
    return box_ops.from_normalized(boxes, height, width)


def padded_one_hot_encoding(indices, depth, left_pad):
    """One-hot rows with columns of zeros before them, as ground-truth classes are written.

    Args:
        indices: [n] ints.
        depth: columns that the indices count.
        left_pad: columns of zeros on the left.

    Returns:
        [n, left_pad + depth] float32.

    Raises:
        ValueError: `depth` or `left_pad` is no whole number from 0 on.
    """
    for name, value in (("depth", depth), ("left_pad", left_pad)):
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} must be a whole number from 0 on, got {value!r}")
    one_hot = tf.one_hot(tf.cast(indices, tf.int64), depth)
    return tf.pad(one_hot, [[0, 0], [left_pad, 0]])
