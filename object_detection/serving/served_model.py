"""One version of a model in memory: what it takes, and what it gives for a batch."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.example import example_pb2
from tensorflow.core.protobuf import saved_model_pb2

from object_detection.compat.checkpoint_files import load_saved_model
from object_detection.serving.limits import Refusal
from object_detection.utils import label_map_util

DEFAULT_SIGNATURE = "serving_default"
_NEEDED = {"num_detections", "detection_boxes", "detection_scores"}
# Outputs with a row for each image. A signature that gives others too, such as the inner tensors
# of `--export_raw`, gets the images of each request alone.
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
_LABEL_MAPS = ("label_map.pbtxt", "tf_label_map.pbtxt")  # the second: azoda's, beside saved_model/
_PROBE = 256  # pixels of the side of the image that models are tried with


class Signature(NamedTuple):
    """A way to call the model, with one input."""

    name: str
    function: object
    input_name: str
    dtype: tf.DType  # uint8 or float32 for pixels; string for encoded images or tf.Examples
    fixed_batch: int | None  # as TFOD's exports have it: 1
    mixes: bool  # whether images of several requests may go in together
    outputs: tuple  # names


class ServedModel:
    """A SavedModel, loaded and tried.

    Args:
        folder: with saved_model.pb.

    Raises:
        ValueError: no detection model, or one that fails at a black image.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._model = load_saved_model(folder)
        self.signatures, faults = {}, []
        for name, function in self._model.signatures.items():
            try:
                self.signatures[name] = _signature(name, function)
            except ValueError as fault:
                faults.append(f"signature {name} {fault}")
        if not self.signatures:
            why = "; ".join(faults) or "it has no signatures"
            raise ValueError(f"{folder} is no detection model: {why}")
        self.names = _names(self.folder)
        self.definitions = _definitions(self.folder)
        self.takes_examples = {
            name: self._try(signature) for name, signature in self.signatures.items()
        }

    def signature(self, name):
        """A `Signature` by its name, "" for the default; raises `Refusal` (400)."""
        if not name:
            default = DEFAULT_SIGNATURE in self.signatures
            name = DEFAULT_SIGNATURE if default else next(iter(self.signatures))
        if name not in self.signatures:
            raise Refusal(
                400, f"signature_name {name[:100]!r}; this model has: {', '.join(self.signatures)}"
            )
        return self.signatures[name]

    def run(self, name, rows):
        """Outputs {name: array} of a signature for rows [n, ...].

        Raises:
            Refusal: 400, the model refuses what it was given; 500, it failed.
        """
        signature = self.signatures[name]
        count, fixed = len(rows), signature.fixed_batch
        if fixed and count != fixed:
            rows = np.concatenate([rows, np.repeat(rows[-1:], fixed - count, axis=0)])
        try:
            # (Of a function: an array that is large is handed over without a copy.)
            outputs = signature.function(**{signature.input_name: tf.constant(rows)})
            outputs = {name: value.numpy() for name, value in outputs.items()}
        except UnicodeDecodeError:  # TensorFlow quotes bytes of the image in its message
            raise Refusal(400, "the model cannot read this image") from None
        except tf.errors.InvalidArgumentError as fault:
            raise Refusal(400, f"the model refuses this: {_first_line(fault)}") from None
        except tf.errors.OpError as fault:
            raise Refusal(500, f"the model failed: {_first_line(fault)}") from None
        if fixed and count != fixed:
            outputs = {name: value[:count] for name, value in outputs.items()}
        return outputs

    def _try(self, signature):
        """Runs a black image, so that a broken model is seen and the first request is no slower.

        Returns:
            Whether the signature takes tf.Examples, which it does not tell.
        """
        black = np.zeros([signature.fixed_batch or 1, _PROBE, _PROBE, 3], np.uint8)
        if signature.dtype != tf.string:
            self._checked(signature, black.astype(signature.dtype.as_numpy_dtype))
            return False
        png = tf.io.encode_png(black[0]).numpy()
        try:
            self._checked(signature, np.array([example_of(png)] * len(black), object))
        except ValueError:
            self._checked(signature, np.array([png] * len(black), object))
            return False
        return True

    def _checked(self, signature, rows):
        try:
            self.run(signature.name, rows)
        except Refusal as fault:
            raise ValueError(f"{self.folder}, signature {signature.name}: {fault}") from None


def example_of(encoded):
    """A serialized tf.Example of an image file."""
    example = example_pb2.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(encoded)
    return example.SerializeToString()


def image_in_example(serialized):
    """The image file in a serialized tf.Example; raises `Refusal` (400)."""
    try:
        feature = example_pb2.Example.FromString(serialized).features.feature["image/encoded"]
        return feature.bytes_list.value[0]
    except Exception:  # protobuf's own error, or no such value
        raise Refusal(
            400, "this model takes tf.Examples; this is none with image/encoded"
        ) from None


def saved_model_in(folder):
    """The folder with saved_model.pb at or in `folder`, or None."""
    for place in (Path(folder), Path(folder) / "saved_model"):
        if (place / "saved_model.pb").is_file():
            return place
    return None


def _signature(name, function):
    inputs = list(function.structured_input_signature[1].items())
    if len(inputs) != 1:
        raise ValueError(f"takes {len(inputs)} inputs, not one")
    missing = _NEEDED - set(function.structured_outputs)
    if missing:
        raise ValueError(f"does not give {', '.join(sorted(missing))}")
    input_name, spec = inputs[0]
    if spec.dtype not in (tf.uint8, tf.float32, tf.string):
        raise ValueError(f"takes {spec.dtype.name}; served are uint8, float32 and string")
    outputs = tuple(function.structured_outputs)
    fixed = spec.shape[0] if spec.shape.rank else None
    mixes = set(outputs) <= _BY_IMAGE
    return Signature(name, function, input_name, spec.dtype, fixed, mixes, outputs)


def _names(folder):
    """{id: name} of the label map that travels with a model; empty without one."""
    beside = [place / name for place in (folder, folder.parent) for name in _LABEL_MAPS]
    found = [*sorted((folder / "assets").glob("*.pbtxt")), *(p for p in beside if p.is_file())]
    if not found:
        return {}
    items = label_map_util.load_labelmap(str(found[0])).item
    return {item.id: item.display_name or item.name for item in items}


def _definitions(folder):
    """{name: SignatureDef} of the signatures, for those who ask for metadata."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = next(graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags)
    return dict(graph.signature_def)


def _first_line(fault):
    return str(getattr(fault, "message", fault)).partition("\n")[0][:300]
