"""AutoAugment's steps that move pixels, or change what lies inside boxes.

A move is a field of source pixels: [h, w, 2] int32 (y, x), for each new pixel the one it takes its
values from; outside the image where it takes none. Image and masks are read through the same field.
"""

import math

import tensorflow as tf

from object_detection.data import augment_auto_color as color
from object_detection.data import augment_visible
from object_detection.data.augment_scale import shrunk
from object_detection.data.augment_window import drop_unseen

_TRANSLATE, _TRANSLATE_INSIDE, _SHEAR, _DEGREES = 250.0, 120.0, 0.3, 30.0
_CUTOUT_INSIDE, _CUTOUT_SHARE = 50.0, 0.75


def moved(example, source, boxes=None):
    """The example read through a field of source pixels.

    Args:
        example: `Example` with a uint8 image.
        source: [h, w, 2] int32.
        boxes: [g, 4] where the boxes go; they stay without it. Objects whose masks change get the
            box around what is seen of them.
    """
    image = _read(example.image[tf.newaxis], source, color.GREY)[0]
    after = example._replace(image=image)
    if boxes is not None:
        after = after._replace(boxes_normalized=boxes)
    if example.masks is None:
        return drop_unseen(after)
    shape, size = tf.shape(example.image)[:2], tf.shape(example.masks)[1:]
    field = tf.transpose(shrunk(tf.transpose(source, [2, 0, 1]), size), [1, 2, 0])
    ratio = tf.cast(size, tf.float32) / tf.cast(shape, tf.float32)
    field = tf.cast(tf.floor((tf.cast(field, tf.float32) + 0.5) * ratio), tf.int32)
    masks = _read(example.masks[..., tf.newaxis], field, 0)[..., 0]
    altered = tf.reduce_any(masks != example.masks, axis=[1, 2])
    around = augment_visible.boxes_of(masks)
    boxes = tf.where(altered[:, tf.newaxis], around, after.boxes_normalized)
    after = after._replace(masks=masks, boxes_normalized=boxes)
    after = augment_visible.drop_vanished(example, after)
    return drop_unseen(after)


def _read(maps, source, nothing):
    """[n, h, w, C] values of maps at source pixels; `nothing` where these lie outside."""
    shape = tf.shape(maps)[1:3]
    inside = tf.reduce_all((source >= 0) & (source < shape), axis=-1)
    flat = tf.reshape(maps, [tf.shape(maps)[0], shape[0] * shape[1], maps.shape[3]])
    index = tf.where(inside, source[..., 0] * shape[1] + source[..., 1], 0)
    values = tf.gather(flat, index, axis=1)
    return tf.where(inside[tf.newaxis, ..., tf.newaxis], values, tf.cast(nothing, maps.dtype))


def _identity(shape):
    """The field in which nothing moves."""
    return tf.stack(tf.meshgrid(tf.range(shape[0]), tf.range(shape[1]), indexing="ij"), axis=-1)


def _linear(points, matrix, centre):
    """Points [..., 2] float32 (y, x) times a matrix [2, 2], about a centre [2]."""
    return tf.einsum("...j,ij->...i", points - centre, matrix) + centre


def _affine(example, matrix, centre, offset):
    """Moves the whole image: each new pixel p takes that at matrix (p - centre) + centre + offset.

    Boxes without a mask become the box around their four moved corners.
    """
    shape = tf.shape(example.image)[:2]
    grid = tf.cast(_identity(shape), tf.float32)
    source = tf.cast(tf.round(_linear(grid, matrix, centre) + offset), tf.int32)
    size = tf.cast(shape, tf.float32)
    ymin, xmin, ymax, xmax = tf.unstack(example.boxes_normalized, axis=1)
    corners = tf.stack([[ymin, xmin], [ymin, xmax], [ymax, xmin], [ymax, xmax]])  # [4, 2, g]
    corners = tf.transpose(corners, [2, 0, 1]) * size - 0.5  # pixels are whole numbers in the field
    back = _linear(corners - offset, tf.linalg.inv(matrix), centre) + 0.5
    boxes = tf.concat([tf.reduce_min(back, 1) / size, tf.reduce_max(back, 1) / size], axis=1)
    return moved(example, source, boxes)


def _sign(seed):
    return tf.where(tf.random.stateless_uniform([], seed) < 0.5, -1.0, 1.0)


def _translate(axis):
    def step(example, share, seed):
        offset = tf.one_hot(axis, 2) * tf.round(share * _TRANSLATE) * _sign(seed)
        return _affine(example, tf.eye(2), tf.zeros([2]), offset)

    return step


def _shear_unit(axis):
    """[2, 2] that turns (y, x) into how far a shear along `axis` goes there."""
    return tf.constant([[0.0, 1.0], [0.0, 0.0]] if axis == 0 else [[0.0, 0.0], [1.0, 0.0]])


def _shear(axis):
    def step(example, share, seed):
        matrix = tf.eye(2) + share * _SHEAR * _sign(seed) * _shear_unit(axis)
        return _affine(example, matrix, tf.zeros([2]), tf.zeros([2]))

    return step


def _rotate(example, share, seed):
    angle = share * _DEGREES * math.pi / 180.0 * _sign(seed)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    matrix = tf.stack([tf.stack([cosine, sine]), tf.stack([-sine, cosine])])
    centre = (tf.cast(tf.shape(example.image)[:2], tf.float32) - 1.0) / 2.0
    return _affine(example, matrix, centre, tf.zeros([2]))


