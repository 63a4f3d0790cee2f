"""A network as a SavedModel with the inputs and outputs that TFOD's clients expect.

One module for each kind of input. Each resizes inside the graph, runs the network and returns its
detections under TFOD's names (`compat.outputs`), all float32. The single input is called
`input_tensor`; a loaded model can be called itself or through its signature `serving_default`.
Further signatures of our own: see `compact_outputs`.
"""

import functools

import tensorflow as tf

from object_detection.errors import ExportError
from object_detection.export import batching
from object_detection.ops import image_masks

SIGNATURE = "serving_default"
# Further signatures: the masks in another format, and only what a client of these needs.
MASK_SIGNATURES = {"image": "image_masks", "rle": "rle_masks"}
IMAGE_MASKS = "detection_masks_reframed"
RLE_MASKS = "detection_masks_rle"
MASK_OUTPUTS = (IMAGE_MASKS, RLE_MASKS)
IMAGE_SIZE = "image_size"
_OTHER_DEFAULTS = ("num_detections", "cropped_rpn_box_features")
COMPACT = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")


class ServedModel(tf.Module):
    """Base class of the four kinds of input.

    Args:
        network: `FasterRCNN`, its weights restored; or a `batching.Detector` of it.
        resize: the config's resizer, an `ops.image.Resizer`.
        raw: whether to output the internal tensors as well, as in TFOD's Mask R-CNN exports.
        label_map: path of a label map to copy to the SavedModel's `assets`, or None.
        mask_format: a key of `MASK_SIGNATURES` for a further signature, or None.
    """

    spec: tf.TensorSpec  # of the one input

    def __init__(self, network, resize, *, raw=False, label_map=None, mask_format=None):
        super().__init__(name="served_model")
        is_detector = isinstance(network, batching.Detector)
        self.detector = network if is_detector else batching.Detector(network, raw=raw)
        # Exactly what a SavedModel must hold. The network itself stays out of the attributes
        # (TensorFlow does not track a `Detector`): the loading process need not know Keras.
        self.weights = self.detector.variables
        self.label_map = tf.saved_model.Asset(str(label_map)) if label_map else None
        self._resize = lambda image: resize(image)  # a function: nothing for the saver to follow
        self._resize.static_shape = getattr(resize, "static_shape", (None, None))
        self._mask_format = mask_format

    def detect(self, input_tensor):
        """Return {name: tensor} and the sizes [B, 2] int32 of images, here of one size."""
        return batching.detect_alike(self.detector, self._resize, input_tensor)

    @property
    def default_names(self):
        """Names of the outputs other than TFOD's internal tensors."""
        return [
            name
            for name in self.detector.specs
            if name.startswith(("detection_", "raw_detection_")) or name in _OTHER_DEFAULTS
        ]

    @functools.cached_property
    def signatures(self):
        """Functions to save as signatures, by name."""
        # The function, not a concrete one taken from it: then TensorFlow would trace it twice.
        functions = {SIGNATURE: self.__call__}
        if self._mask_format is not None:
            mask_format = self._mask_format

            def compact(input_tensor):
                return compact_outputs(*self.detect(input_tensor), mask_format)

            function = tf.function(compact, input_signature=[self.spec])
            functions[MASK_SIGNATURES[mask_format]] = function
        return functions

    def add_asset(self, name, path):
        """Add a file to the SavedModel's `assets`."""
        setattr(self, name, tf.saved_model.Asset(str(path)))


def _images_of(dtype):
    return tf.TensorSpec([None, None, None, 3], dtype, "input_tensor")


_STRINGS = tf.TensorSpec([None], tf.string, "input_tensor")


class FromImages(ServedModel):
    """Detector of a batch of uint8 images. TFOD's accepts a single image only."""

    spec = _images_of(tf.uint8)

    @tf.function(input_signature=[spec])
    def __call__(self, input_tensor):
        return self.detect(input_tensor)[0]


