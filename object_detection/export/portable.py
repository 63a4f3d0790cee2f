"""A detector's graph in operations that other runtimes have too.

Not all readers of ONNX, nor TensorFlow Lite's built-in operations, know TensorFlow's CropAndResize,
its old resizing and its loops over images. The operations here compute the same numbers
from reads of single cells, for a whole batch at once.
"""

import contextlib
from typing import NamedTuple

import tensorflow as tf

from object_detection.compat.outputs import serving_outputs
from object_detection.errors import ExportError
from object_detection.export import preparation
from object_detection.export.preparation import Restored
from object_detection.modeling.roi_stage import RoiCropper
from object_detection.ops import boxes as box_ops
from object_detection.ops import image as image_ops
from object_detection.ops import nms, roi_align
from object_detection.structures.batch import Images
from object_detection.utils import label_map_util

METHODS = (image_ops.BILINEAR, image_ops.NEAREST_NEIGHBOR)


@contextlib.contextmanager
def portable_crops(network):
    """Crop rois portably in everything that is traced of a network in this context."""
    stage = network.roi_stage
    if stage is None:
        yield
        return
    former = stage.cropper
    stage.cropper = PortableCropper(former.settings)
    try:
        yield
    finally:
        stage.cropper = former


class PortableCropper(RoiCropper):
    """`RoiCropper` without CropAndResize."""

    def _crop_maps(self, maps, boxes_px, owner, levels, shape, size, training):
        del training
        boxes = box_ops.to_normalized(boxes_px, shape[0], shape[1])
        return crop(maps, boxes, owner, levels, size, fading=self.settings.matmul)


def crop(maps, boxes, owner, levels, size, *, fading):
    """Crop boxes, each from its own map, all with the same reads.

    Args:
        maps: list of [B, h, w, C].
        boxes: [n, 4], normalized.
        owner: [n] int32, the image of each box.
        levels: [n] int32, the map of each box.
        size: int S.
        fading: `matmul` of `ops.roi_align.crop_rows`.

    Returns:
        [n, S, S, C] in the maps' type.
    """
    shapes = tf.stack([tf.shape(cells)[:3] for cells in maps])  # [L, (B, h, w)]
    first = tf.cumsum(tf.reduce_prod(shapes, axis=1), exclusive=True)
    cells = tf.concat([tf.reshape(x, [-1, x.shape[-1]]) for x in maps], axis=0)
    own = tf.gather(shapes, levels)
    height, width = own[:, 1:2], own[:, 2:3]
    origin = tf.gather(first, levels)[:, tf.newaxis] + owner[:, tf.newaxis] * height * width
    taps = roi_align.fading_taps if fading else roi_align.taps
    columns = taps(boxes[:, 1:2], boxes[:, 3:4], width, size)
    crops = 0.0
    for row, row_weight in taps(boxes[:, 0:1], boxes[:, 2:3], height, size):
        line = (origin + row * width)[:, :, tf.newaxis]
        for column, column_weight in columns:
            weight = row_weight[:, :, tf.newaxis] * column_weight[:, tf.newaxis]
            reading = tf.gather(cells, line + column[:, tf.newaxis])
            crops += reading * tf.cast(weight, cells.dtype)[..., tf.newaxis]
    return tf.ensure_shape(crops, [None, size, size, maps[0].shape[-1]])


def resize_batch(resizer, pixels):
    """Resize a batch of images of one size as a resizer does.

    Args:
        resizer: one of the structures of `ops.image`.
        pixels: [B, h, w, 3] of any number type.

    Returns:
        `resized` [B, H, W, 3] float32 and `true_shape` [B, 2] int32.

    Raises:
        ExportError: a `resize_method` that is not among `METHODS`.
    """
    shape = tf.shape(pixels)
    size = resizer.true_shape(shape[1], shape[2])
    method = getattr(resizer, "method", None)
    x = tf.cast(pixels, tf.float32)
    if method is not None:
        aligned = isinstance(resizer, image_ops.ConditionalShape)
        x = _resize_axis(x, 2, size[1], method, aligned)
        x = _resize_axis(x, 1, size[0], method, aligned)
    x = image_ops.as_float(x, grayscale=getattr(resizer, "grayscale", False))
    x = _pad_batch(resizer, x, size)
    return x, tf.broadcast_to(tf.stack(size), [shape[0], 2])


