"""A model under an inference JSON: pixels in, objects of Supervisely's annotations out."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from object_detection.integrations.supervisely import infer_settings
from object_detection.integrations.supervisely.pipelines import EXPORT
from object_detection.integrations.supervisely.settings import ALL
from object_detection.metrics import overlaps
from object_detection.prediction.modes import (
    FullImage,
    GivenBoxes,
    RegionOfInterest,
    SlidingWindow,
)
from object_detection.prediction.predictor import Predictor
from object_detection.prediction.writers import rectangle_object, supervisely_object

_PLACES = ("left", "top", "right", "bottom")


class Found(NamedTuple):
    """What came of one image."""

    objects: list  # as annotations hold them
    prediction: object  # `Prediction`, or None where nothing was looked at
    empty: int  # objects whose masks have no pixel, which are left out


class Annotator:
    """Looks at images as an inference JSON says.

    Args:
        settings: `Settings` of the JSON.
        model: folder of a result of ours, or what else `Predictor` takes.
        label_map: as of `Predictor`.

    Raises:
        SettingsError: classes that the model does not have.
        ValueError: no such model.
    """

    def __init__(self, settings, model, label_map=None):
        self.settings = settings
        self._mode, self._model = settings.values["mode"], settings.values["model"]
        exported = Path(str(model)) / EXPORT
        self.predictor = Predictor(
            exported if exported.is_dir() else model,
            confidence_threshold=self._model["min_confidence_threshold"],
            mode=mode_of(self._mode),
            class_suffix=self._mode["model_classes"]["add_suffix"],
            label_map=label_map,
        )
        self.kept = self._kept()
        self.tag = self._tag()

    @property
    def titles(self):
        """Titles of the classes that objects may get, with their suffix."""
        suffix = self._mode["model_classes"]["add_suffix"]
        return [name + suffix for name in self.kept]

    def look_at(self, pixels, what, boxes=()):
        """What is found in an image.

        Args:
            pixels: uint8 [h, w, 3].
            what: the image's name for messages.
            boxes: (title, (ymin, xmin, ymax, xmax)) of the objects of mode bboxes.

        Returns:
            `Found`; its objects are those that the JSON says to save for the regions, and those
            that the model found.

        Raises:
            SettingsError: a window larger than the image, bounds that leave nothing of it.
        """
        height, width = pixels.shape[:2]
        given = [box for _, box in boxes] if self._mode["name"] == infer_settings.BBOXES else None
        if given == []:
            return Found([], None, 0)
        self._check_windows(height, width, what)
        try:
            regions = self.predictor.mode.regions(height, width, given)
            prediction = self.predictor.predict(pixels, boxes=given)
        except ValueError as fault:
            key = "mode.bounds" if "bounds" in self._mode else "mode"
            raise self.settings.fault(f"{key} does not fit {what}:", str(fault)) from None
        prediction = self._select(prediction)
        saved = self._saved_regions(regions, [title for title, _ in boxes])
        objects, empty = [], 0
        for k in range(len(prediction)):
            crop = prediction.crop(k)
            if crop is not None and not crop.pixels.any():
                empty += 1
                continue
            found = supervisely_object(prediction, k)
            score = round(float(prediction.scores[k]), 4)
            found["tags"] = [{"name": self.tag, "value": score}] if self.tag else []
            objects.append(found)
        return Found(saved + objects, prediction, empty)

    def _kept(self):
        choice = self._mode["model_classes"]
        names = list(self.predictor.categories.values())
        if choice["names"] == ALL:
            return names
        strangers = [name for name in choice["names"] if name not in names]
        if strangers:
            raise self.settings.fault(
                choice["key"],
                f"names {', '.join(map(repr, strangers))}, which the model does not have; it has "
                f"{', '.join(map(repr, names)) or 'none'}",
            )
        return [name for name in names if name in choice["names"]]

    def _tag(self):
        """Name of the confidence tag, None where model_tags does not keep it."""
        choice, name = self._mode["model_tags"], self._model["confidence_tag_name"]
        if choice["names"] != ALL and name not in choice["names"]:
            return None
        return name + choice["add_suffix"]

    def _check_windows(self, height, width, what):
        window = self._mode.get("window")
        if window and (window["height"] > height or window["width"] > width):
            side = "height" if window["height"] > height else "width"
            raise self.settings.fault(
                f"mode.window.{side}",
                f"is {window[side]}, larger than the image {what} of {height} x {width} "
                "(height x width)",
            )

    def _select(self, prediction):
        names = set(self.titles)
        kept = np.array([name in names for name in prediction.names], bool)
        prediction = prediction.select(kept)
        nms = self._mode.get("nms_after")
        if nms and nms["enable"]:
            prediction = prediction.select(survivors(prediction, nms["iou_threshold"]))
        return prediction

    def _saved_regions(self, regions, titles):
        if not self._mode.get("save"):
            return []
        if self._mode["name"] == infer_settings.BBOXES:
            names = [title + self._mode["add_suffix"] for title in titles]
        else:
            names = [self._mode["class_name"]] * len(regions)
        return [_rectangle(name, region) for name, region in zip(names, regions, strict=True)]


def _rectangle(name, region):
    found = rectangle_object(name, region.top, region.left, region.bottom, region.right)
    return {**found, "tags": []}


def mode_of(mode):
    """The mode of `prediction.modes` for the JSON's."""
    if mode["name"] == infer_settings.ROI:
        return RegionOfInterest(*(mode["bounds"][side] for side in _PLACES))
    if mode["name"] == infer_settings.BBOXES:
        return GivenBoxes(None, *(mode["padding"][side] for side in _PLACES))
    if mode["name"] in (infer_settings.WINDOWS, infer_settings.WINDOWS_DET):
        window, overlap = mode["window"], mode["min_overlap"]
        return SlidingWindow(window["height"], window["width"], overlap["y"], overlap["x"])
    return FullImage()


def survivors(prediction, iou_threshold):
    """[d] bool by Supervisely's rule: what overlaps no better one of its class by more.

    Unlike greedy non-maximum suppression, a box that is itself suppressed suppresses too.
    """
    boxes = np.asarray(prediction.boxes, np.float64)
    with np.errstate(invalid="ignore"):  # boxes without area
        iou = overlaps.of_boxes(boxes, boxes).iou
    same = prediction.classes[:, np.newaxis] == prediction.classes
    scores, order = prediction.scores, np.arange(len(boxes))
    equal_but_earlier = (scores == scores[:, np.newaxis]) & (order < order[:, np.newaxis])
    better = (scores > scores[:, np.newaxis]) | equal_but_earlier
    return ~(same & better & (iou > iou_threshold)).any(axis=1)
