"""Makes augmentation_goldens/steps.npz by TFOD 2.8's own steps, with draws that are given.

Runs in an environment with TFOD 2.8.0.post1 on TensorFlow 2.13, from a folder where
`object_detection` is TFOD's:

    python make_augmentation_goldens.py FOLDER_OF_GOLDENS
"""

import sys
from pathlib import Path
from unittest import mock

import numpy as np

IMAGE = np.random.default_rng(7).integers(0, 256, (24, 30, 3)).astype(np.float32)
BOXES = np.array(
    [[2, 3, 10, 9], [0, 12, 24, 30], [6, 0, 18, 15], [19, 20, 23, 29]], np.float32
) / np.array([24, 30, 24, 30], np.float32)
CLASSES = np.array([1, 2, 3, 2], np.int32)
GROWTH = np.random.default_rng(8).uniform(0.7, 1.3, (4, 4)).astype(np.float32)
MODES = "default expand shrink expand_symmetric shrink_symmetric expand_symmetric_xy".split()
# Windows (y, x, height, width), the share of a box that must be inside, and whether it is clipped.
CROPS = (
    (0, 0, 24, 30, 0.3, True),
    (4, 5, 12, 14, 0.3, True),
    (4, 5, 12, 14, 0.3, False),
    (4, 5, 12, 14, 0.0, True),
    (1, 10, 9, 19, 0.9, True),
    (18, 19, 6, 11, 1.0, True),
)
RATIOS = ((1.0, 0, 4), (0.5, 0, 11), (2.0, 7, 0))  # width / height, offsets y and x
FRAMES = ((30, 41, 3, 6), (24, 30, 0, 0), (47, 31, 20, 0))  # height, width, offsets y and x
COLOR = (10.0, 200.0, 77.0)
PADS = ((1.0, 1.0), (1.5, 1.2), (0.4, 1.7))  # aspect ratio, scale
COLORS = (0.1, 1.4, -0.15, 0.6)  # brightness, saturation, hue, contrast
ORDERS = ((0, 1, 2, 3), (0, 3, 1, 2))  # of COLORS, by color_ordering
SQUARES = ((16, 0.5, 0.3, 0.8), (16, 1.6, 0.3, 0.8), (40, 0.9, 0.0, 0.0))
SCALE = 1.37
METHODS = ("AREA", "BICUBIC", "BILINEAR", "NEAREST_NEIGHBOR")
SIZE = (17, 41)


def masks():
    """[4, 24, 30] uint8: an ellipse in each box."""
    rows, columns = np.mgrid[:24, :30] + 0.5
    found = []
    for ymin, xmin, ymax, xmax in BOXES * [24, 30, 24, 30]:
        across = (columns - (xmin + xmax) / 2) / (xmax - xmin)
        found.append(((rows - (ymin + ymax) / 2) / (ymax - ymin)) ** 2 + across**2 <= 0.25)
    return np.array(found, np.uint8)


def _drawn(values):
    """Stands for a random function: gives these values in turn."""
    left = list(values)

    def draw(*_, **__):
        import tensorflow as tf

        return tf.constant(left.pop(0))

    return draw


def _keep(goldens, case, names, values):
    for name, value in zip(names.split(), values, strict=True):
        goldens[f"{case}/{name}"] = value.numpy()


def _patched(target, name, values):
    return mock.patch.object(target, name, _drawn(values))


def _inputs():
    """TFOD's arguments, and the masks."""
    import tensorflow.compat.v1 as tf

    everything = {"image": tf.constant(IMAGE), "boxes": tf.constant(BOXES)}
    everything |= {"labels": tf.constant(CLASSES), "label_weights": tf.ones([4])}
    return everything, tf.constant(masks().astype(np.float32))


