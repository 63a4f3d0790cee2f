"""One version of a model in memory, with its signatures."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.example import example_pb2
from tensorflow.core.protobuf import saved_model_pb2

from object_detection.checkpoints.open import load_saved_model
from object_detection.errors import CheckpointError
from object_detection.serving.limits import RequestError
from object_detection.utils import label_map_util

DEFAULT_SIGNATURE = "serving_default"
_NEEDED = {"num_detections", "detection_boxes", "detection_scores"}
# Outputs with a row for each image. A signature with others as well, such as the internal tensors
# of `--export_raw`, is never called with images of several requests.
_BY_IMAGE = _NEEDED | {
    "cropped_rpn_box_features",
    "detection_anchor_indices",
    "detection_classes",
    "detection_features",
    "detection_keypoints",
    "detection_masks",
    "detection_masks_reframed",
    "detection_masks_rle",
    "detection_multiclass_scores",
    "raw_detection_boxes",
    "raw_detection_scores",
}
_LABEL_MAPS = ("label_map.pbtxt", "tf_label_map.pbtxt")  # the second: azoda's, next to saved_model/
_PROBE = 256  # side in pixels of the image for the trial run


class Signature(NamedTuple):
    """Signature of a model, with one input."""

    name: str
    function: object
    input_name: str
    dtype: tf.DType  # uint8 or float32 for pixels; string for encoded images or tf.Examples
    fixed_batch: int | None  # as TFOD's exports have it: 1
    mixes: bool  # whether a batch may hold images of several requests
    outputs: tuple  # names


class ServedModel:
    """SavedModel, loaded and run once.

    Args:
        folder: with saved_model.pb.

    Raises:
        CheckpointError: not a detection model, or it fails for a black image.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._model = load_saved_model(folder)
        self.signatures, errors = {}, []
        for name, function in self._model.signatures.items():
            try:
                self.signatures[name] = _signature(name, function)
            except ValueError as error:
                errors.append(f"signature {name} {error}")
        if not self.signatures:
            why = "; ".join(errors) or "it has no signatures"
            raise CheckpointError(f"{folder} is not a detection model: {why}")
        self.names = _names(self.folder)
        self.definitions = _definitions(self.folder)
        self.takes_examples = {
            name: self._try(signature) for name, signature in self.signatures.items()
        }

    def signature(self, name):
        """Return a `Signature` by name, "" for the default; raise `RequestError` (400)."""
        if not name:
            default = DEFAULT_SIGNATURE in self.signatures
            name = DEFAULT_SIGNATURE if default else next(iter(self.signatures))
        if name not in self.signatures:
            raise RequestError(
                400, f"signature_name {name[:100]!r}; this model has: {', '.join(self.signatures)}"
            )
        return self.signatures[name]

    def run(self, name, rows):
        """Return the outputs {name: array} of a signature for rows [n, ...].

        Raises:
            RequestError: 400, the model rejects its input; 500, it fails.
        """
        signature = self.signatures[name]
        count, fixed = len(rows), signature.fixed_batch
        if fixed and count != fixed:
            rows = np.concatenate([rows, np.repeat(rows[-1:], fixed - count, axis=0)])
        try:
            # `tf.constant` hands over large arrays without a copy.
            outputs = signature.function(**{signature.input_name: tf.constant(rows)})
            outputs = {name: value.numpy() for name, value in outputs.items()}
        except UnicodeDecodeError:  # TensorFlow quotes bytes of the image in its message
            raise RequestError(400, "the model cannot read this image") from None
        except tf.errors.InvalidArgumentError as error:
            raise RequestError(400, f"the model rejects this input: {_first_line(error)}") from None
        except tf.errors.OpError as error:
            raise RequestError(500, f"the model failed: {_first_line(error)}") from None
        if fixed and count != fixed:
            outputs = {name: value[:count] for name, value in outputs.items()}
        return outputs

    def _try(self, signature):
        """Run a black image: it reveals a broken model and makes the first request faster.

        Returns:
            Whether the signature takes tf.Examples, which its type does not show.
        """
        black = np.zeros([signature.fixed_batch or 1, _PROBE, _PROBE, 3], np.uint8)
        if signature.dtype != tf.string:
            self._check(signature, black.astype(signature.dtype.as_numpy_dtype))
            return False
        png = tf.io.encode_png(black[0]).numpy()
        try:
            self._check(signature, np.array([serialize_example(png)] * len(black), object))
        except ValueError:
            self._check(signature, np.array([png] * len(black), object))
            return False
        return True

    def _check(self, signature, rows):
        try:
            self.run(signature.name, rows)
        except RequestError as error:
            raise CheckpointError(f"{self.folder}, signature {signature.name}: {error}") from None


def serialize_example(encoded):
    """Return a serialized tf.Example of an image file."""
    example = example_pb2.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(encoded)
    return example.SerializeToString()


def image_from_example(serialized):
    """Return the image file in a serialized tf.Example; raise `RequestError` (400)."""
    try:
        feature = example_pb2.Example.FromString(serialized).features.feature["image/encoded"]
        return feature.bytes_list.value[0]
    except Exception:  # protobuf's own error, or no such value
        raise RequestError(
            400, "this model takes tf.Examples with image/encoded; got something else"
        ) from None


def saved_model_in(folder):
    """Return the folder with saved_model.pb at or in `folder`, or None."""
    for candidate in (Path(folder), Path(folder) / "saved_model"):
        if (candidate / "saved_model.pb").is_file():
            return candidate
    return None


def _signature(name, function):
    inputs = list(function.structured_input_signature[1].items())
    if len(inputs) != 1:
        raise CheckpointError(f"takes {len(inputs)} inputs, not one")
    missing = _NEEDED - set(function.structured_outputs)
    if missing:
        raise CheckpointError(f"lacks the outputs {', '.join(sorted(missing))}")
    input_name, spec = inputs[0]
    if spec.dtype not in (tf.uint8, tf.float32, tf.string):
        raise CheckpointError(f"takes {spec.dtype.name}; supported: uint8, float32 and string")
    outputs = tuple(function.structured_outputs)
    fixed = spec.shape[0] if spec.shape.rank else None
    mixes = set(outputs) <= _BY_IMAGE
    return Signature(name, function, input_name, spec.dtype, fixed, mixes, outputs)


def _names(folder):
    """Return {id: name} of the label map in a model's folder; empty without one."""
    candidates = [parent / name for parent in (folder, folder.parent) for name in _LABEL_MAPS]
    candidates = filter(Path.is_file, candidates)
    paths = [*sorted((folder / "assets").glob("*.pbtxt")), *candidates]
    if not paths:
        return {}
    items = label_map_util.load_labelmap(str(paths[0])).item
    return {item.id: item.display_name or item.name for item in items}


def _definitions(folder):
    """Return {name: SignatureDef} of the signatures, for metadata."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = next(graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags)
    return dict(graph.signature_def)


def _first_line(error):
    return str(getattr(error, "message", error)).partition("\n")[0][:300]
