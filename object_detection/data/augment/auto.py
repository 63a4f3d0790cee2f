"""AutoAugment for detection: one of the published policies, two or three steps of it in turn.

Barret Zoph and others, "Learning Data Augmentation Strategies for Object Detection". A step has a
probability and a level 0..10, which says how much of a step's range is used. Image, boxes and masks
move together; TFOD moves only image and boxes, and only where TensorFlow 1's contrib is.
"""

import math
from dataclasses import dataclass

import tensorflow as tf

from object_detection.data.augment.color import to_gray
from object_detection.data.augment.crop import draw_index
from object_detection.data.augment.geometry import boxes_of_masks, drop_outside, drop_vanished
from object_detection.data.augment.scale import resize_masks
from object_detection.data.example import Example

# Each line is a sub-policy: name, probability, level of its steps.
POLICIES = {
    "test": "TranslateX_BBox 1.0 4, Equalize 1.0 10",
    "v0": """TranslateX_BBox 0.6 4, Equalize 0.8 10
        TranslateY_Only_BBoxes 0.2 2, Cutout 0.8 8
        Sharpness 0.0 8, ShearX_BBox 0.4 0
        ShearY_BBox 1.0 2, TranslateY_Only_BBoxes 0.6 6
        Rotate_BBox 0.6 10, Color 1.0 6""",
    "v1": """TranslateX_BBox 0.6 4, Equalize 0.8 10
        TranslateY_Only_BBoxes 0.2 2, Cutout 0.8 8
        Sharpness 0.0 8, ShearX_BBox 0.4 0
        ShearY_BBox 1.0 2, TranslateY_Only_BBoxes 0.6 6
        Rotate_BBox 0.6 10, Color 1.0 6
        Color 0.0 0, ShearX_Only_BBoxes 0.8 4
        ShearY_Only_BBoxes 0.8 2, Flip_Only_BBoxes 0.0 10
        Equalize 0.6 10, TranslateX_BBox 0.2 2
        Color 1.0 10, TranslateY_Only_BBoxes 0.4 6
        Rotate_BBox 0.8 10, Contrast 0.0 10
        Cutout 0.2 2, Brightness 0.8 10
        Color 1.0 6, Equalize 1.0 2
        Cutout_Only_BBoxes 0.4 6, TranslateY_Only_BBoxes 0.8 2
        Color 0.2 8, Rotate_BBox 0.8 10
        Sharpness 0.4 4, TranslateY_Only_BBoxes 0.0 4
        Sharpness 1.0 4, SolarizeAdd 0.4 4
        Rotate_BBox 1.0 8, Sharpness 0.2 8
        ShearY_BBox 0.6 10, Equalize_Only_BBoxes 0.6 8
        ShearX_BBox 0.2 6, TranslateY_Only_BBoxes 0.2 10
        SolarizeAdd 0.6 8, Brightness 0.8 10""",
    "v2": """Color 0.0 6, Cutout 0.6 8, Sharpness 0.4 8
        Rotate_BBox 0.4 8, Sharpness 0.4 2, Rotate_BBox 0.8 10
        TranslateY_BBox 1.0 8, AutoContrast 0.8 2
        AutoContrast 0.4 6, ShearX_BBox 0.8 8, Brightness 0.0 10
        SolarizeAdd 0.2 6, Contrast 0.0 10, AutoContrast 0.6 0
        Cutout 0.2 0, Solarize 0.8 8, Color 1.0 4
        TranslateY_BBox 0.0 4, Equalize 0.6 8, Solarize 0.0 10
        TranslateY_BBox 0.2 2, ShearY_BBox 0.8 8, Rotate_BBox 0.8 8
        Cutout 0.8 8, Brightness 0.8 8, Cutout 0.2 2
        Color 0.8 4, TranslateY_BBox 1.0 6, Rotate_BBox 0.6 6
        Rotate_BBox 0.6 10, BBox_Cutout 1.0 4, Cutout 0.2 8
        Rotate_BBox 0.0 0, Equalize 0.6 6, ShearY_BBox 0.6 8
        Brightness 0.8 8, AutoContrast 0.4 2, Brightness 0.2 2
        TranslateY_BBox 0.4 8, Solarize 0.4 6, SolarizeAdd 0.2 10
        Contrast 1.0 10, SolarizeAdd 0.2 8, Equalize 0.2 4""",
    "v3": """Posterize 0.8 2, TranslateX_BBox 1.0 8
        BBox_Cutout 0.2 10, Sharpness 1.0 8
        Rotate_BBox 0.6 8, Rotate_BBox 0.8 10
        Equalize 0.8 10, AutoContrast 0.2 10
        SolarizeAdd 0.2 2, TranslateY_BBox 0.2 8
        Sharpness 0.0 2, Color 0.4 8
        Equalize 1.0 8, TranslateY_BBox 1.0 8
        Posterize 0.6 2, Rotate_BBox 0.0 10
        AutoContrast 0.6 0, Rotate_BBox 1.0 6
        Equalize 0.0 4, Cutout 0.8 10
        Brightness 1.0 2, TranslateY_BBox 1.0 6
        Contrast 0.0 2, ShearY_BBox 0.8 0
        AutoContrast 0.8 10, Contrast 0.2 10
        Rotate_BBox 1.0 10, Cutout 1.0 10
        SolarizeAdd 0.8 6, Equalize 0.8 8""",
}
_MAX_LEVEL = 10.0
_GRAY = 128  # of what is covered or uncovered
_TRANSLATE, _TRANSLATE_INSIDE, _SHEAR, _DEGREES = 250.0, 120.0, 0.3, 30.0
_CUTOUT_INSIDE, _CUTOUT_SHARE = 50.0, 0.75


