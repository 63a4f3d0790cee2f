"""A SavedModel of a few operations with TFOD's signature: it finds the bright rectangle."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

LABEL_MAP = "item { id: 1 name: 'dark' } item { id: 2 name: 'bright' display_name: 'Bright one' }"
MASK_SIDE = 8
POISON = (13, 7, 13)  # of the upper left pixel: the model fails at the image


class BrightRectangle(tf.Module):
    """One detection of class 2 around what is brighter than 128; a second row is padding.

    Its mask is 1 in the left half of the box and 0 in the right one.
    """

    def __init__(self, score, label_map):
        super().__init__()
        self.score = tf.Variable(score)
        self.label_map = tf.saved_model.Asset(label_map)

    def find(self, images):
        poisoned = tf.reduce_any(tf.reduce_all(images[:, 0, 0] == POISON, -1))
        with tf.control_dependencies([tf.debugging.Assert(~poisoned, ["poisoned"])]):
            bright = tf.reduce_max(images, -1) > 128
        box = tf.stack(
            [edge for axis in (2, 1) for edge in _extent(tf.reduce_any(bright, axis))], -1
        )
        box = tf.gather(box, [0, 2, 1, 3], axis=1)
        count = tf.shape(images)[0]
        scores = tf.tile([[self.score, 0.0]], [count, 1])
        mask = tf.concat([tf.ones([MASK_SIDE, MASK_SIDE // 2]), tf.zeros([MASK_SIDE, 4])], 1)
        return {
            "num_detections": tf.ones([count]),
            "detection_boxes": tf.stack([box, tf.zeros_like(box)], 1),
            "detection_scores": scores,
            "detection_classes": tf.tile([[2.0, 1.0]], [count, 1]),
            "detection_masks": tf.tile(mask[tf.newaxis, tf.newaxis], [count, 2, 1, 1]),
            "raw_detection_scores": tf.tile([[[0.5, 0.5]] * 3], [count, 1, 1]),
        }

    def files(self, input_tensor):
        kinds = {name: tf.TensorSpec(None, tf.float32) for name in _NAMES}
        result = tf.map_fn(self.find_in_file, input_tensor, fn_output_signature=kinds)
        return {name: tf.reshape(result[name], shape) for name, shape in _NAMES.items()}

    def examples(self, input_tensor):
        features = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        return self.files(tf.io.parse_example(input_tensor, features)["image/encoded"])

    def raw(self, input_tensor):
        return self.find(input_tensor) | {"anchors": tf.zeros([5, 4])}

    def find_in_file(self, encoded):
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        result = self.find(tf.ensure_shape(image, [None, None, 3])[tf.newaxis])
        return {name: value[0] for name, value in result.items()}


# Kind: what it takes, and the method that is its signature.
KINDS = {
    "pixels": (tf.TensorSpec([None, None, None, 3], tf.uint8), BrightRectangle.find),
    "one": (tf.TensorSpec([1, None, None, 3], tf.uint8), BrightRectangle.find),
    "files": (tf.TensorSpec([None], tf.string), BrightRectangle.files),
    "examples": (tf.TensorSpec([None], tf.string), BrightRectangle.examples),
    "raw": (tf.TensorSpec([None, None, None, 3], tf.float32), BrightRectangle.raw),
}
_NAMES = {
    "num_detections": [-1],
    "detection_boxes": [-1, 2, 4],
    "detection_scores": [-1, 2],
    "detection_classes": [-1, 2],
    "detection_masks": [-1, 2, MASK_SIDE, MASK_SIDE],
    "raw_detection_scores": [-1, 3, 2],
}


def _extent(hit):
    """First and one past the last True of each row of [B, n], as shares of n."""
    size = tf.shape(hit)[1]
    first = tf.argmax(hit, 1, output_type=tf.int32)
    last = size - tf.argmax(hit[:, ::-1], 1, output_type=tf.int32)
    return [tf.cast(end, tf.float32) / tf.cast(size, tf.float32) for end in (first, last)]


def save(folder, *, kind="pixels", score=0.75):
    """Writes the model into a folder.

    Args:
        kind: a key of `KINDS`.
        score: of its detection.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    label_map = folder.parent / f"{folder.name}.pbtxt"
    label_map.write_text(LABEL_MAP)
    module = BrightRectangle(score, str(label_map))
    spec, method = KINDS[kind]

    @tf.function(input_signature=[spec])
    def detect(input_tensor):
        return method(module, input_tensor)

    tf.saved_model.save(module, str(folder), signatures={"serving_default": detect})
    return folder


def picture(height=20, width=40, box=(5, 10, 15, 30)):
    """Black with a white rectangle."""
    image = np.zeros([height, width, 3], np.uint8)
    image[box[0] : box[2], box[1] : box[3]] = 255
    return image


def file_of(image, mask_format="PNG", **options):
    """The bytes of an image file of an array or a Pillow image."""
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, mask_format, **options)
    return file.getvalue()
