"""Masks of boxes at the size of their images, as pixels or as COCO run lengths, in the graph.

Only TensorFlow operations, so that an exported model gives them under TensorFlow Serving too. Only
the pixels inside a box are computed; the numbers are those of `masks.paste` and `ops.paste`.
"""

import tensorflow as tf

# Least height or width of a box, as a fraction of the image (TFOD).
_LEAST_EXTENT = 1e-4
_CHARACTERS = 7  # of a number of a COCO code at most: 5 bits each, for images below 2^34 pixels


def paste_rows(masks, boxes_normalized, sizes, threshold=0.5):
    """Each mask in its image.

    Args:
        masks: [n, M, M'] float32.
        boxes_normalized: [n, 4] (ymin, xmin, ymax, xmax), fractions of the image.
        sizes: [n, 2] int32, (height, width) of the image of each.
        threshold: masks are where the value is above; 0 or more.

    Returns:
        [n, H, W] uint8 of 0 and 1; H and W are those of the largest image, 0 outside of an image.
    """
    largest = tf.reduce_max(tf.concat([sizes, [[0, 0]]], 0), axis=0)

    def paste(row):
        crop, top, left = _crop_of(*row)
        shape = tf.shape(crop)
        below, right = largest[0] - top - shape[0], largest[1] - left - shape[1]
        inside = tf.cast(crop > threshold, tf.uint8)
        return tf.pad(inside, [[top, below], [left, right]])

    signature = tf.TensorSpec([None, None], tf.uint8)
    return _map_rows(paste, (masks, boxes_normalized, sizes), signature)


def encode_rows(masks, boxes_normalized, sizes, threshold=0.5):
    """The COCO run-length code of each mask in its image: `counts` of its compressed form.

    Args:
        as for `paste_rows`.

    Returns:
        [n] strings; `pycocotools.mask.decode({"size": sizes[i], "counts": codes[i]})` reads them.
    """

    def encode(row):
        crop, top, left = _crop_of(*row)
        return _coco_string(_runs(crop > threshold, top, left, row[2]))

    return _map_rows(encode, (masks, boxes_normalized, sizes), tf.TensorSpec([], tf.string))


def _map_rows(function, rows, signature):
    """`tf.map_fn` that takes no rows as well, whose result TensorFlow knows no shape of."""
    rows = tuple(tf.convert_to_tensor(x) for x in rows)
    count = tf.shape(rows[0])[0]
    missing = tf.maximum(1 - count, 0)
    rows = tuple(tf.pad(x, [[0, missing]] + [[0, 0]] * (x.shape.rank - 1)) for x in rows)
    return tf.map_fn(function, rows, fn_output_signature=signature)[:count]


def _crop_of(mask, box, size):
    """The part [h, w] of a pasted mask that can be other than 0, and its top row and left column.

    Args:
        mask: [M, M']; box: [4] normalized; size: [2] int32 of the image.
    """
    top, y, y_after, y_lerp = _readings(box[0], box[2], size[0], tf.shape(mask)[0])
    left, x, x_after, x_lerp = _readings(box[1], box[3], size[1], tf.shape(mask)[1])
    # In the order of TensorFlow's kernel: along x first, each as a + (b - a) * fraction.
    before = tf.gather(mask, x, axis=1)
    lines = before + (tf.gather(mask, x_after, axis=1) - before) * x_lerp
    before = tf.gather(lines, y)
    return before + (tf.gather(lines, y_after) - before) * y_lerp[:, tf.newaxis], top, left


def _readings(low, high, image_side, mask_side):
    """What the image's pixels read along one axis, as `tf.image.crop_and_resize` computes it.

    Args:
        low, high: ends of the box, fractions of the image.
        image_side, mask_side: int32 scalars.

    Returns:
        The first pixel of the image inside the box, and of it and those after it [n] int32 pixels
        of the mask on either side and [n] float32 how far from the one to the other.
    """
    extent = tf.maximum(high - low, _LEAST_EXTENT)
    start, end = -low / extent, (1.0 - low) / extent
    last = tf.cast(mask_side - 1, tf.float32)
    pixel = tf.cast(tf.range(image_side), tf.float32)
    step = (end - start) * last / tf.cast(tf.maximum(image_side - 1, 1), tf.float32)
    point = tf.where(image_side > 1, start * last + pixel * step, 0.5 * (start + end) * last)
    inside = tf.cast(tf.where((point >= 0.0) & (point <= last))[:, 0], tf.int32)
    first = tf.reduce_min(tf.concat([inside, [image_side]], 0))
    first = tf.where(tf.size(inside) > 0, first, 0)
    point = tf.gather(point, inside)
    before = tf.floor(point)
    after = tf.cast(tf.math.ceil(point), tf.int32)
    return first, tf.cast(before, tf.int32), after, point - before


def _runs(crop, top, left, size):
    """COCO's counts [r] int64 of a mask that is `crop` [h, w] bool at (top, left) and 0 elsewhere.

    Runs go down the columns and begin with one of zeros, which may be empty.
    """
    height, width = tf.cast(size[0], tf.int64), tf.cast(size[1], tf.int64)
    rows = tf.shape(crop, tf.int64)[0]
    corner = tf.cast(left, tf.int64) * height + tf.cast(top, tf.int64)
    # The crop's columns one after the other, a 0 before each and after the last: where two
    # neighbors differ is a border of a run.
    columns = tf.reshape(tf.pad(tf.transpose(crop), [[0, 0], [0, 1]]), [-1])
    pixels = tf.concat([[False], columns], 0)
    borders = tf.where(pixels[1:] != pixels[:-1])[:, 0]
    # From the crop's columns of rows + 1 to the image's.
    borders += borders // (rows + 1) * (height - rows - 1) + corner
    # Runs that touch the image's border go on in the next column: two equal borders cancel.
    repeats = tf.concat([[False], borders[1:] == borders[:-1], [False]], 0)
    borders = tf.boolean_mask(borders, ~(repeats[1:] | repeats[:-1])[: tf.size(borders)])
    ends = tf.concat([[0], borders, [height * width]], 0)
    counts = ends[1:] - ends[:-1]
    is_empty_end = (tf.size(counts) > 1) & (counts[-1] == 0)
    return counts[: tf.size(counts) - tf.cast(is_empty_end, tf.int32)]


def _coco_string(counts):
    """COCO's compressed form of counts [r] int64, a scalar string.

    From the fourth on a count is stored as its difference to the one two before; each in groups of
    five bits, the lowest first, a sixth bit telling that more follow, as characters from 48 on.
    """
    number = counts - tf.concat([tf.zeros_like(counts[:3]), counts[1:-2]], 0)[: tf.size(counts)]
    shifts = tf.range(0, 5 * _CHARACTERS, 5, dtype=tf.int64)
    rest = tf.bitwise.right_shift(number[:, tf.newaxis], shifts)
    group, rest = rest & 31, tf.bitwise.right_shift(rest, tf.constant(5, tf.int64))
    more = rest != tf.where(group & 16 > 0, tf.constant(-1, tf.int64), 0)
    follows = tf.math.cumprod(tf.cast(more, tf.int32), axis=1, exclusive=True) > 0
    characters = tf.cast(group, tf.int32) + 32 * tf.cast(more, tf.int32) + 48
    return tf.strings.unicode_encode(tf.boolean_mask(characters, follows), "UTF-8")