def _pad_batch(resizer, x, size):
    """Pad [B, h, w, 3] at the bottom and on the right as the resizer does."""
    if isinstance(resizer, image_ops.PadToMultiple):
        step = resizer.multiple
        padded = tuple((side + step - 1) // step * step for side in size)
        value = (0.0, 0.0, 0.0)
    elif getattr(resizer, "pad_to_max_dimension", False):
        padded, value = resizer.static_shape, resizer.pad_value
    else:
        return tf.ensure_shape(x, [None, *resizer.static_shape, 3])
    amounts = [[0, 0], [0, padded[0] - size[0]], [0, padded[1] - size[1]], [0, 0]]
    x = tf.pad(x - value, amounts) + value if any(value) else tf.pad(x, amounts)
    return tf.ensure_shape(x, [None, *resizer.static_shape, 3])


def _resize_axis(x, axis, target, method, align_corners):
    """Resize one axis of [B, h, w, 3] to `target` pixels as TensorFlow 1 does."""
    if method not in METHODS:
        raise ExportError(
            f"resize_method is {method}; other runtimes read {' and '.join(METHODS)} exactly: "
            "train with one of these, or resize outside and set identity_resizer"
        )
    length = tf.shape(x)[axis]
    source, target = tf.cast(length, tf.float32), tf.cast(target, tf.float32)
    scale = source / target
    if align_corners:
        scale = tf.where(target > 1.0, (source - 1.0) / tf.maximum(target - 1.0, 1.0), scale)
    position = tf.range(target) * scale
    if method == image_ops.NEAREST_NEIGHBOR:
        # TensorFlow rounds halves up here, not to even.
        position = tf.floor(position + 0.5) if align_corners else tf.floor(position)
        return tf.gather(x, tf.minimum(tf.cast(position, tf.int32), length - 1), axis=axis)
    below = tf.floor(position)
    low = tf.cast(below, tf.int32)
    before = tf.gather(x, tf.minimum(low, length - 1), axis=axis)
    after = tf.gather(x, tf.minimum(low + 1, length - 1), axis=axis)
    share = tf.reshape(position - below, [-1, 1, 1] if axis == 1 else [-1, 1])
    return before + (after - before) * share


INPUT = "input_tensor"
INPUT_TYPES = {"image_tensor": tf.uint8, "float_image_tensor": tf.float32}


class InputSpec(NamedTuple):
    """Input of a converted model."""

    input_type: str = "image_tensor"  # a key of `INPUT_TYPES`
    size: tuple[int, int] | None = None  # (height, width) of the images; None: any
    batch: int | None = None  # images at a time; None: any number


def restore(config, checkpoint) -> Restored:
    """Restore the `Restored` detector of a config.

    Args:
        config: TrainEvalPipelineConfig.
        checkpoint: a training folder, or whatever else `checkpoints.restore` restores.

    Raises:
        ExportError: a model that is not supported, a checkpoint that does not fit, or Soft-NMS,
            which neither ONNX nor TensorFlow Lite computes as TensorFlow does.
    """
    settings = config.model.faster_rcnn.second_stage_post_processing.batch_non_max_suppression
    if settings.soft_nms_sigma > 0 and not settings.use_hard_nms:
        raise ExportError(
            f"soft_nms_sigma is {settings.soft_nms_sigma:g}: Soft-NMS exists in neither ONNX nor "
            "TensorFlow Lite. Set use_hard_nms: true; scores then change"
        )
    return preparation.restore_network(config, checkpoint)


class PortableModel(tf.Module):
    """Detector with the outputs of `serving.FromImages`; `detect` is the function.

    Args:
        restored: `Restored`.
        suppress: as for `nms.suppression_by`.
        spec: `InputSpec`.
    """

    def __init__(self, restored, suppress, spec):
        super().__init__(name="portable_model")
        network = restored.network
        self.weights = [variable.value for variable in network.variables]
        shape = [spec.batch, *(spec.size or (None, None)), 3]
        spec = tf.TensorSpec(shape, INPUT_TYPES[spec.input_type], INPUT)

        @tf.function(input_signature=[spec], autograph=False)
        def detect(input_tensor):
            images = Images(*resize_batch(restored.resizer, input_tensor))
            with portable_crops(network), nms.suppression_by(suppress):
                return serving_outputs(network(images), images)

        self.detect = detect


def reference_outputs(restored, image):
    """Return the outputs of TensorFlow's own graph for an image: {name: array [1, ...]}.

    Args:
        restored: `Restored`.
        image: [h, w, 3] of any number type.
    """
    pixels, true_shape = restored.resizer(image)
    images = Images(pixels[tf.newaxis], true_shape[tf.newaxis])
    outputs = serving_outputs(restored.network(images), images)
    return {name: value.numpy() for name, value in outputs.items()}


def class_names(config, path=""):
    """Return {class id: name} of a label map, or None without a label map.

    Args:
        config: TrainEvalPipelineConfig, whose readers name the default.
        path: of a label map; "" for the config's.
    """
    path = path or preparation.label_map_of(config)
    if not path:
        return None
    return {
        number: item["name"]
        for number, item in label_map_util.create_category_index_from_labelmap(str(path)).items()
    }
