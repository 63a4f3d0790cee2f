"""maskrcnn-benchmark's COCODemo, based on our `Predictor`: detects objects and draws them."""

import contextlib
import logging

import numpy as np
import tensorflow as tf

from object_detection.config import pipeline_file
from object_detection.errors import ImageError, SettingsError
from object_detection.integrations import demo_model
from object_detection.prediction import video
from object_detection.training.tensorflow_start import import_tensorflow_quietly

# Names of COCO's classes by the numbers of maskrcnn-benchmark, which have no gaps.
CATEGORIES = ["__background"] + (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
    "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,"
    "baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,"
    "bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,"
    "oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
).split(",")


class BoxList:
    """Objects of one image, with the interface of maskrcnn-benchmark and numpy in place of torch.

    Args:
        prediction: `Prediction`.
        heat_maps: whether the field `mask` has probabilities, float32 in 0..1, instead of bool.

    Attributes:
        prediction: the `Prediction`.
        bbox: [n, (xmin, ymin, xmax, ymax)] float32 pixels.
        size: (width, height) of the image.
        mode: "xyxy".
    """

    mode = "xyxy"

    def __init__(self, prediction, heat_maps=False):
        self.prediction, self._heat_maps = prediction, heat_maps
        self.bbox = prediction.boxes[:, [1, 0, 3, 2]]
        self.size = prediction.width, prediction.height

    def __len__(self):
        """Return the number of objects."""
        return len(self.prediction)

    def __getitem__(self, index):
        """Select objects by an index, a slice, indices or booleans."""
        index = [index] if isinstance(index, (int, np.integer)) else index
        return BoxList(self.prediction.select(index), self._heat_maps)

    def fields(self):
        """Return the names for `get_field`."""
        return ["labels", "scores", *(["mask"] if self.prediction.has_masks else [])]

    def has_field(self, field):
        """Return whether `get_field` has a field: a model without masks has no `mask`."""
        return field in self.fields()

    def get_field(self, field):
        """Return `labels` [n] int32, `scores` [n] float32, or `mask` [n, 1, height, width].

        Masks are large and made on request.

        Raises:
            KeyError: another field.
        """
        if not self.has_field(field):
            raise KeyError(f"there is no field {field!r}; available: {', '.join(self.fields())}")
        if field != "mask":
            return self.prediction.classes if field == "labels" else self.prediction.scores
        masks = [self.mask(index) for index in range(len(self))]
        kind = np.float32 if self._heat_maps else bool
        return np.array(masks, kind).reshape(len(self), 1, *self.size[::-1])

    def mask(self, index):
        """Return the mask [height, width] of one object as `get_field` does; None without masks."""
        if self._heat_maps:
            return self.prediction.heat_map(index)
        return self.prediction.full_mask(index)

    def __repr__(self):
        """Return the text of maskrcnn-benchmark."""
        width, height = self.size
        return (
            f"BoxList(num_boxes={len(self)}, image_width={width}, image_height={height}, mode=xyxy)"
        )


_OPENCV_FOR = "COCODemo's pictures"
_MASK_LINE, _BOX_LINE = 3, 1  # pixels

_log = logging.getLogger(__name__)


class _Unset(int):
    """Default number of a signature that has no effect unless passed."""


