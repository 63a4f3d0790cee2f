"""Small tf.Example records and record files, made for tests."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image


def image_bytes(pixels, kind="PNG", **options):
    """The bytes of an image file with these pixels ([h, w] or [h, w, channels])."""
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    image.save(file, kind, **options)
    return file.getvalue()


def picture(height=8, width=10, seed=0):
    """[height, width, 3] uint8 noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def box_mask(height, width, box, value=1):
    """[height, width] uint8 with `value` inside a box (ymin, xmin, ymax, xmax) of pixels."""
    mask = np.zeros((height, width), np.uint8)
    ymin, xmin, ymax, xmax = box
    mask[ymin:ymax, xmin:xmax] = value
    return mask


def example(features):
    """A serialized tf.Example; the type of each list is that of its first value."""
    message = tf.train.Example()
    for key, values in features.items():
        feature = message.features.feature[key]
        values = [values] if isinstance(values, bytes | str | int | float) else list(values)
        values = [value.encode() if isinstance(value, str) else value for value in values]
        if not values:
            continue
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], int | np.integer):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return message.SerializeToString()


def record(boxes=(), *, size=(8, 10), masks=False, seed=0, **changes):
    """A serialized record of a PNG picture with normalized boxes, all of class 1.

    Args:
        boxes: list of (ymin, xmin, ymax, xmax).
        size: (height, width).
        masks: whether each object has a PNG mask that fills its box.
        seed: of the picture; also makes the source_id, "id-SEED".
        **changes: features by the last parts of their key ("object_class_label" or "encoded");
            None takes a feature out.
    """
    features = {
        "image/encoded": image_bytes(picture(*size, seed=seed)),
        "image/format": "png",
        "image/source_id": f"id-{seed}",
        "image/height": size[0],
        "image/width": size[1],
        "image/object/class/label": [1] * len(boxes),
    }
    for side, name in enumerate(("ymin", "xmin", "ymax", "xmax")):
        features[f"image/object/bbox/{name}"] = [float(box[side]) for box in boxes]
    if masks:
        features["image/object/mask"] = [
            image_bytes(box_mask(*size, np.round(np.multiply(box, [*size, *size])).astype(int)))
            for box in boxes
        ]
    for name, values in changes.items():
        key = "image/" + _KEYS.get(name, name)
        if values is None:
            features.pop(key, None)
        else:
            features[key] = values
    return example(features)


_KEYS = {
    "label": "object/class/label",
    "text": "object/class/text",
    "area": "object/area",
    "crowd": "object/is_crowd",
    "difficult": "object/difficult",
    "weight": "object/weight",
    "mask": "object/mask",
    "ymin": "object/bbox/ymin",
    "xmin": "object/bbox/xmin",
    "ymax": "object/bbox/ymax",
    "xmax": "object/bbox/xmax",
}


def write(path, records):
    """Writes a record file; returns its path as text."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for serialized in records:
            writer.write(serialized)
    return str(path)