def windows():
    """{case/part: array} of crops and frames."""
    import tensorflow.compat.v1 as tf

    from object_detection.core import preprocessor as steps

    everything, stacked = _inputs()
    image, boxes = everything["image"], everything["boxes"]
    goldens, full = {}, "image boxes classes weights masks"
    for number, (y, x, height, width, share, clip) in enumerate(CROPS):
        box = np.array([[[y / 24, x / 30, (y + height) / 24, (x + width) / 30]]], np.float32)
        window = [tf.constant(part) for part in ([y, x, 0], [height, width, -1], box)]
        with mock.patch.object(
            tf.image, "sample_distorted_bounding_box", lambda *a, window=window, **k: window
        ):
            got = steps.random_crop_image(
                **everything, masks=stacked, overlap_thresh=share, clip_boxes=clip
            )
        _keep(goldens, f"crop{number}", full, got)
    for number, (ratio, *offsets) in enumerate(RATIOS):
        with _patched(steps, "_random_integer", offsets):
            got = steps.random_crop_to_aspect_ratio(**everything, masks=stacked, aspect_ratio=ratio)
        _keep(goldens, f"ratio{number}", full, got)
    for number, frame in enumerate(FRAMES):
        # TFOD draws no offset where there is no room.
        free = frame[0] - 24, frame[1] - 30
        draws = [*frame[:2], *(frame[2 + axis] for axis in (0, 1) if free[axis])]
        sizes = {"min_image_size": frame[:2], "max_image_size": (99, 99)}
        with _patched(steps, "_random_integer", draws):
            got = steps.random_pad_image(image, boxes, masks=stacked, pad_color=COLOR, **sizes)
        _keep(goldens, f"frame{number}", "image boxes masks", got)
    for number, (ratio, scale) in enumerate(PADS):
        with _patched(tf, "random_uniform", [np.float32(scale)]):
            got = steps.random_pad_to_aspect_ratio(image, boxes, masks=stacked, aspect_ratio=ratio)
        _keep(goldens, f"pad{number}", "image boxes masks", got)
    return goldens


def others():
    """{case/part: array} of the other steps."""
    import tensorflow.compat.v1 as tf

    from object_detection.core import preprocessor as steps

    everything, _ = _inputs()
    image, boxes, classes, weights = everything.values()
    goldens = {}
    for mode in MODES:
        columns = GROWTH[:, :2] if "symmetric" in mode else GROWTH
        with _patched(tf.random, "uniform", [columns - 1]):
            got = [steps.random_jitter_boxes(boxes, 0.3, mode)]
        _keep(goldens, f"jitter_{mode}", "boxes", got)
    for ordering, order in enumerate(ORDERS):
        with _patched(tf, "random_uniform", [np.float32(COLORS[place]) for place in order]):
            got = [steps.random_distort_color(image, ordering)]
        _keep(goldens, f"color{ordering}", "image", got)
    for number, (side, *draws) in enumerate(SQUARES):
        with _patched(tf, "random_uniform", [np.float32(value) for value in draws]):
            got = steps.random_scale_crop_and_pad_to_square(
                image, boxes, classes, weights, output_size=side
            )
        _keep(goldens, f"square{number}", "image boxes classes weights", got)
    with _patched(tf, "random_uniform", [np.float32(SCALE)]):
        _keep(goldens, "scale", "image", steps.random_image_scale(image))
    for method in METHODS:
        way = getattr(tf.image.ResizeMethod, method)
        got = steps.resize_image(image, None, *SIZE, method=way)[:1]
        _keep(goldens, f"resize_{method}", "image", got)
    with _patched(tf, "random_uniform", [np.float32(0.0), np.float32(0.0)]):
        got = steps.random_self_concat_image(
            image, boxes, classes, weights, concat_vertical_probability=1.0
        )
    _keep(goldens, "concat", "image boxes classes weights", got)
    gray = tf.repeat(steps.rgb_to_gray(image / 255.0), 3, -1) * 255.0
    _keep(goldens, "gamma", "image", [steps.adjust_gamma(image, gamma=1.7, gain=0.9)])
    _keep(goldens, "gray", "image", [gray])
    _keep(goldens, "normalized", "image", [steps.normalize_image(image, 0, 255, -1, 1)])
    _keep(goldens, "mean", "image", [steps.subtract_channel_mean(image, list(COLOR))])
    _keep(goldens, "remapped", "classes", [steps.remap_labels(classes, [1, 3], 2)])
    return goldens


if __name__ == "__main__":
    np.savez_compressed(Path(sys.argv[1]) / "steps.npz", **windows(), **others())