class COCODemo:
    """Detector that draws its detections; images have OpenCV's channels (blue, green, red).

    Args:
        cfg: the path of a pipeline.config next to its weights; the folder of an exported model, or
            weights in any format of `Predictor`; or an object with MODEL and INPUT as in
            maskrcnn-benchmark, whose MODEL.WEIGHT is one of these folders. Only the sizes and
            thresholds of such an object are used (`demo_model.KEYS`, INPUT.MIN_SIZE_TEST and
            MAX_SIZE_TEST), MASK_ON and DEVICE; the rest describes a network of its own.
        confidence_threshold: minimum score of drawn objects, exclusive, 0..1.
        show_mask_heatmaps: draw the mask probabilities of the best objects instead.
        masks_per_dim: number of rows and columns of these.
        min_image_size: shorter side in pixels of the network's input. Default: the sizes of cfg,
            else those of the model. (224 is maskrcnn-benchmark's default, which it did not use.)
        weight_loading: weights that replace those of cfg.

    Attributes:
        CATEGORIES: names by class number, that of the background first: those of the model's label
            map; without one COCO's 80, if the model has 80 classes. A subclass may have others.
        predictor, model: the `Predictor`.
        config: the pipeline.config of the model; None for a SavedModel without one.

    Raises:
        ObjectDetectionError: no such model, unsupported weights, or a value out of range.
    """

    CATEGORIES = CATEGORIES

    def __init__(
        self,
        cfg,
        confidence_threshold=0.7,
        show_mask_heatmaps=False,
        masks_per_dim=2,
        min_image_size=_Unset(224),  # noqa: B008  (a number)
        weight_loading=None,
    ):
        if not 0 <= confidence_threshold <= 1:
            raise SettingsError(
                f"confidence_threshold must be between 0 and 1, got {confidence_threshold}"
            )
        if masks_per_dim < 1:
            raise SettingsError(f"masks_per_dim must be at least 1, got {masks_per_dim}")
        import_tensorflow_quietly()
        size = None if isinstance(min_image_size, _Unset) else min_image_size
        source = demo_model.read_cfg(cfg, weight_loading)
        self.cfg = cfg
        self.confidence_threshold = confidence_threshold
        self.show_mask_heatmaps = show_mask_heatmaps
        self.masks_per_dim = masks_per_dim
        self.min_image_size = size
        self.palette = np.array([2**25 - 1, 2**15 - 1, 2**21 - 1])
        self._on_cpu, self._with_masks = source.device == "cpu", source.with_masks
        if source.device == "cuda" and not tf.config.list_physical_devices("GPU"):
            _log.warning("MODEL.DEVICE is cuda, but TensorFlow finds no GPU: using the CPU.")
        with self._device():
            opened = demo_model.open_model(source, size)
        self.predictor = self.model = opened.predictor
        self.config = opened.config
        self.transforms = self.build_transform()
        if type(self).CATEGORIES is COCODemo.CATEGORIES:
            self.CATEGORIES = _names(opened)

    def build_transform(self):
        """Return a function from a BGR image to the model's input: RGB, of the same size.

        Resizing and normalization are part of the model.
        """
        return _as_rgb

    def run_on_opencv_image(self, image):
        """Return a copy of an image with its detections drawn, or the montage of heat maps.

        Args:
            image: uint8 [h, w, 3], blue first.

        Returns:
            uint8 [h, w, 3], blue first (a montage may be a few pixels smaller).

        Raises:
            SettingsError: the image is invalid, or OpenCV is not installed.
        """
        top = self.select_top_predictions(self.compute_prediction(image))
        drawn = image.copy()
        if self.show_mask_heatmaps:
            return self.create_mask_montage(drawn, top)
        drawn = self.overlay_boxes(drawn, top)
        if self._with_masks and top.has_field("mask"):
            drawn = self.overlay_mask(drawn, top)
        return self.overlay_class_names(drawn, top)

    def compute_prediction(self, original_image):
        """Return all detections of the model in a BGR image as a `BoxList`, in pixels."""
        with self._device():
            prediction = self.predictor.predict(self.transforms(original_image))
        return BoxList(prediction, heat_maps=self.show_mask_heatmaps)

    def select_top_predictions(self, predictions):
        """Select the objects with scores above the threshold, the best first."""
        scores = predictions.get_field("scores")
        order = np.argsort(-scores, kind="stable")
        return predictions[order[scores[order] > self.confidence_threshold]]

    def compute_colors_for_labels(self, labels):
        """Return a fixed color for each class number: uint8 [n, 3], blue first."""
        labels = np.asarray(labels, np.int64).reshape(-1, 1)
        return (labels * self.palette % 255).astype(np.uint8)

    def overlay_boxes(self, image, predictions):
        """Draw boxes, one pixel wide, in the colors of the classes into `image`, and return it."""
        cv2 = video.opencv(_OPENCV_FOR)
        for box, color in self._colored(predictions, predictions.bbox):
            left, top, right, bottom = (int(side) for side in box)
            cv2.rectangle(image, (left, top), (right, bottom), color, _BOX_LINE)
        return image

    def overlay_mask(self, image, predictions):
        """Draw the outlines of masks, three pixels wide, into `image`, and return it.

        Raises:
            SettingsError: the model has no masks.
        """
        cv2 = video.opencv(_OPENCV_FOR)
        self._check_masks(predictions)
        for index, color in self._colored(predictions, range(len(predictions))):
            crop = predictions.prediction.crop(index)
            if not crop.pixels.any():
                continue
            contours = cv2.findContours(
                crop.pixels.astype(np.uint8),
                cv2.RETR_TREE,
                cv2.CHAIN_APPROX_SIMPLE,
                offset=(crop.left, crop.top),
            )
            cv2.drawContours(image, contours[-2], -1, color, _MASK_LINE)
        return image

    def overlay_keypoints(self, image, predictions):
        """Raise ValueError: no model of this project has keypoints."""
        raise SettingsError("models of this project detect boxes and masks, not keypoints")

    def overlay_class_names(self, image, predictions):
        """Write names and scores at the boxes' corners into `image`, and return it."""
        cv2 = video.opencv(_OPENCV_FOR)
        scores, labels = predictions.get_field("scores"), predictions.get_field("labels")
        for box, score, label in zip(predictions.bbox, scores, labels, strict=True):
            text, corner = f"{self.name_of(label)}: {score:.2f}", (int(box[0]), int(box[1]))
            cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
        return image

    def create_mask_montage(self, image, predictions):
        """Return the mask probabilities of the best objects over the whole image, in a grid.

        Args:
            image: [h, w, 3]; only its size is used.
            predictions: a `BoxList`.

        Returns:
            uint8 [h', w', 3], blue first: blue for 0 to red for 1, also without objects. Its
            sides are those of the image, rounded down to multiples of `masks_per_dim`.

        Raises:
            SettingsError: the model has no masks.
        """
        cv2 = video.opencv(_OPENCV_FOR)
        self._check_masks(predictions)
        count = self.masks_per_dim
        height, width = (max(1, side // count) for side in image.shape[:2])
        heat = np.zeros([count * height, count * width], np.uint8)
        for index in range(min(count**2, len(predictions))):
            whole = predictions.prediction.heat_map(index)
            small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
            row, column = divmod(index, count)
            rows = slice(row * height, (row + 1) * height)
            columns = slice(column * width, (column + 1) * width)
            heat[rows, columns] = np.rint(255 * np.clip(small, 0, 1))
        return cv2.applyColorMap(heat, cv2.COLORMAP_JET)

    def name_of(self, label):
        """Return the name of a class number."""
        known = 0 <= label < len(self.CATEGORIES) and self.CATEGORIES[label]
        return known or f"class {int(label)}"

    def write_config(self, folder):
        """Write the pipeline.config of the model, for the commands of this project.

        Returns:
            Its path.

        Raises:
            SettingsError: a SavedModel without a pipeline.config.
        """
        if self.config is None:
            raise SettingsError(f"{self.cfg} has no pipeline.config")
        return pipeline_file.save(self.config, folder)

    def _device(self):
        return tf.device("/CPU:0") if self._on_cpu else contextlib.nullcontext()

    def _colored(self, predictions, values):
        colors = self.compute_colors_for_labels(predictions.get_field("labels")).tolist()
        return zip(values, colors, strict=True)

    def _check_masks(self, predictions):
        if not predictions.has_field("mask"):
            raise SettingsError("this model has no masks: its config has no mask head")


def _as_rgb(image):
    """Convert uint8 [h, w, 3] of OpenCV to red first; raise ImageError for anything else."""
    if image is None:
        raise ImageError("the image is None: cv2.imread returns None for a file it cannot read")
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"{image.dtype} {list(image.shape)}" if hasattr(image, "shape") else type(image)
        raise ImageError(
            "the image must be a result of cv2.imread, uint8 [height, width, 3] with blue first; "
            f"got {what}"
        )
    if not image.size:
        raise ImageError(f"the image has no pixels: {list(image.shape)}")
    return np.ascontiguousarray(image[..., ::-1])


def _names(opened):
    """Return the names by class number, "" for unused numbers."""
    known = opened.predictor.categories
    if known:
        return ["__background", *(known.get(k, "") for k in range(1, max(known) + 1))]
    return list(CATEGORIES) if opened.num_classes == len(CATEGORIES) - 1 else ["__background"]
