"""An exported model for Python: image in, boxes, names, scores and masks out."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from object_detection.ops import paste
from object_detection.prediction import built_model, pixels
from object_detection.utils import label_map_util


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a model found in one image, the best first."""

    boxes: np.ndarray  # [d, 4] float32 (ymin, xmin, ymax, xmax) pixels of the image
    scores: np.ndarray  # [d] float32 0..1
    classes: np.ndarray  # [d] int32, ids of the label map
    names: Sequence[str]  # d names from the label map; "class 3" where it has none
    height: int  # of the image, upright
    width: int
    box_masks: np.ndarray | None = None  # [d, M, M] probabilities inside each box

    def __len__(self):
        """How many objects were found."""
        return len(self.boxes)

    def full_mask(self, index, height=None, width=None):
        """The mask of one object as bool [height, width] (the image's), None without masks."""
        if self.box_masks is None:
            return None
        size = (height or self.height, width or self.width)
        return paste.paste_mask(self.box_masks[index], self.boxes[index], *size) > 0.5

    def full_masks(self):
        """All masks as bool [d, height, width], None without masks. Large; prefer `rles`."""
        if self.box_masks is None:
            return None
        masks = np.zeros([len(self.boxes), self.height, self.width], bool)
        for k in range(len(masks)):
            masks[k] = self.full_mask(k)
        return masks

    def rles(self):
        """All masks at the image's size as COCO RLEs (`counts` in bytes), None without masks."""
        if self.box_masks is None:
            return None
        return paste.encode_masks(self.box_masks, self.boxes, self.height, self.width)


class Predictor:
    """Runs a SavedModel, ours or one that TFOD exported; or weights in any other form.

    Args:
        saved_model: the folder with saved_model.pb, or an export with `saved_model/` in it. Else
            weights as `compat.checkpoint_files.open_stored` takes them (a checkpoint, a frozen
            graph, a zoo archive), whose network is built from their config.
        label_map: path of a label map, or {id: name}. None takes the one in the model's assets,
            a label_map.pbtxt beside it, or of weights the one that their config names; without
            any, classes are named by their number.
        min_score: detections below are left out.
        max_detections: at most so many of the best are kept; None keeps all.
        warm_up: run the model once at the start, so that the first image does not wait.
        pipeline_config: path of the config of weights; None takes the one that lies with them.

    Raises:
        ValueError: no such model, or one with other inputs or outputs.
    """

    def __init__(
        self,
        saved_model,
        *,
        label_map=None,
        min_score=0.0,
        max_detections=None,
        warm_up=True,
        pipeline_config=None,
    ):
        self.min_score = min_score
        self.max_detections = max_detections
        folder = find_saved_model(saved_model)
        if folder is None or pipeline_config is not None:
            built = built_model.build(saved_model, pipeline_config)
            self._model = built.module
            self._function = self._model.__call__
            self._input = tf.TensorSpec([None, None, None, 3], tf.uint8, "input_tensor")
            folder, label_map = Path(saved_model), label_map or built.label_map
        else:
            self._model = tf.saved_model.load(str(folder))
            self._function, self._input = _serving_function(self._model, folder)
        self.categories = _categories(label_map, folder)
        if warm_up:
            self.predict(np.zeros([256, 256, 3], np.uint8))

    @property
    def category_index(self):
        """{id: {"id": id, "name": name}}, as TFOD's drawing functions take it."""
        return {k: {"id": k, "name": name} for k, name in self.categories.items()}

    def predict(self, image):
        """Finds objects in one image.

        Args:
            image: a path, a PIL image or an array; see `pixels.read`.

        Returns:
            `Prediction` in pixels of the upright image.
        """
        image = pixels.read(image)
        height, width = image.shape[:2]
        outputs = self._run(image)
        count = int(outputs["num_detections"][0])
        scores = outputs["detection_scores"][0, :count].numpy()
        kept = np.flatnonzero(scores >= self.min_score)[: self.max_detections]
        boxes = outputs["detection_boxes"][0].numpy()[kept]
        if "detection_classes" in outputs:
            classes = outputs["detection_classes"][0].numpy()[kept].astype(np.int32)
        else:  # a model of one stage proposes regions without a class
            classes = np.ones(len(kept), np.int32)
        masks = outputs.get("detection_masks")
        return Prediction(
            boxes=boxes * np.array([height, width, height, width], np.float32),
            scores=scores[kept],
            classes=classes,
            names=tuple(self.categories.get(int(k), f"class {k}") for k in classes),
            height=height,
            width=width,
            box_masks=None if masks is None else masks[0].numpy()[kept],
        )

    def _run(self, image):
        """The model's outputs for uint8 [h, w, 3], whatever it takes."""
        if self._input.dtype != tf.string:
            batch = tf.cast(image[np.newaxis], self._input.dtype)
            return self._function(**{self._input.name: batch})
        return self._function(**{self._input.name: self._wrap(image)})

    @functools.cached_property
    def _takes_examples(self):
        """Whether a model that takes strings wants tf.Examples; a signature does not tell."""
        probe = tf.constant([_example(_png(np.zeros([32, 32, 3], np.uint8)))])
        try:
            self._function(**{self._input.name: probe})
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError):
            return False  # (TensorFlow's message may quote the bytes and then fails to decode)
        return True

    def _wrap(self, image):
        encoded = _png(image)
        return tf.constant([_example(encoded) if self._takes_examples else encoded])


def find_saved_model(path):
    """The folder with saved_model.pb at or in `path`, or None."""
    for folder in (Path(path), Path(path) / "saved_model"):
        if (folder / "saved_model.pb").is_file():
            return folder
    return None


def _categories(label_map, folder):
    """{id: name} from what the caller gave or what came with the model."""
    if isinstance(label_map, dict):
        return {int(k): name for k, name in label_map.items()}
    if label_map is None:
        beside = [folder / "label_map.pbtxt", folder.parent / "label_map.pbtxt"]
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
    missing = {"num_detections", "detection_boxes", "detection_scores"} - set(
        signature.structured_outputs
    )
    if missing:
        raise ValueError(
            f"{folder} is no detection model: it does not give {', '.join(sorted(missing))}."
        )
    name, spec = inputs[0]
    return signature, tf.TensorSpec(spec.shape, spec.dtype, name)


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
