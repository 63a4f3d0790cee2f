"""Models of every form behind one call: batches of images in, arrays under TFOD's names out."""

import functools
from pathlib import Path

import numpy as np
import tensorflow as tf

from object_detection.checkpoints import location
from object_detection.checkpoints.open import load_saved_model
from object_detection.config import pipeline_file
from object_detection.prediction import built_model
from object_detection.training.tensorflow_start import import_tensorflow_quietly
from object_detection.utils import label_map_util

_LABEL_MAPS = ("label_map.pbtxt", "tf_label_map.pbtxt")  # the second: azoda's, beside saved_model/
NEEDED = ("num_detections", "detection_boxes", "detection_scores")


class LoadedModel:
    """A model that takes images of one size at a time.

    Args:
        function: called with a tensor under the name of `spec`; gives outputs by name.
        spec: `tf.TensorSpec` of its one input: images of any number type, or strings.
        categories: {id: name}; empty where no label map is known.
        owner: what has to stay alive with the function.

    Attributes:
        resizes: whether `min_image_size` is the model's own doing.
    """

    def __init__(self, function, spec, categories, owner=None, *, resizes=False):
        self.categories, self.resizes = categories, resizes
        self._function, self._spec, self._owner = function, spec, owner

    @property
    def largest_batch(self):
        """How many images it takes at once, None for any number (TFOD's own exports take one)."""
        shape = self._spec.shape
        return None if shape.rank is None else shape[0]

    def __call__(self, images):
        """The outputs for uint8 [B, h, w, 3], as arrays by name."""
        if self._spec.dtype == tf.string:
            batch = tf.constant([self._wrap(image) for image in images])
        else:
            batch = tf.cast(images, self._spec.dtype)
        outputs = self._function(**{self._spec.name: batch})
        return {name: values.numpy() for name, values in outputs.items()}

    @functools.cached_property
    def _takes_examples(self):
        """Whether a model that takes strings wants tf.Examples; a signature does not tell."""
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
    """A model at hand: called with uint8 [B, h, w, 3] it gives outputs by name."""

    largest_batch = None
    resizes = False

    def __init__(self, function, categories):
        self._function, self.categories = function, categories

    def __call__(self, images):
        """The outputs for uint8 [B, h, w, 3], as arrays by name."""
        outputs = {name: np.asarray(value) for name, value in self._function(images).items()}
        _check(outputs, "the model given")
        return outputs


def load(model, *, label_map=None, pipeline_config=None, min_image_size=None):
    """A model from whatever names it.

    Args:
        model: see `Predictor`.
        label_map: path of a label map, {id: name}, or None: the model's own.
        pipeline_config: path of the config of weights, or None: the one beside them.
        min_image_size: see `Predictor`.

    Returns:
        `LoadedModel` or `CalledModel`.

    Raises:
        ValueError: no such model, or one with other inputs or outputs.
    """
    import_tensorflow_quietly()  # else the first operation has TensorFlow talk about GPUs
    if callable(model):
        return CalledModel(model, categories_of(label_map, None))
    folder = find_saved_model(model)
    if folder is None or pipeline_config is not None:
        built = built_model.build(model, pipeline_config, min_image_size=min_image_size)
        spec = tf.TensorSpec([None, None, None, 3], tf.uint8, "input_tensor")
        categories = categories_of(label_map or built.label_map, Path(model))
        return LoadedModel(built.module.__call__, spec, categories, built.module, resizes=True)
    if min_image_size is not None:
        _check_resizer(folder)
    loaded = load_saved_model(folder)
    function, spec = _serving_function(loaded, folder)
    return LoadedModel(function, spec, categories_of(label_map, folder), loaded)


def find_saved_model(path):
    """The folder with saved_model.pb at or in `path`, or None."""
    for folder in (Path(path), Path(path) / "saved_model"):
        if (folder / "saved_model.pb").is_file():
            return folder
    return None


def categories_of(label_map, folder):
    """{id: name} from what the caller gave or what came with the model."""
    if isinstance(label_map, dict):
        return {int(k): name for k, name in label_map.items()}
    if label_map is None:
        if folder is None:
            return {}
        beside = [place / name for place in (folder, folder.parent) for name in _LABEL_MAPS]
        found = [*sorted((folder / "assets").glob("*.pbtxt")), *(p for p in beside if p.is_file())]
        if not found:
            return {}
        label_map = found[0]
    items = label_map_util.load_labelmap(str(label_map)).item
    return {item.id: item.display_name or item.name for item in items}


def _serving_function(model, folder):
    """The default signature and the spec of its one input."""
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
    """Raises ValueError where a SavedModel resizes every image, so that none can be enlarged."""
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
    """A serialized tf.Example that holds a PNG file."""
    features = {"image/encoded": encoded, "image/format": b"png"}
    features = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for key, value in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _png(image):
    return tf.io.encode_png(image).numpy()