@dataclass(frozen=True)
class AutoAugment:
    """Applies one sub-policy of `POLICIES[policy]`, each as likely as the others."""

    policy: str

    def __call__(self, example, seed):
        of_choice, of_steps = tf.unstack(tf.random.split(seed, 2))
        choices = sub_policies(self.policy)
        was_float = example.image.dtype != tf.uint8
        pixels = tf.cast(tf.clip_by_value(tf.cast(example.image, tf.float32), 0, 255), tf.uint8)
        start = example._replace(image=pixels if was_float else example.image)

        def done(steps):
            changed = start
            for (name, probability, level), one in zip(
                steps, tf.unstack(tf.random.split(of_steps, len(steps))), strict=True
            ):
                changed = apply(name, probability, level, changed, one).with_known_ranks()
            return changed

        branches = [lambda steps=steps: done(steps) for steps in choices]
        changed = tf.switch_case(draw_index(choices, of_choice), branches)
        return changed._replace(image=tf.cast(changed.image, example.image.dtype))


def sub_policies(policy):
    """Return [[(name of a step, probability, level)]] of a policy."""
    rows = []
    for line in POLICIES[policy].splitlines():
        steps = [step.split() for step in line.strip().split(", ")]
        rows.append([(name, float(chance), float(level)) for name, chance, level in steps])
    return rows


def apply(name, probability, level, example, seed):
    """Apply a step with a probability; steps inside boxes draw for each box."""
    if probability == 0:
        return example
    of_choice, of_step = tf.unstack(tf.random.split(seed, 2))
    share = level / _MAX_LEVEL
    if name in _INSIDE_BOX_STEPS:
        # Each box is drawn independently, and a third as likely.
        count = tf.shape(example.classes)[0]
        selected = tf.random.stateless_uniform([count], of_choice) < probability / 3.0
        return _INSIDE_BOX_STEPS[name](example, share, selected, of_step)
    step = _WHOLE_IMAGE_STEPS.get(name) or (
        lambda example, share, seed: example._replace(
            image=_COLOR_STEPS[name](example.image, share, seed)
        )
    )
    selected = tf.random.stateless_uniform([], of_choice) < probability
    return tf.cond(selected, lambda: step(example, share, of_step), lambda: example)


# Steps that change pixels in place: (image [h, w, 3] uint8, share 0..1 of a range, seed) -> image.


def auto_contrast(image, share, seed):
    """Stretches each channel to 0..255."""
    del share, seed
    pixels = tf.cast(image, tf.float32)
    low, high = (reduce(pixels, axis=[0, 1]) for reduce in (tf.reduce_min, tf.reduce_max))
    stretched = 255.0 * tf.math.divide_no_nan(pixels - low, high - low)
    return tf.where(high > low, _to_uint8(stretched), image)


def equalize(image, share=0.0, seed=None):
    """Spreads each channel's values evenly over 0..255."""
    del share, seed
    return tf.stack([_equalized(channel) for channel in tf.unstack(image, axis=-1)], axis=-1)


def posterize(image, share, seed):
    """Keeps the upper bits, at most 4, at least 1."""
    del seed
    bits = max(int(share * 4), 1)
    return tf.bitwise.bitwise_and(image, tf.constant(256 - 2 ** (8 - bits), tf.uint8))


def solarize(image, share, seed):
    """Inverts values from a threshold on."""
    del seed
    return tf.where(tf.cast(image, tf.int32) < int(share * 256), image, 255 - image)


def solarize_add(image, share, seed):
    """Adds up to 110 to dark values."""
    del seed
    more = tf.minimum(tf.cast(image, tf.int32) + int(share * 110), 255)
    return tf.where(image < 128, tf.cast(more, tf.uint8), image)


def change_color(image, share, seed):
    """Less or more color."""
    del seed
    return _blend(to_gray(image), image, share)


