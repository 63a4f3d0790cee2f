"""Inference by a Supervisely JSON: over a project, or as a server with POST /annotate."""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging
from PIL import Image
from tqdm import tqdm

from object_detection.datasets import checking
from object_detection.datasets.formats import supervisely
from object_detection.errors import AnnotationError
from object_detection.integrations.supervisely import project
from object_detection.integrations.supervisely.project import write_json
from object_detection.integrations.supervisely.settings import (
    ALL,
    BBOXES,
    EXPORT,
    ROI,
    WINDOWS,
    WINDOWS_DET,
    read_infer_settings,
    select_devices,
)
from object_detection.metrics import overlaps
from object_detection.prediction import pixels
from object_detection.prediction.modes import (
    FullImage,
    GivenBoxes,
    RegionOfInterest,
    SlidingWindow,
)
from object_detection.prediction.predictor import Predictor
from object_detection.prediction.writers import rectangle_object, supervisely_object
from object_detection.utils import visualization_utils

_PLACES = ("left", "top", "right", "bottom")


class ImageResult(NamedTuple):
    """Result for one image."""

    objects: list  # as in annotations
    prediction: object  # `Prediction`, or None if the model was not run
    empty: int  # objects left out because their masks have no pixel


class Annotator:
    """Model that annotates images as an inference JSON says.

    Args:
        settings: `Settings` of the JSON.
        model: folder of a result of ours, or another model of `Predictor`.
        label_map: as for `Predictor`.

    Raises:
        SettingsError: classes that the model does not have.
        ObjectDetectionError: the model cannot be loaded.
    """

    def __init__(self, settings, model, label_map=None):
        self.settings = settings
        self._mode, self._model = settings.values["mode"], settings.values["model"]
        exported = Path(str(model)) / EXPORT
        self.predictor = Predictor(
            exported if exported.is_dir() else model,
            confidence_threshold=self._model["min_confidence_threshold"],
            mode=prediction_mode(self._mode),
            class_suffix=self._mode["model_classes"]["add_suffix"],
            label_map=label_map,
        )
        self.kept = self._kept()
        self.tag = self._tag()

    @property
    def titles(self):
        """Titles of the classes of objects, with their suffix."""
        suffix = self._mode["model_classes"]["add_suffix"]
        return [name + suffix for name in self.kept]

    def annotate_image(self, pixels, name, boxes=()):
        """Annotate an image.

        Args:
            pixels: uint8 [h, w, 3].
            name: of the image, for messages.
            boxes: (title, (ymin, xmin, ymax, xmax)) of the objects of mode bboxes.

        Returns:
            `ImageResult`; its objects are those of the regions, if the JSON says to save them, and
            those of the model.

        Raises:
            SettingsError: a window is larger than the image, or the bounds leave nothing of it.
        """
        height, width = pixels.shape[:2]
        boxes_only = [box for _, box in boxes] if self._mode["name"] == BBOXES else None
        if boxes_only == []:
            return ImageResult([], None, 0)
        self._check_windows(height, width, name)
        try:
            regions = self.predictor.mode.regions(height, width, boxes_only)
            prediction = self.predictor.predict(pixels, boxes=boxes_only)
        except ValueError as error:
            key = "mode.bounds" if "bounds" in self._mode else "mode"
            raise self.settings.error(f"{key} does not fit {name}:", str(error)) from None
        prediction = self._select(prediction)
        saved = self._saved_regions(regions, [title for title, _ in boxes])
        objects, empty = [], 0
        for k in range(len(prediction)):
            crop = prediction.crop(k)
            if crop is not None and not crop.pixels.any():
                empty += 1
                continue
            figure = supervisely_object(prediction, k)
            score = round(float(prediction.scores[k]), 4)
            figure["tags"] = [{"name": self.tag, "value": score}] if self.tag else []
            objects.append(figure)
        return ImageResult(saved + objects, prediction, empty)

    def _kept(self):
        choice = self._mode["model_classes"]
        names = list(self.predictor.categories.values())
        if choice["names"] == ALL:
            return names
        unknown = [name for name in choice["names"] if name not in names]
        if unknown:
            raise self.settings.error(
                choice["key"],
                f"contains {', '.join(map(repr, unknown))}, which are not classes of the model: "
                f"{', '.join(map(repr, names)) or 'none'}",
            )
        return [name for name in names if name in choice["names"]]

    def _tag(self):
        """Return the name of the confidence tag; None if model_tags does not keep it."""
        choice, name = self._mode["model_tags"], self._model["confidence_tag_name"]
        if choice["names"] != ALL and name not in choice["names"]:
            return None
        return name + choice["add_suffix"]

    def _check_windows(self, height, width, name):
        window = self._mode.get("window")
        if window and (window["height"] > height or window["width"] > width):
            side = "height" if window["height"] > height else "width"
            raise self.settings.error(
                f"mode.window.{side}",
                f"is {window[side]}, larger than the image {name} of {height} x {width} "
                "(height x width)",
            )

    def _select(self, prediction):
        names = set(self.titles)
        kept = np.array([name in names for name in prediction.names], bool)
        prediction = prediction.select(kept)
        nms = self._mode.get("nms_after")
        if nms and nms["enable"]:
            prediction = prediction.select(nms_survivors(prediction, nms["iou_threshold"]))
        return prediction

    def _saved_regions(self, regions, titles):
        if not self._mode.get("save"):
            return []
        if self._mode["name"] == BBOXES:
            names = [title + self._mode["add_suffix"] for title in titles]
        else:
            names = [self._mode["class_name"]] * len(regions)
        return [_rectangle(name, region) for name, region in zip(names, regions, strict=True)]


