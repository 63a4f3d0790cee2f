"""maskrcnn-benchmark's COCODemo over our Predictor: one object that looks at images and draws."""

import contextlib
import logging

import numpy as np
import tensorflow as tf

from object_detection.config import pipeline_file
from object_detection.integrations import demo_model
from object_detection.integrations.box_list import BoxList
from object_detection.integrations.coco_categories import CATEGORIES
from object_detection.prediction import video
from object_detection.training import quiet

_OPENCV_FOR = "COCODemo's pictures"
_MASK_LINE, _BOX_LINE = 3, 1  # pixels

_log = logging.getLogger(__name__)


class _NotGiven(int):
    """A number in a signature that counts for nothing unless somebody gives one."""


class COCODemo:
    """Looks at images in OpenCV's order of channels (blue, green, red) and draws what it finds.

    Args:
        cfg: the path of a pipeline.config beside its weights; the folder of an exported model, or
            weights in any form that `Predictor` takes; or an object with MODEL and INPUT as
            maskrcnn-benchmark has it, whose MODEL.WEIGHT is one of these folders. Of such an
            object its sizes and thresholds hold (`demo_model.KEYS`, INPUT.MIN_SIZE_TEST and
            MAX_SIZE_TEST), MASK_ON and DEVICE; the rest describes a network of its own.
        confidence_threshold: what scores no more is not drawn, 0..1.
        show_mask_heatmaps: draw the mask probabilities of the best objects instead.
        masks_per_dim: how many of these stand side by side, and below each other.
        min_image_size: pixels of the shorter side that the network sees. Without it the sizes of
            cfg hold, else those of the model. (224 is maskrcnn-benchmark's, which did not use it.)
        weight_loading: weights that take the place of those of cfg.

    Attributes:
        CATEGORIES: names by class number, that of the background first: those of the model's label
            map; without one COCO's 80, if the model has so many. A subclass may have others.
        predictor, model: the `Predictor`.
        config: the pipeline.config that it runs by; None for a SavedModel without one.

    Raises:
        ValueError: no such model, foreign weights, or a value out of its range.
    """

    CATEGORIES = CATEGORIES

    def __init__(
        self,
        cfg,
        confidence_threshold=0.7,
        show_mask_heatmaps=False,
        masks_per_dim=2,
        min_image_size=_NotGiven(224),  # noqa: B008  (a number)
        weight_loading=None,
    ):
        if not 0 <= confidence_threshold <= 1:
            raise ValueError(
                f"confidence_threshold must lie between 0 and 1, got {confidence_threshold}"
            )
        if masks_per_dim < 1:
            raise ValueError(f"masks_per_dim must be at least 1, got {masks_per_dim}")
        quiet.start_tensorflow()
        given = None if isinstance(min_image_size, _NotGiven) else min_image_size
        source = demo_model.source_of(cfg, weight_loading)
        self.cfg = cfg
        self.confidence_threshold = confidence_threshold
        self.show_mask_heatmaps = show_mask_heatmaps
        self.masks_per_dim = masks_per_dim
        self.min_image_size = given
        self.palette = np.array([2**25 - 1, 2**15 - 1, 2**21 - 1])
        self._on_cpu, self._with_masks = source.device == "cpu", source.with_masks
        if source.device == "cuda" and not tf.config.list_physical_devices("GPU"):
            _log.warning("MODEL.DEVICE is cuda, and TensorFlow sees no GPU: the CPU is used.")
        with self._device():
            opened = demo_model.open_model(source, given)
        self.predictor = self.model = opened.predictor
        self.config = opened.config
        self.transforms = self.build_transform()
        if type(self).CATEGORIES is COCODemo.CATEGORIES:
            self.CATEGORIES = _names(opened)

    def build_transform(self):
        """A function of a BGR image that gives it as the model takes it: RGB, of its own size.

        Resizing and normalization are the model's own.
        """
        return _as_rgb

    def run_on_opencv_image(self, image):
        """A copy of an image with what was found drawn in, or the montage of heat maps.

        Args:
            image: uint8 [h, w, 3], blue first.

        Returns:
            uint8 [h, w, 3], blue first (of a montage a few pixels less).

        Raises:
            ValueError: no such image, or OpenCV is not installed.
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
        """Everything that the model finds in a BGR image, in its pixels: a `BoxList`."""
        with self._device():
            prediction = self.predictor.predict(self.transforms(original_image))
        return BoxList(prediction, heat_maps=self.show_mask_heatmaps)

    def select_top_predictions(self, predictions):
        """What scores more than the threshold, the best first."""
        scores = predictions.get_field("scores")
        order = np.argsort(-scores, kind="stable")
        return predictions[order[scores[order] > self.confidence_threshold]]

    def compute_colors_for_labels(self, labels):
        """A colour for each class number that is always the same: uint8 [n, 3], blue first."""
        labels = np.asarray(labels, np.int64).reshape(-1, 1)
        return (labels * self.palette % 255).astype(np.uint8)

    def overlay_boxes(self, image, predictions):
        """Draws boxes of one pixel in the colours of the classes into `image`, and returns it."""
        cv2 = video.opencv(_OPENCV_FOR)
        for box, color in self._colored(predictions, predictions.bbox):
            left, top, right, bottom = (int(side) for side in box)
            cv2.rectangle(image, (left, top), (right, bottom), color, _BOX_LINE)
        return image

    def overlay_mask(self, image, predictions):
        """Draws the borders of masks, three pixels wide, into `image`, and returns it.

        Raises:
            ValueError: the model gives no masks.
        """
        cv2 = video.opencv(_OPENCV_FOR)
        self._check_masks(predictions)
        for place, color in self._colored(predictions, range(len(predictions))):
            crop = predictions.prediction.crop(place)
            if not crop.pixels.any():
                continue
            found = cv2.findContours(
                crop.pixels.astype(np.uint8),
                cv2.RETR_TREE,
                cv2.CHAIN_APPROX_SIMPLE,
                offset=(crop.left, crop.top),
            )
            cv2.drawContours(image, found[-2], -1, color, _MASK_LINE)
        return image

    def overlay_keypoints(self, image, predictions):
        """Raises ValueError: no model of this project finds keypoints."""
        raise ValueError("models of this project find boxes and masks, and no keypoints")

    def overlay_class_names(self, image, predictions):
        """Writes names and scores at the boxes' corners into `image`, and returns it."""
        cv2 = video.opencv(_OPENCV_FOR)
        scores, labels = predictions.get_field("scores"), predictions.get_field("labels")
        for box, score, label in zip(predictions.bbox, scores, labels, strict=True):
            text, corner = f"{self.name_of(label)}: {score:.2f}", (int(box[0]), int(box[1]))
            cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
        return image

    def create_mask_montage(self, image, predictions):
        """The mask probabilities of the best objects over the whole image, in a grid.

        Args:
            image: of which the size is taken, [h, w, 3].
            predictions: a `BoxList`.

        Returns:
            uint8 [h', w', 3], blue first: blue for 0 to red for 1, also where no object is. Its
            sides are those of the image, rounded down to multiples of `masks_per_dim`.

        Raises:
            ValueError: the model gives no masks.
        """
        cv2 = video.opencv(_OPENCV_FOR)
        self._check_masks(predictions)
        count = self.masks_per_dim
        height, width = (max(1, side // count) for side in image.shape[:2])
        heat = np.zeros([count * height, count * width], np.uint8)
        for place in range(min(count**2, len(predictions))):
            whole = predictions.prediction.heat_map(place)
            small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
            row, column = divmod(place, count)
            rows = slice(row * height, (row + 1) * height)
            columns = slice(column * width, (column + 1) * width)
            heat[rows, columns] = np.rint(255 * np.clip(small, 0, 1))
        return cv2.applyColorMap(heat, cv2.COLORMAP_JET)

    def name_of(self, label):
        """The name of a class number."""
        known = 0 <= label < len(self.CATEGORIES) and self.CATEGORIES[label]
        return known or f"class {int(label)}"

    def write_config(self, folder):
        """Writes the pipeline.config by which the model runs, to go on with our own commands.

        Returns:
            Its path.

        Raises:
            ValueError: a SavedModel without one.
        """
        if self.config is None:
            raise ValueError(f"there is no pipeline.config with {self.cfg}")
        return pipeline_file.save(self.config, folder)

    def _device(self):
        return tf.device("/CPU:0") if self._on_cpu else contextlib.nullcontext()

    def _colored(self, predictions, values):
        colors = self.compute_colors_for_labels(predictions.get_field("labels")).tolist()
        return zip(values, colors, strict=True)

    def _check_masks(self, predictions):
        if not predictions.has_field("mask"):
            raise ValueError("this model gives no masks: its config has no mask head")


def _as_rgb(image):
    """uint8 [h, w, 3] of OpenCV with red first; raises ValueError for anything else."""
    if image is None:
        raise ValueError("the image is None: cv2.imread gives that for a file it cannot read")
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"{image.dtype} {list(image.shape)}" if hasattr(image, "shape") else type(image)
        raise ValueError(
            "the image must be what cv2.imread gives, uint8 [height, width, 3] with blue first; "
            f"got {what}"
        )
    if not image.size:
        raise ValueError(f"the image has no pixel: {list(image.shape)}")
    return np.ascontiguousarray(image[..., ::-1])


def _names(opened):
    """Names by class number, "" where there is none."""
    known = opened.predictor.categories
    if known:
        return ["__background", *(known.get(k, "") for k in range(1, max(known) + 1))]
    return list(CATEGORIES) if opened.num_classes == len(CATEGORIES) - 1 else ["__background"]
