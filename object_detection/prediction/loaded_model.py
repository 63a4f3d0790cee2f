"""Models of every form with one interface: batches of images in, arrays under TFOD's names out."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.checkpoints import location
from object_detection.checkpoints.open import load_saved_model
from object_detection.checkpoints.restore import restore
from object_detection.config import pipeline_file
from object_detection.export import exporter, serving
from object_detection.ops import image
from object_detection.training.tensorflow_start import import_tensorflow_quietly
from object_detection.utils import label_map_util

_LABEL_MAPS = ("label_map.pbtxt", "tf_label_map.pbtxt")  # the second: azoda's, next to saved_model/
_MAX_ASPECT = 3.0  # longest side over the shorter one, if the config does not bound it
NEEDED = ("num_detections", "detection_boxes", "detection_scores")


class LoadedModel:
    """A model that takes images of one size at a time.

    Args:
        function: Called with a tensor under the name of `spec`; returns outputs by name.
        spec: `tf.TensorSpec` of its one input: images of any number type, or strings.
        categories: {id: name}; empty without a label map.
        owner: Object that must stay alive with the function.

    Attributes:
        resizes: Whether the model itself applies `min_image_size`.
    """

    def __init__(self, function, spec, categories, owner=None, *, resizes=False):
        self.categories, self.resizes = categories, resizes
        self._function, self._spec, self._owner = function, spec, owner

    @property
    def largest_batch(self):
        """Largest number of images at once, None for any number (TFOD's own exports take one)."""
        shape = self._spec.shape
        return None if shape.rank is None else shape[0]

    def __call__(self, images):
        """Return the outputs for uint8 [B, h, w, 3], as arrays by name."""
        if self._spec.dtype == tf.string:
            batch = tf.constant([self._wrap(image) for image in images])
        else:
            batch = tf.cast(images, self._spec.dtype)
        outputs = self._function(**{self._spec.name: batch})
        return {name: values.numpy() for name, values in outputs.items()}

    @functools.cached_property
    def _takes_examples(self):
        """Whether a model that takes strings expects tf.Examples; signatures do not say so."""
        probe = tf.constant([_example(_png(np.zeros([32, 32, 3], np.uint8)))])
        try:
            self._function(**{self._spec.name: probe})
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError):
            return False  # (TensorFlow's message may quote the bytes and then fails to decode)
        return True

    def _wrap(self, image):
        encoded = _png(image)
        return _example(encoded) if self._takes_examples else encoded


class CalledModel:
    """A model in memory: called with uint8 [B, h, w, 3] it returns outputs by name."""

    largest_batch = None
    resizes = False

    def __init__(self, function, categories):
        self._function, self.categories = function, categories

    def __call__(self, images):
        """Return the outputs for uint8 [B, h, w, 3], as arrays by name."""
        outputs = {name: np.asarray(value) for name, value in self._function(images).items()}
        _check(outputs, "the model given")
        return outputs


def load(model, *, label_map=None, pipeline_config=None, min_image_size=None):
    """Load a model of any form.

    Args:
        model: See `Predictor`.
        label_map: Path of a label map, {id: name}, or None: the model's own.
        pipeline_config: Path of the config of weights, or None: the one next to them.
        min_image_size: See `Predictor`.

    Returns:
        `LoadedModel` or `CalledModel`.

    Raises:
        ValueError: There is no such model, or it has other inputs or outputs.
    """
    import_tensorflow_quietly()  # else the first operation has TensorFlow talk about GPUs
    if callable(model):
        return CalledModel(model, categories_of(label_map, None))
    folder = find_saved_model(model)
    if folder is None or pipeline_config is not None:
        built = build(model, pipeline_config, min_image_size=min_image_size)
        spec = tf.TensorSpec([None, None, None, 3], tf.uint8, "input_tensor")
        categories = categories_of(label_map or built.label_map, Path(model))
        return LoadedModel(built.module.__call__, spec, categories, built.module, resizes=True)
    if min_image_size is not None:
        _check_resizer(folder)
    loaded = load_saved_model(folder)
    function, spec = _serving_function(loaded, folder)
    return LoadedModel(function, spec, categories_of(label_map, folder), loaded)


class BuiltModel(NamedTuple):
    """A network with its weights."""

    module: tf.Module  # called with input_tensor uint8 [B, h, w, 3], returns outputs by name
    label_map: Path | None  # the one that the config names, if it can be read