def _rectangle(name, region):
    figure = rectangle_object(name, region.top, region.left, region.bottom, region.right)
    return {**figure, "tags": []}


def prediction_mode(mode):
    """Return the mode of `prediction.modes` for the JSON's."""
    if mode["name"] == ROI:
        return RegionOfInterest(*(mode["bounds"][side] for side in _PLACES))
    if mode["name"] == BBOXES:
        return GivenBoxes(None, *(mode["padding"][side] for side in _PLACES))
    if mode["name"] in (WINDOWS, WINDOWS_DET):
        window, overlap = mode["window"], mode["min_overlap"]
        return SlidingWindow(window["height"], window["width"], overlap["y"], overlap["x"])
    return FullImage()


def nms_survivors(prediction, iou_threshold):
    """Apply Supervisely's non-maximum suppression; return [d] bool.

    A box survives if it overlaps no better box of its class by more than the threshold. Unlike in
    greedy suppression, a suppressed box suppresses others as well.
    """
    boxes = np.asarray(prediction.boxes, np.float64)
    with np.errstate(invalid="ignore"):  # boxes without area
        iou = overlaps.of_boxes(boxes, boxes).iou
    same = prediction.classes[:, np.newaxis] == prediction.classes
    scores, order = prediction.scores, np.arange(len(boxes))
    equal_but_earlier = (scores == scores[:, np.newaxis]) & (order < order[:, np.newaxis])
    better = (scores > scores[:, np.newaxis]) | equal_but_earlier
    return ~(same & better & (iou > iou_threshold)).any(axis=1)


_ORIENTATION = 0x0112
_TAG_COLOR = "#ffca28"


class InferOptions(NamedTuple):
    """Options of the command line."""

    config: str
    project: str
    model: str
    output: str


def infer(options):
    """Write the project OUTPUT; return the exit code.

    Raises:
        ObjectDetectionError: the JSON, the project or the model cannot be used.
    """
    settings = read_infer_settings(options.config)
    source = project.read_project(options.project)
    output = Path(options.output)
    if output.exists() and any(output.iterdir()):
        raise AnnotationError(f"--output={output} is not empty; choose a new folder")
    select_devices(f"{settings.path}: model.gpu_device", [settings.values["model"]["gpu_device"]])
    return annotate_project(settings, source, Annotator(settings, options.model), output)


def annotate_project(settings, source, annotator, output):
    """Write the project `output`; return the exit code.

    Args:
        settings: of the inference JSON.
        source: `project.Project`.
        annotator: `Annotator`.
        output: path of the folder.

    Raises:
        SettingsError: the JSON does not fit the project.
    """
    from_classes = _from_classes(settings, source)
    writer = _Writer(output, source, annotator, settings)
    for annotation in tqdm(source.annotations, "infer", unit="image", disable=None):
        image = read_unturned_pixels(annotation)
        boxes = boxes_for_mode(annotation, image.shape[:2], from_classes)
        writer.add(annotation, annotator.annotate_image(image, str(annotation.image), boxes))
    writer.close()
    print(
        f"{output}: {len(source.annotations)} images, {writer.objects} objects added"
        + (f"; {writer.empty} without a pixel skipped" if writer.empty else "")
    )
    return 0


def _from_classes(settings, source):
    """Return the titles whose objects mode bboxes uses; none in the other modes."""
    selected = settings.values["mode"].get("from_classes")
    if selected is None:
        return frozenset()
    if selected == ALL:
        return frozenset(source.titles)
    unknown = [title for title in selected if title not in source.titles]
    if unknown or not selected:
        problem = f"contains {', '.join(map(repr, unknown))}" if unknown else "is []"
        raise settings.error(
            "mode.from_classes",
            f"{problem}, which matches nothing; the classes of {source.folder / 'meta.json'} are "
            f"{', '.join(map(repr, source.titles)) or 'none'}",
        )
    return frozenset(selected)


def read_unturned_pixels(annotation):
    """Read uint8 [h, w, 3] as Supervisely does: not turned by the EXIF orientation."""
    with Image.open(annotation.image) as image:
        if image.getexif().get(_ORIENTATION, 1) != 1:
            return np.asarray(image.convert("RGB"))
    return pixels.read(annotation.image)