def contrast(image, share, seed):
    """Less or more distance from the mean luma."""
    del seed
    mean = tf.reduce_mean(tf.cast(to_gray(image), tf.float32))
    return _blend(mean, image, share)


def brightness(image, share, seed):
    """Darker or brighter."""
    del seed
    return _blend(tf.zeros_like(image), image, share)


def sharpness(image, share, seed):
    """Blurred or sharpened; the outermost pixels stay."""
    del seed
    kernel = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32) / 13.0
    kernel = tf.tile(kernel[:, :, tf.newaxis, tf.newaxis], [1, 1, 3, 1])
    pixels = tf.cast(image, tf.float32)
    smooth = tf.nn.depthwise_conv2d(pixels[tf.newaxis], kernel, [1, 1, 1, 1], "SAME")[0]
    shape = tf.shape(image)
    inner = tf.pad(tf.ones([shape[0] - 2, shape[1] - 2, 1], tf.bool), [[1, 1], [1, 1], [0, 0]])
    return _blend(tf.where(inner, smooth, pixels), image, share)


def cutout(image, share, seed):
    """A gray square of up to 200 pixels around a random pixel."""
    return _cover(image, int(share * 100), tf.random.stateless_uniform([2], seed))


def _cover(image, half, place):
    """The image with gray up to `half` pixels from its pixel at `place` ([2] of 0..1)."""
    shape = tf.shape(image)[:2]
    center = tf.cast(place * tf.cast(shape, tf.float32), tf.int32)
    half = tf.broadcast_to(half, [2])
    rows, columns = (
        (tf.range(shape[axis]) >= center[axis] - half[axis])
        & (tf.range(shape[axis]) < center[axis] + half[axis])
        for axis in (0, 1)
    )
    inside = (rows[:, tf.newaxis] & columns[tf.newaxis])[..., tf.newaxis]
    return tf.where(inside, tf.constant(_GRAY, image.dtype), image)


_COLOR_STEPS = {
    "AutoContrast": auto_contrast,
    "Equalize": equalize,
    "Posterize": posterize,
    "Solarize": solarize,
    "SolarizeAdd": solarize_add,
    "Color": change_color,
    "Contrast": contrast,
    "Brightness": brightness,
    "Sharpness": sharpness,
    "Cutout": cutout,
}


def _blend(plain, image, share):
    """From `plain` towards the image and beyond: 0.1 of the way for a share of 0, 1.9 for 1."""
    plain, image = tf.cast(plain, tf.float32), tf.cast(image, tf.float32)
    return _to_uint8(plain + (share * 1.8 + 0.1) * (image - plain))


def _to_uint8(pixels):
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)