def build(weights, pipeline_config=None, min_image_size=None) -> BuiltModel:
    """Build the network of a config and restore its weights.

    Args:
        weights: See `checkpoints.open.open_checkpoint`.
        pipeline_config: Path of the config; None takes the one next to the weights.
        min_image_size: Shorter side, in pixels, of the images that the network sees, instead of the
            config's resizer; None keeps that.

    Raises:
        ValueError: There are no weights or no config, or they do not fit each other.
    """
    if pipeline_config is None:
        stored = location.find_config(weights)
        if stored is None:
            raise ValueError(
                f"{weights} are weights without their {location.CONFIG}: give it with "
                "pipeline_config (--pipeline_config_path)."
            )
        config = pipeline_file.parse(stored[1], source=stored[0])
    else:
        config = pipeline_file.load(pipeline_config)
    network = model_builder.build_network(config.model, is_training=False)
    restore(network, str(weights), moving_averages=config.eval_config.use_moving_averages)
    resizer = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
    if min_image_size is not None:
        resizer = with_shorter_side(resizer, min_image_size)
    module = serving.module_for("image_tensor")(network, resizer)
    return BuiltModel(module, exporter.label_map_of(config))


def with_shorter_side(resizer, shorter):
    """Return a resizer that keeps the aspect ratio and makes the shorter side `shorter` pixels.

    The longer side is bounded in the same ratio as by `resizer`; at three times the shorter side if
    that has no bound, so that a narrow strip does not become huge.
    """
    ratio = _MAX_ASPECT
    if isinstance(resizer, image.KeepAspectRatio):
        ratio = resizer.max_dimension / resizer.min_dimension
    return image.KeepAspectRatio(
        min_dimension=shorter,
        max_dimension=max(shorter, round(shorter * ratio)),
        method=getattr(resizer, "method", image.BILINEAR),
        grayscale=getattr(resizer, "grayscale", False),
    )


def find_saved_model(path):
    """Return the folder with saved_model.pb at or in `path`, or None."""
    for folder in (Path(path), Path(path) / "saved_model"):
        if (folder / "saved_model.pb").is_file():
            return folder
    return None


def categories_of(label_map, folder):
    """Return {id: name} from the caller's label map or the one that comes with the model."""
    if isinstance(label_map, dict):
        return {int(k): name for k, name in label_map.items()}
    if label_map is None:
        if folder is None:
            return {}
        nearby = [parent / name for parent in (folder, folder.parent) for name in _LABEL_MAPS]
        paths = [*sorted((folder / "assets").glob("*.pbtxt")), *(p for p in nearby if p.is_file())]
        if not paths:
            return {}
        label_map = paths[0]
    items = label_map_util.load_labelmap(str(label_map)).item
    return {item.id: item.display_name or item.name for item in items}


def _serving_function(model, folder):
    """Return the default signature and the spec of its one input."""
    signature = model.signatures.get("serving_default")
    if signature is None:
        names = ", ".join(model.signatures) or "none"
        raise ValueError(f"{folder} has no signature serving_default; it has: {names}.")
    inputs = list(signature.structured_input_signature[1].items())
    if len(inputs) != 1:
        names = ", ".join(name for name, _ in inputs)
        raise ValueError(
            f"{folder} takes {len(inputs)} inputs ({names}); one image is all there is."
        )
    _check(signature.structured_outputs, folder)
    name, spec = inputs[0]
    return signature, tf.TensorSpec(spec.shape, spec.dtype, name)


def _check_resizer(folder):
    """Raise ValueError if a SavedModel resizes every image, so that none can be enlarged."""
    path = location.config_in_folder(folder) or location.config_in_folder(folder.parent)
    if path is None:
        return
    config = pipeline_file.load(path)
    resizer = config.model.faster_rcnn.image_resizer.WhichOneof("image_resizer_oneof")
    if resizer not in (None, "identity_resizer", "pad_to_multiple_resizer"):
        raise ValueError(
            f"min_image_size has no effect on {folder}: it resizes every image itself "
            f"({resizer}). Give its weights, {path.with_name('checkpoint')}, with "
            f"pipeline_config={path}: then the network is built without it"
        )


def _check(outputs, origin):
    missing = set(NEEDED) - set(outputs)
    if missing:
        raise ValueError(
            f"{origin} is no detection model: it does not give {', '.join(sorted(missing))}."
        )


def _example(encoded):
    """Return a serialized tf.Example that contains a PNG file."""
    features = {"image/encoded": encoded, "image/format": b"png"}
    features = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for key, value in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _png(image):
    return tf.io.encode_png(image).numpy()
