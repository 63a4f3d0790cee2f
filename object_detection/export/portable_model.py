"""A detector as a graph for other runtimes: images in, TFOD's outputs out, no loop over images."""

import os
from typing import NamedTuple

import tensorflow as tf

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.compat import checkpoint_reader
from object_detection.compat.outputs import serving_outputs
from object_detection.export import portable
from object_detection.ops import nms
from object_detection.structures.batch import Images
from object_detection.utils import label_map_util

INPUT = "input_tensor"
INPUT_TYPES = {"image_tensor": tf.uint8, "float_image_tensor": tf.float32}


class Restored(NamedTuple):
    """A trained detector."""

    network: object  # `FasterRCNN`
    resizer: object  # a structure of `ops.image`


class Form(NamedTuple):
    """What the converted model takes."""

    input_type: str = "image_tensor"  # a key of `INPUT_TYPES`
    size: tuple[int, int] | None = None  # (height, width) of the images; None: any
    batch: int | None = None  # images at a time; None: any number


def restore(config, checkpoint):
    """The `Restored` detector of a config.

    Args:
        config: TrainEvalPipelineConfig.
        checkpoint: a training folder, or whatever else `compat.checkpoint_reader` restores.

    Raises:
        ValueError: a model that is not supported, a checkpoint that does not fit, or Soft-NMS,
            which neither ONNX nor TensorFlow Lite computes as TensorFlow does.
    """
    settings = config.model.faster_rcnn.second_stage_post_processing.batch_non_max_suppression
    if settings.soft_nms_sigma > 0 and not settings.use_hard_nms:
        raise ValueError(
            f"soft_nms_sigma is {settings.soft_nms_sigma:g}: Soft-NMS exists in neither ONNX nor "
            "TensorFlow Lite. Set use_hard_nms: true, and know that scores change"
        )
    network = model_builder.build_network(config.model, is_training=False)
    checkpoint_reader.restore(
        network, str(checkpoint), moving_averages=config.eval_config.use_moving_averages
    )
    return Restored(network, image_resizer_builder.build(config.model.faster_rcnn.image_resizer))


class PortableModel(tf.Module):
    """Detections of images, as `serving.FromImages` gives them; `detect` is the function.

    Args:
        restored: `Restored`.
        suppress: as for `nms.suppression_by`.
        form: `Form`.
    """

    def __init__(self, restored, suppress, form):
        super().__init__(name="portable_model")
        network = restored.network
        self.weights = [variable.value for variable in network.variables]
        shape = [form.batch, *(form.size or (None, None)), 3]
        spec = tf.TensorSpec(shape, INPUT_TYPES[form.input_type], INPUT)

        @tf.function(input_signature=[spec], autograph=False)
        def detect(input_tensor):
            images = Images(*portable.resize_batch(restored.resizer, input_tensor))
            with portable.portable_crops(network), nms.suppression_by(suppress):
                return serving_outputs(network(images), images)

        self.detect = detect


def reference_outputs(restored, image):
    """What TensorFlow's own graph finds on an image: {name: array with a batch of one}.

    Args:
        restored: `Restored`.
        image: [h, w, 3] of any number type.
    """
    pixels, true_shape = restored.resizer(image)
    images = Images(pixels[tf.newaxis], true_shape[tf.newaxis])
    found = serving_outputs(restored.network(images), images)
    return {name: value.numpy() for name, value in found.items()}


def label_names(config, path=""):
    """{class id: name} of a label map, or None where there is none.

    Args:
        config: TrainEvalPipelineConfig, whose readers' label map is taken without a `path`.
        path: of a label map.
    """
    readers = [*config.eval_input_reader, config.train_input_reader]
    paths = [path] if path else [reader.label_map_path for reader in readers]
    path = next((path for path in paths if path and os.path.isfile(path)), path)
    if not path:
        return None
    return {
        number: item["name"]
        for number, item in label_map_util.create_category_index_from_labelmap(path).items()
    }