def boxes_for_mode(annotation, size, titles):
    """Return (title, box in pixels) of each object of the classes, for `Annotator`."""
    if not titles:
        return []
    stated = [each for each in annotation.content["objects"] if each.get("classTitle") in titles]
    boxes = []
    for each in supervisely.objects_of(stated, annotation.path.name, None, []):
        fitted, _ = checking.check_object(each, *size, with_mask=False)
        if fitted:
            boxes.append((fitted.class_name, fitted.box))
    return boxes


class _Writer:
    """Writer of the project of the results, image by image."""

    def __init__(self, folder, source, annotator, settings):
        self.objects = self.empty = 0
        self._folder, self._source, self._annotator = folder, source, annotator
        self._mode = settings.values["mode"]
        self._shapes = {}  # title -> shape, of added objects
        self._settings = settings
        self._has_masks = True
        known = {str(each["title"]): each.get("shape") for each in source.meta["classes"]}
        for title in annotator.titles:
            self._check_shape(known.get(title), "bitmap", title)

    def _check_shape(self, known, shape, title):
        if known not in (None, "any", shape):
            key = "mode.model_classes.add_suffix"
            raise self._settings.error(
                key,
                f"results in the class {title!r}, which has the shape {known} in meta.json, not "
                f"{shape}: choose another suffix",
            )

    def add(self, annotation, result):
        """Write an image with its objects and the new ones."""
        folder = self._folder / annotation.dataset
        for part in ("img", "ann"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        target = folder / "img" / annotation.image.name
        shutil.copyfile(annotation.image, target)
        content = annotation.content
        objects = [*content["objects"], *result.objects]
        write_json(folder / "ann" / annotation.path.name, {**content, "objects": objects})
        self._shapes |= {each["classTitle"]: each["geometryType"] for each in result.objects}
        self.objects, self.empty = self.objects + len(result.objects), self.empty + result.empty
        if result.prediction is not None:
            self._has_masks = result.prediction.has_masks
            if self._mode["save_probabilities"]:
                self._write_probabilities(annotation, result.prediction)

    def _write_probabilities(self, annotation, prediction):
        """Write NAME.npz next to the project; inside, Supervisely would read it as a dataset."""
        folder = self._folder.with_name(f"{self._folder.name}_probabilities") / annotation.dataset
        folder.mkdir(parents=True, exist_ok=True)
        masks = {} if prediction.box_masks is None else {"masks": prediction.box_masks}
        np.savez_compressed(
            folder / f"{annotation.image.name}.npz",
            boxes=prediction.boxes,
            scores=prediction.scores,
            names=np.array(prediction.names, str),
            **masks,
        )

    def close(self):
        """Write meta.json: the classes and tags of the source, and the new ones."""
        meta = dict(self._source.meta)
        classes, tags = list(meta["classes"]), list(meta.get("tags") or [])
        known = {str(each["title"]): each.get("shape") for each in classes}
        shape = "bitmap" if self._has_masks else "rectangle"
        shapes = dict.fromkeys(self._annotator.titles, shape) | self._shapes
        for title, shape in shapes.items():
            if title in known:
                self._check_shape(known[title], shape, title)
                continue
            color = visualization_utils.color_of(len(classes))
            classes.append({"title": title, "shape": shape, "color": color})
        tag = self._annotator.tag
        if tag and tag not in {each.get("name") for each in tags if isinstance(each, dict)}:
            tags.append({"name": tag, "value_type": "any_number", "color": _TAG_COLOR})
        write_json(self._folder / "meta.json", {**meta, "classes": classes, "tags": tags})
        if self.empty:
            logging.info("%d objects had masks without a pixel.", self.empty)


def deploy(values):
    """Serve until SIGTERM or SIGINT; return the exit code.

    Args:
        values: absl's flags: those of `object_detection.serve`, and `config`.

    Raises:
        SettingsError: the JSON cannot be used.
    """
    from object_detection import serve

    settings = read_infer_settings(values.config)
    if settings.values["mode"]["name"] == BBOXES:
        raise settings.error(
            "mode.name",
            "is 'bboxes', which uses the objects of a project: use infer; deploy accepts images "
            "only",
        )
    select_devices(f"{settings.path}: model.gpu_device", [settings.values["model"]["gpu_device"]])
    annotator = Annotator(settings, values.model)
    exported = Path(values.model) / EXPORT
    if exported.is_dir():
        values.model = str(exported)
    return serve.main(["deploy"], annotate=annotation_function(annotator))


def annotation_function(annotator):
    """Return a function from pixels to an annotation of Supervisely's JSON."""

    def annotate(pixels):
        height, width = pixels.shape[:2]
        result = annotator.annotate_image(pixels, "sent")
        return {
            "description": "",
            "size": {"height": height, "width": width},
            "tags": [],
            "objects": result.objects,
        }

    return annotate