def _equalized(channel):
    values = tf.cast(channel, tf.int32)
    counts = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    last = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0))
    step = (tf.reduce_sum(counts) - counts[last]) // 255
    table = (tf.cumsum(counts, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.cast(tf.minimum(table, 255), tf.uint8)
    return tf.where(step > 0, tf.gather(table, values), channel)


# Steps that move pixels, or change what is inside boxes.


def warp(example: Example, source: tf.Tensor, boxes: tf.Tensor | None = None) -> Example:
    """Read the example through a field of source pixels.

    The field is [h, w, 2] int32 (y, x): for each new pixel the one it takes its values from;
    outside the image where it takes none. Image and masks are read through the same field.

    Args:
        example: `Example` with a uint8 image.
        source: the field.
        boxes: [g, 4] new boxes; unchanged without it. Objects whose masks change get the box around
            what is visible of them.
    """
    image = _read(example.image[tf.newaxis], source, _GRAY)[0]
    after = example._replace(image=image)
    if boxes is not None:
        after = after._replace(boxes_normalized=boxes)
    if example.masks is None:
        return drop_outside(after)
    shape, size = tf.shape(example.image)[:2], example.masks.shape
    field = tf.transpose(resize_masks(tf.transpose(source, [2, 0, 1]), size), [1, 2, 0])
    ratio = tf.cast(size, tf.float32) / tf.cast(shape, tf.float32)
    field = tf.cast(tf.floor((tf.cast(field, tf.float32) + 0.5) * ratio), tf.int32)
    pixels = example.masks.pixels
    masks = _read(pixels[..., tf.newaxis], field, 0)[..., 0]
    altered = tf.reduce_any(masks != pixels, axis=[1, 2])
    around = boxes_of_masks(masks)
    boxes = tf.where(altered[:, tf.newaxis], around, after.boxes_normalized)
    after = after._replace(masks=example.masks.with_whole(masks), boxes_normalized=boxes)
    after = drop_vanished(example, after)
    return drop_outside(after)


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


def _linear(points, matrix, center):
    """Points [..., 2] float32 (y, x) times a matrix [2, 2], about a center [2]."""
    return tf.einsum("...j,ij->...i", points - center, matrix) + center


def _affine(example, matrix, center, offset):
    """Moves the whole image: each new pixel p takes that at matrix (p - center) + center + offset.

    Boxes without a mask become the box around their four moved corners.
    """
    shape = tf.shape(example.image)[:2]
    grid = tf.cast(_identity(shape), tf.float32)
    source = tf.cast(tf.round(_linear(grid, matrix, center) + offset), tf.int32)
    size = tf.cast(shape, tf.float32)
    ymin, xmin, ymax, xmax = tf.unstack(example.boxes_normalized, axis=1)
    corners = tf.stack([[ymin, xmin], [ymin, xmax], [ymax, xmin], [ymax, xmax]])  # [4, 2, g]
    corners = tf.transpose(corners, [2, 0, 1]) * size - 0.5  # pixels are whole numbers in the field
    back = _linear(corners - offset, tf.linalg.inv(matrix), center) + 0.5
    boxes = tf.concat([tf.reduce_min(back, 1) / size, tf.reduce_max(back, 1) / size], axis=1)
    return warp(example, source, boxes)


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
    center = (tf.cast(tf.shape(example.image)[:2], tf.float32) - 1.0) / 2.0
    return _affine(example, matrix, center, tf.zeros([2]))


def _box_cutout(example, share, seed):
    """Gray over a part of one random box."""
    of_box, of_place = tf.unstack(tf.random.split(seed, 2))
    count = tf.shape(example.classes)[0]

    def cut():
        selected = tf.random.stateless_uniform([], of_box, 0, count, tf.int32)
        box = example.boxes_normalized[selected]
        place = box[:2] + tf.random.stateless_uniform([2], of_place) * (box[2:] - box[:2])
        size = (box[2:] - box[:2]) * tf.cast(tf.shape(example.image)[:2], tf.float32)
        half = tf.cast(share * _CUTOUT_SHARE * size / 2.0, tf.int32)
        return _cover(example.image, half, place)

    return example._replace(image=tf.cond(count > 0, cut, lambda: example.image))


_WHOLE_IMAGE_STEPS = {
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


def _each_box(example, selected, state, change):
    """`state` [h, w, C] after `change(state, first, last)` for each chosen box in turn."""
    boxes = tf.gather(example.boxes_normalized, tf.where(selected)[:, 0])
    shape = tf.shape(example.image)[:2]
    any_size = tf.TensorShape([None, None, state.shape[-1]])

    def body(number, now):
        now = change(now, *_region(boxes[number], shape))
        return number + 1, tf.ensure_shape(now, any_size)

    count = tf.shape(boxes)[0]
    _, changed = tf.while_loop(
        lambda number, _: number < count,
        body,
        [tf.constant(0), state],
        shape_invariants=[tf.TensorShape([]), any_size],
    )
    return changed


def _move_inside(source_of):
    """A step that moves what lies inside boxes; `source_of(points, extent, share, sign)`.

    Points are [h, w, 2] int32 from a box's first pixel on, `extent` [2] is its size in pixels.
    """

    def step(example, share, selected, seed):
        shape = tf.shape(example.image)[:2]
        grid = _identity(shape)
        sign = _sign(seed)

        def change(field, first, last):
            source = source_of(grid - first, last - first + 1, share, sign) + first
            within = tf.reduce_all((grid >= first) & (grid <= last), axis=-1, keepdims=True)
            taken = tf.reduce_all((source >= first) & (source <= last), axis=-1, keepdims=True)
            there = tf.gather_nd(field, tf.where(taken, source, 0))
            return tf.where(within, tf.where(taken, there, -1), field)

        return warp(example, _each_box(example, selected, grid, change))

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

    def step(example, share, selected, seed):
        place = tf.random.stateless_uniform([2], seed)
        grid = _identity(tf.shape(example.image)[:2])

        def change(image, first, last):
            inside = image[first[0] : last[0] + 1, first[1] : last[1] + 1]
            changed = function(inside, share, place)
            after = tf.shape(image)[:2] - 1 - last
            padded = tf.pad(changed, [[first[0], after[0]], [first[1], after[1]], [0, 0]])
            within = tf.reduce_all((grid >= first) & (grid <= last), axis=-1, keepdims=True)
            return tf.where(within, padded, image)

        return example._replace(image=_each_box(example, selected, example.image, change))

    return step


_INSIDE_BOX_STEPS = {
    "TranslateY_Only_BBoxes": _translate_inside(0),
    "ShearX_Only_BBoxes": _shear_inside(1),
    "ShearY_Only_BBoxes": _shear_inside(0),
    "Flip_Only_BBoxes": _move_inside(_flip_inside),
    "Equalize_Only_BBoxes": _change_inside(lambda pixels, share, place: equalize(pixels)),
    "Cutout_Only_BBoxes": _change_inside(
        lambda pixels, share, place: _cover(pixels, int(share * _CUTOUT_INSIDE), place)
    ),
}
