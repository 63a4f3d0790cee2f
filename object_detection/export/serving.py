"""A network as the SavedModel that TFOD's clients know how to call.

One module for each kind of input. Each resizes inside the graph, runs the network and gives its
detections under the contract's names (`compat.outputs`), all float32. The single input is called
`input_tensor`; a loaded model can be called itself or through its signature `serving_default`.
"""

import tensorflow as tf

from object_detection.compat.outputs import serving_outputs
from object_detection.structures import Images

SIGNATURE = "serving_default"


class ServedModel(tf.Module):
    """What the four kinds of input share.

    Args:
        network: `FasterRCNN`, its weights restored.
        resize: the config's resizer, an `ops.image.Resizer`.
        raw: whether the internal tensors come out too, as in TFOD's Mask R-CNN exports.
        label_map: path of a label map that travels in the SavedModel's `assets`, or None.
    """

    def __init__(self, network, resize, *, raw=False, label_map=None):
        super().__init__(name="served_model")
        # Exactly what a SavedModel must carry. The network itself stays out of the attributes:
        # the loading process need not know Keras.
        self.weights = [variable.value for variable in network.variables]
        self.label_map = tf.saved_model.Asset(str(label_map)) if label_map else None
        self._resize = lambda image: resize(image)  # a function: nothing for the saver to follow
        self._outputs = lambda images: serving_outputs(
            network(images, all_masks=raw), images, raw=raw
        )

    def detect_alike(self, pixels):
        """Outputs for a batch of images of one size, [B, h, w, 3] of any number type."""
        kinds = (
            tf.TensorSpec([None, None, 3], tf.float32),
            tf.TensorSpec([2], tf.int32),
        )
        resized, true_shape = tf.map_fn(self._resize, pixels, fn_output_signature=kinds)
        return self._outputs(Images(resized, true_shape))

    def detect_encoded(self, encoded):
        """Outputs for a batch of image files, [B] strings: each is resized, then all are padded."""
        count = tf.shape(encoded)[0]
        images = tf.TensorArray(tf.float32, count, element_shape=[None, None, 3], infer_shape=False)
        shapes = tf.TensorArray(tf.int32, count, element_shape=[2])
        sizes = tf.TensorArray(tf.int32, count, element_shape=[2])
        for k in tf.range(count):
            resized, true_shape = self._resize(_decode(encoded[k]))
            images = images.write(k, resized)
            shapes = shapes.write(k, true_shape)
            sizes = sizes.write(k, tf.shape(resized)[:2])
        largest = tf.reduce_max(sizes.stack(), axis=0)
        batch = tf.TensorArray(tf.float32, count, element_shape=[None, None, 3])
        for k in tf.range(count):
            image = images.read(k)
            missing = largest - tf.shape(image)[:2]
            batch = batch.write(k, tf.pad(image, [[0, missing[0]], [0, missing[1]], [0, 0]]))
        return self._outputs(Images(batch.stack(), shapes.stack()))


class FromImages(ServedModel):
    """Takes a batch of images as uint8. TFOD's takes one only."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    def __call__(self, input_tensor):
        return self.detect_alike(input_tensor)


class FromFloatImages(ServedModel):
    """Takes a batch of images as float32, values 0..255."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def __call__(self, input_tensor):
        return self.detect_alike(input_tensor)


class FromEncodedImages(ServedModel):
    """Takes a batch of JPEG, PNG, BMP or GIF files, which need not be of one size."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, input_tensor):
        return self.detect_encoded(input_tensor)


class FromExamples(ServedModel):
    """Takes a batch of serialized tf.Examples; only their `image/encoded` is read."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, input_tensor):
        features = {"image/encoded": tf.io.FixedLenFeature([], tf.string, default_value="")}
        return self.detect_encoded(tf.io.parse_example(input_tensor, features)["image/encoded"])


INPUT_TYPES = {
    "image_tensor": FromImages,
    "float_image_tensor": FromFloatImages,
    "encoded_image_string_tensor": FromEncodedImages,
    "tf_example": FromExamples,
}


def module_for(input_type):
    """The module class of an `--input_type`.

    Raises:
        ValueError: a type that is not supported, by name.
    """
    if input_type in INPUT_TYPES:
        return INPUT_TYPES[input_type]
    remark = ""
    if input_type == "image_and_boxes_tensor":
        remark = " (image_and_boxes_tensor is for DeepMAC models, which are not supported)"
    raise ValueError(f"input_type is {input_type!r}; supported: {', '.join(INPUT_TYPES)}{remark}")


def save(module, folder):
    """Writes a served model as a SavedModel."""
    # The function, not a concrete one taken from it: then TensorFlow would trace it twice.
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.__call__})


def _decode(encoded):
    """uint8 [h, w, 3] of an image file; of an animation the first frame."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])
