"""Batched detection of pixels or image files.

Images of one size are resized by one operation and run as one batch. Image files may differ in
size: files that the resizer brings to one size run together, others in batches of their own. The
result for an image therefore does not depend on the other images of a request (padding all to the
largest would change the features at an image's border, and with a pyramid the levels in use).
"""

import functools

import tensorflow as tf

from object_detection.compat.outputs import serving_outputs
from object_detection.modeling import precision
from object_detection.structures.batch import Images

_BATCH = tf.TensorSpec([None, None, None, 3], tf.float32, "pixels")
_SHAPES = tf.TensorSpec([None, 2], tf.int32, "true_shape")
_IMAGE = tf.TensorSpec([None, None, 3], tf.float32)
_NO_IMAGE = "The batch holds no image."


class Detector:
    """A network as a function of resized images, traced once for all signatures.

    Args:
        network: `FasterRCNN`, its weights restored.
        raw: whether to output TFOD's internal tensors as well.
    """

    def __init__(self, network, *, raw=False):
        self._raw = raw
        self._network = network

    def __call__(self, pixels, true_shape):
        """Return {name: tensor} by TFOD's names, for pixels [B, H, W, 3] and true_shape [B, 2]."""
        return self.concrete(pixels, true_shape)

    @functools.cached_property
    def concrete(self):
        """Traced function."""

        def detect(pixels, true_shape):
            images = Images(pixels, true_shape)
            inference = self._network(images, all_masks=self._raw)
            return serving_outputs(inference, images, raw=self._raw)

        with tf.init_scope():
            signature = [_BATCH, _SHAPES]
            function = tf.function(detect, input_signature=signature, autograph=False)
            return function.get_concrete_function()

    @property
    def variables(self):
        """Variables that the function reads.

        They stay variables in a SavedModel: TensorFlow copies constants of a graph many times,
        which takes several times the memory and makes nothing faster.
        """
        read = {id(tensor) for tensor in self.concrete.captured_inputs}
        return [v for v in precision.stored_variables(self._network) if id(v.handle) in read]

    @property
    def specs(self):
        """Specs of the outputs by name."""
        return self.concrete.structured_outputs

    @property
    def has_rows_by_image(self):
        """Whether row b of every output belongs to image b, whatever the images' size."""
        return not self._raw and self._has_second_stage

    @property
    def _has_second_stage(self):
        return getattr(self._network, "number_of_stages", 2) > 1


def detect_alike(detector, resize, pixels):
    """Run the detector on a batch of images of one size.

    Args:
        detector: `Detector`.
        resize: an `ops.image.Resizer`.
        pixels: [B, h, w, 3] of any number type, 0..255.

    Returns:
        {name: tensor}, and [B, 2] int32 (height, width) of the images.
    """
    count = tf.shape(pixels)[0]
    with tf.control_dependencies([tf.debugging.assert_positive(count, _NO_IMAGE)]):
        resized, true_shape = resize(pixels)
    outputs = detector(resized, tf.tile(true_shape[tf.newaxis], [count, 1]))
    return outputs, tf.tile(tf.shape(pixels)[tf.newaxis, 1:3], [count, 1])


def detect_encoded(detector, resize, encoded):
    """Run the detector on a batch of image files, [B] strings of JPEG, PNG, BMP or GIF.

    Returns:
        {name: tensor}, and [B, 2] int32 (height, width) of the images.
    """
    count = tf.shape(encoded)[0]
    images = tf.TensorArray(
        tf.float32, count, element_shape=_IMAGE.shape, infer_shape=False, clear_after_read=False
    )
    true_shapes, sizes, source_sizes = (
        tf.TensorArray(tf.int32, count, element_shape=[2]) for _ in range(3)
    )
    with tf.control_dependencies([tf.debugging.assert_positive(count, _NO_IMAGE)]):
        numbers = tf.range(count)
    for k in numbers:
        image = _decode(encoded[k])
        resized, true_shape = resize(image)
        images = images.write(k, resized)
        true_shapes = true_shapes.write(k, true_shape)
        sizes = sizes.write(k, tf.shape(resized)[:2])
        source_sizes = source_sizes.write(k, tf.shape(image)[:2])
    true_shapes, sizes = true_shapes.stack(), sizes.stack()
    if detector.has_rows_by_image and None in resize.static_shape:
        outputs = _detect_by_size(detector, images, true_shapes, sizes)
    else:
        outputs = detector(_padded(images, sizes), true_shapes)
    return outputs, source_sizes.stack()


def _detect_by_size(detector, images, true_shapes, sizes):
    """Run the detector on images of several sizes, those of one size in one batch.

    Args:
        images: TensorArray of B images [H, W, 3].
        true_shapes, sizes: [B, 2] int32, of each without and with its padding.
    """
    sizes = tf.cast(sizes, tf.int64)
    distinct, group = tf.unique(sizes[:, 0] * (tf.reduce_max(sizes[:, 1]) + 1) + sizes[:, 1])
    count = tf.size(distinct)
    arrays = {
        name: tf.TensorArray(spec.dtype, count, element_shape=spec.shape, infer_shape=False)
        for name, spec in detector.specs.items()
    }
    members = tf.TensorArray(tf.int32, count, element_shape=[None], infer_shape=False)

    def detect_one_size(k, members, arrays):
        own = tf.cast(tf.where(group == k)[:, 0], tf.int32)
        pixels = tf.map_fn(images.read, own, fn_output_signature=_IMAGE)
        outputs = detector(pixels, tf.gather(true_shapes, own))
        arrays = {name: array.write(k, outputs[name]) for name, array in arrays.items()}
        return k + 1, members.write(k, own), arrays

    _, members, arrays = tf.while_loop(
        lambda k, *_: k < count, detect_one_size, (0, members, arrays), parallel_iterations=1
    )
    order = tf.math.invert_permutation(members.concat())
    return {name: tf.gather(array.concat(), order) for name, array in arrays.items()}


def _padded(images, sizes):
    """Stack the images [H, W, 3] of a TensorArray, padded to the largest with zeros."""
    largest = tf.reduce_max(sizes, axis=0)

    def pad(k):
        missing = largest - sizes[k]
        return tf.pad(images.read(k), [[0, missing[0]], [0, missing[1]], [0, 0]])

    return tf.map_fn(pad, tf.range(tf.shape(sizes)[0]), fn_output_signature=_IMAGE)


def _decode(encoded):
    """Decode an image file to uint8 [h, w, 3]; of an animation, the first frame."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])