def _box_cutout(example, share, seed):
    """Grey over a part of one random box."""
    of_box, of_place = tf.unstack(tf.random.split(seed, 2))
    count = tf.shape(example.classes)[0]

    def cut():
        chosen = tf.random.stateless_uniform([], of_box, 0, count, tf.int32)
        box = example.boxes_normalized[chosen]
        place = box[:2] + tf.random.stateless_uniform([2], of_place) * (box[2:] - box[:2])
        size = (box[2:] - box[:2]) * tf.cast(tf.shape(example.image)[:2], tf.float32)
        half = tf.cast(share * _CUTOUT_SHARE * size / 2.0, tf.int32)
        return color.cut(example.image, half, place)

    return example._replace(image=tf.cond(count > 0, cut, lambda: example.image))


WHOLE = {
    "TranslateX_BBox": _translate(1),
    "TranslateY_BBox": _translate(0),
    "ShearX_BBox": _shear(1),
    "ShearY_BBox": _shear(0),
    "Rotate_BBox": _rotate,
    "BBox_Cutout": _box_cutout,
}


def _region(box, shape):
    """[2] first and [2] last pixel that TFOD counts to a box [4] of an image."""
    size = tf.cast(shape, tf.float32)
    first = tf.cast(size * box[:2], tf.int32)
    return tf.minimum(first, shape - 1), tf.minimum(tf.cast(size * box[2:], tf.int32), shape - 1)


def _each_box(example, chosen, state, change):
    """`state` [h, w, C] after `change(state, first, last)` for each chosen box in turn."""
    boxes = tf.gather(example.boxes_normalized, tf.where(chosen)[:, 0])
    shape = tf.shape(example.image)[:2]
    any_size = tf.TensorShape([None, None, state.shape[-1]])

    def body(number, now):
        now = change(now, *_region(boxes[number], shape))
        return number + 1, tf.ensure_shape(now, any_size)

    count = tf.shape(boxes)[0]
    found = tf.while_loop(
        lambda number, _: number < count,
        body,
        [tf.constant(0), state],
        shape_invariants=[tf.TensorShape([]), any_size],
    )
    return found[1]


def _move_inside(source_of):
    """A step that moves what lies inside boxes; `source_of(points, extent, share, sign)`.

    Points are [h, w, 2] int32 from a box's first pixel on, `extent` [2] is its size in pixels.
    """

    def step(example, share, chosen, seed):
        shape = tf.shape(example.image)[:2]
        grid = _identity(shape)
        sign = _sign(seed)

        def change(field, first, last):
            source = source_of(grid - first, last - first + 1, share, sign) + first
            within = tf.reduce_all((grid >= first) & (grid <= last), axis=-1, keepdims=True)
            taken = tf.reduce_all((source >= first) & (source <= last), axis=-1, keepdims=True)
            there = tf.gather_nd(field, tf.where(taken, source, 0))
            return tf.where(within, tf.where(taken, there, -1), field)

        return moved(example, _each_box(example, chosen, grid, change))

    return step


def _translate_inside(axis):
    def source_of(points, extent, share, sign):
        del extent
        return points + tf.cast(sign * round(share * _TRANSLATE_INSIDE), tf.int32) * tf.one_hot(
            axis, 2, dtype=tf.int32
        )

    return _move_inside(source_of)


def _shear_inside(axis):
    def source_of(points, extent, share, sign):
        del extent
        matrix = tf.eye(2) + share * _SHEAR * sign * _shear_unit(axis)
        moved_points = _linear(tf.cast(points, tf.float32), matrix, tf.zeros([2]))
        return tf.cast(tf.round(moved_points), tf.int32)

    return _move_inside(source_of)


def _flip_inside(points, extent, share, sign):
    del share, sign
    return tf.stack([points[..., 0], extent[1] - 1 - points[..., 1]], axis=-1)


def _change_inside(function):
    """A step that changes what lies inside boxes; `function(pixels, share, place)`."""

    def step(example, share, chosen, seed):
        place = tf.random.stateless_uniform([2], seed)
        grid = _identity(tf.shape(example.image)[:2])

        def change(image, first, last):
            inside = image[first[0] : last[0] + 1, first[1] : last[1] + 1]
            changed = function(inside, share, place)
            after = tf.shape(image)[:2] - 1 - last
            padded = tf.pad(changed, [[first[0], after[0]], [first[1], after[1]], [0, 0]])
            within = tf.reduce_all((grid >= first) & (grid <= last), axis=-1, keepdims=True)
            return tf.where(within, padded, image)

        return example._replace(image=_each_box(example, chosen, example.image, change))

    return step


INSIDE_BOXES = {
    "TranslateY_Only_BBoxes": _translate_inside(0),
    "ShearX_Only_BBoxes": _shear_inside(1),
    "ShearY_Only_BBoxes": _shear_inside(0),
    "Flip_Only_BBoxes": _move_inside(_flip_inside),
    "Equalize_Only_BBoxes": _change_inside(lambda pixels, share, place: color.equalize(pixels)),
    "Cutout_Only_BBoxes": _change_inside(
        lambda pixels, share, place: color.cut(pixels, int(share * _CUTOUT_INSIDE), place)
    ),
}