class FromFloatImages(ServedModel):
    """Detector of a batch of float32 images, values 0..255."""

    spec = _images_of(tf.float32)

    @tf.function(input_signature=[spec])
    def __call__(self, input_tensor):
        return self.detect(input_tensor)[0]


class FromEncodedImages(ServedModel):
    """Detector of a batch of JPEG, PNG, BMP or GIF files, whose sizes may differ."""

    spec = _STRINGS

    def detect(self, input_tensor):
        return batching.detect_encoded(self.detector, self._resize, input_tensor)

    @tf.function(input_signature=[spec])
    def __call__(self, input_tensor):
        return self.detect(input_tensor)[0]


class FromExamples(ServedModel):
    """Detector of a batch of serialized tf.Examples; reads only their `image/encoded`."""

    spec = _STRINGS

    def detect(self, input_tensor):
        features = {"image/encoded": tf.io.FixedLenFeature([], tf.string, default_value="")}
        encoded = tf.io.parse_example(input_tensor, features)["image/encoded"]
        return batching.detect_encoded(self.detector, self._resize, encoded)

    @tf.function(input_signature=[spec])
    def __call__(self, input_tensor):
        return self.detect(input_tensor)[0]


INPUT_TYPES = {
    "image_tensor": FromImages,
    "float_image_tensor": FromFloatImages,
    "encoded_image_string_tensor": FromEncodedImages,
    "tf_example": FromExamples,
}


def module_for(input_type: str) -> type[ServedModel]:
    """Return the module class of an `--input_type`.

    Raises:
        ExportError: a type that is not supported.
    """
    if input_type in INPUT_TYPES:
        return INPUT_TYPES[input_type]
    remark = ""
    if input_type == "image_and_boxes_tensor":
        remark = " (image_and_boxes_tensor is for DeepMAC models, which are not supported)"
    raise ExportError(f"input_type is {input_type!r}; supported: {', '.join(INPUT_TYPES)}{remark}")


def compact_outputs(outputs, sizes, mask_format):
    """Return the outputs that a client of masks of the whole image needs.

    Args:
        outputs: of the default signature.
        sizes: [B, 2] int32 of the images.
        mask_format: `image` or `rle`.

    Returns:
        num_detections [B] int32, detection_boxes [B, N, 4], detection_scores [B, N],
        detection_classes [B, N] int32, image_size [B, 2] int32, and one of
        detection_masks_reframed: [B, N, H, W] uint8 of 0 and 1, H and W those of the largest image;
        detection_masks_rle: [B, N] strings, COCO's compressed `counts`; empty in padding.
    """
    compact = {name: outputs[name] for name in ("detection_boxes", "detection_scores")}
    for name in ("num_detections", "detection_classes"):
        compact[name] = tf.cast(outputs[name], tf.int32)
    shape = tf.shape(outputs["detection_scores"])
    valid = tf.range(shape[1]) < compact["num_detections"][:, tf.newaxis]
    rows = tf.where(valid)
    detected = (
        tf.gather_nd(outputs["detection_masks"], rows),
        tf.gather_nd(outputs["detection_boxes"], rows),
        tf.gather(sizes, rows[:, 0]),
    )
    if mask_format == "rle":
        codes = image_masks.encode_rows(*detected)
        compact[RLE_MASKS] = tf.tensor_scatter_nd_update(tf.fill(shape, ""), rows, codes)
    else:
        pixels = image_masks.paste_rows(*detected)
        whole = tf.concat([shape, tf.reduce_max(sizes, axis=0)], 0)
        pixels = tf.pad(pixels, _missing(tf.shape(pixels), whole))
        compact[IMAGE_MASKS] = tf.scatter_nd(rows, pixels, tf.cast(whole, tf.int64))
    return compact | {IMAGE_SIZE: sizes}


def _missing(shape, whole):
    """Return the padding of [n, h, w] to the last two of `whole`."""
    return [[0, 0], [0, whole[2] - shape[1]], [0, whole[3] - shape[2]]]


def save(module, folder):
    """Write a served model as a SavedModel."""
    tf.saved_model.save(module, str(folder), signatures=module.signatures)
