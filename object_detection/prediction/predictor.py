"""Predictor: a trained model for Python, from images to boxes, names, scores and masks."""

import dataclasses
import os

import numpy as np
from tqdm import tqdm

from object_detection.prediction import (
    heat_maps,
    image_files,
    loaded_model,
    merging,
    pixels,
    results,
    video,
)
from object_detection.prediction.loaded_model import find_saved_model  # noqa: F401
from object_detection.prediction.modes import FullImage, GivenBoxes, SlidingWindow
from object_detection.prediction.prediction import Prediction, from_outputs, unmold_mask

CONFIDENCE_THRESHOLD = 0.7
_PIECES_THRESHOLD = 0.25  # share of the threshold from which pieces of an object are joined
_MAX_WAITING = 4  # batches of images that may wait for others of their size


class Predictor:
    """A trained model: a SavedModel of ours or of TFOD, or weights in any other form.

    Args:
        model: The folder with saved_model.pb, or an export with `saved_model/` in it. Or weights
            as `checkpoints.open.open_checkpoint` takes them (a checkpoint, a frozen graph, a
            zoo archive), whose network is built from their config. Or a callable that takes uint8
            [B, h, w, 3] and returns outputs under TFOD's names, such as a loaded model.
        confidence_threshold: Least score of detections, 0..1; 0.7 by default.
        min_image_size: Shorter side, in pixels, of the images that the model sees. For weights it
            replaces the config's resizer, keeping the aspect ratio; for a SavedModel smaller images
            are enlarged, which is an error if its config resizes all images itself. None leaves
            images to the model.
        label_map: Path of a label map, or {id: name}. None takes the one in the model's assets, a
            label_map.pbtxt next to it, or for weights the one that their config names; without any,
            classes are named by number.
        pipeline_config: Path of the config of weights; None takes the one next to them.
        mode: What of an image the model sees: `FullImage()`, `RegionOfInterest(...)`,
            `GivenBoxes(...)` or `SlidingWindow(...)` of `prediction.modes`. None: all.
        classes: Names or ids of the classes to keep; None keeps all.
        class_suffix: Text appended to every class name.
        max_detections: Largest number of detections to keep in an image; None keeps all.
        batch_size: Largest number of images (or windows) of one size in a batch.
        warm_up: Whether to run the model once at the start, so that the first image is not slow.
        min_score: Another name of `confidence_threshold`.

    Attributes:
        categories: {id: name} of the label map.
        progress: Whether to show a progress bar over the regions of an image (initially False).

    Raises:
        ValueError: There is no such model, or it has other inputs or outputs; a class that the
            label map lacks; a number out of range.
    """

    def __init__(
        self,
        model,
        confidence_threshold=None,
        min_image_size=None,
        *,
        label_map=None,
        pipeline_config=None,
        mode=None,
        classes=None,
        class_suffix="",
        max_detections=None,
        batch_size=8,
        warm_up=True,
        min_score=None,
    ):
        self.confidence_threshold = _threshold(confidence_threshold, min_score)
        for name, value in (
            ("min_image_size", min_image_size),
            ("max_detections", max_detections),
            ("batch_size", batch_size),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.mode = FullImage() if mode is None else mode
        self.max_detections = max_detections
        self.batch_size = batch_size
        self.class_suffix = class_suffix
        self.progress = False
        self._model = loaded_model.load(
            model,
            label_map=label_map,
            pipeline_config=pipeline_config,
            min_image_size=min_image_size,
        )
        self._enlarge_to = None if self._model.resizes else min_image_size
        self.categories = self._model.categories
        self._classes = _class_ids(classes, self.categories)
        if warm_up:
            self.warm_up()

    @property
    def min_score(self):
        """Another name of `confidence_threshold`."""
        return self.confidence_threshold

    @min_score.setter
    def min_score(self, score):
        self.confidence_threshold = score

    @property
    def category_index(self):
        """{id: {"id": id, "name": name}}, as TFOD's drawing functions take it."""
        return {k: {"id": k, "name": self._name(k)} for k in self.categories}

    def warm_up(self, height=256, width=256):
        """Run the model on a black image, so that the first real image is not slow."""
        self._detect([np.zeros([height, width, 3], np.uint8)], 1.0)

    def predict(self, image, boxes=None):
        """Detect objects in one image.

        Args:
            image: A path, the bytes of an image file, a PIL image or an array; see `pixels.read`.
            boxes: For the mode `GivenBoxes`: [n, (ymin, xmin, ymax, xmax)] pixels of this image.

        Returns:
            `Prediction` in pixels of the upright image.

        Raises:
            ImageError: An image that cannot be used (a `ValueError`).
        """
        return self._predict_read(pixels.read(image), boxes)

    def predict_batch(self, images):
        """Detect objects in several images; images of one size are batched.

        Args:
            images: A sequence of images as for `predict`, of any sizes.

        Returns:
            A list of `Prediction`.

        Raises:
            ValueError: A single image, or no images.
        """
        if _is_one_image(images):
            raise ValueError("predict_batch takes several images; give a single one to predict")
        images = list(images)
        if not images:
            raise ValueError("an empty batch: give at least one image")
        return list(self.predict_many(images))

    def predict_many(self, images):
        """Detect objects in any number of images, read as they are needed.

        Args:
            images: An iterable of images as for `predict`.

        Yields:
            A `Prediction` for each, in order; a few images are read ahead, so that images of one
            size can be batched.
        """
        read = (pixels.read(image) for image in images)
        if not isinstance(self.mode, FullImage):  # whose regions make batches of their own
            yield from map(self._predict_read, read)
            return
        yield from by_size(read, self._detect_full, self._batch_size)

    def predict_folder(self, folder, *, progress=True):
        """Detect objects in all images of a folder, with a progress bar.

        Args:
            folder: A folder (without subfolders and hidden files), a file, or a pattern such as
                'photos/**/*.jpg'.
            progress: Whether to show the bar.

        Yields:
            (path, `Prediction`) sorted by path.

        Raises:
            ValueError: There is no image. ImageError: An image cannot be used.
        """
        files = image_files.find([folder]).images
        bar = tqdm(files, unit="image", desc="predict", disable=not progress)
        with bar:
            for file, prediction in zip(files, self.predict_many(files), strict=True):
                bar.update()
                yield file, prediction

    def predict_video(self, source, *, max_frames=None):
        """Detect objects in the frames of a video or a webcam (extra `video`: OpenCV).

        Args:
            source: Path or address of a video, the number of a webcam (0 is the first), or the
                frames that `video.frames` opened.
            max_frames: Largest number of frames.

        Yields:
            (frame uint8 [h, w, 3], `Prediction`); frames of a webcam or a stream one by one.

        Raises:
            ValueError: It cannot be opened, or OpenCV is not installed.
        """
        frames = source if isinstance(source, video.Frames) else video.frames(source, max_frames)
        if frames.is_live:
            for frame in frames:
                yield frame, self._predict_read(frame)
            return
        waiting = []

        def noted():
            for frame in frames:
                waiting.append(frame)
                yield frame

        for prediction in self.predict_many(noted()):
            yield waiting.pop(0), prediction

    def draw(self, image, prediction=None):
        """Return a copy of an image with boxes, masks, names and scores, enlarged if small.

        Args:
            image: As for `predict`.
            prediction: The detections in it; None predicts them now.

        Returns:
            uint8 [H, W, 3].

        Raises:
            TypeError, ValueError: Not an image, not a `Prediction`, or one of an image of another
                size.
        """
        image, prediction = self._with_prediction(image, prediction)
        return results.draw(image, prediction, self.category_index)

    def draw_heat_maps(self, image, prediction=None, masks_per_dim=2):
        """Return heat maps of the masks of the `masks_per_dim` x `masks_per_dim` best objects.

        Args:
            image, prediction: As for `draw`.
            masks_per_dim: Number of heat maps in a row, and number of rows.

        Returns:
            uint8 [h, w, 3] of the image's size.

        Raises:
            TypeError, ValueError: As for `draw`; the model gives no masks.
        """
        image, prediction = self._with_prediction(image, prediction)
        return heat_maps.montage(image, prediction, masks_per_dim)

    def _with_prediction(self, image, prediction):
        """Return the image's pixels and the detections in it."""
        image = pixels.read(image)
        if prediction is None:
            return image, self._predict_read(image)
        if not isinstance(prediction, Prediction):
            raise TypeError(
                f"prediction is a {type(prediction).__name__}; give a Prediction, which predict "
                "returns (of several images one at a time)"
            )
        size = prediction.height, prediction.width
        if size != image.shape[:2]:
            raise ValueError(
                f"the prediction is of an image of {size[0]} x {size[1]} pixels, this one has "
                f"{image.shape[0]} x {image.shape[1]}"
            )
        return image, prediction

    unmold_mask = staticmethod(unmold_mask)

    @property
    def _batch_size(self):
        return min(self.batch_size, self._model.largest_batch or self.batch_size)

    def _predict_read(self, image, boxes=None):
        """Return the `Prediction` of uint8 [h, w, 3] in the mode."""
        height, width = image.shape[:2]
        regions = self.mode.regions(height, width, boxes)
        if isinstance(self.mode, FullImage):
            return self._detect_full([image])[0]
        joins = isinstance(self.mode, SlidingWindow) and len(regions) > 1
        threshold = self.confidence_threshold * (_PIECES_THRESHOLD if joins else 1.0)
        bar = tqdm(
            regions, unit="region", leave=False, disable=not self.progress or len(regions) < 2
        )
        cuts = (region.cut(image) for region in bar)
        predictions = by_size(cuts, lambda parts: self._detect(parts, threshold), self._batch_size)
        placed = [
            merging.place(each, region, height, width)
            for each, region in zip(predictions, regions, strict=True)
        ]
        if joins:
            prediction = merging.merge_windows(placed, regions, self.confidence_threshold)
        else:
            prediction = merging.concatenate(placed, height, width)
        if not isinstance(self.mode, GivenBoxes):
            prediction = dataclasses.replace(prediction, regions=None)
        return prediction.select(slice(self.max_detections))

    def _detect_full(self, images):
        predictions = self._detect(images, self.confidence_threshold)
        return [prediction.select(slice(self.max_detections)) for prediction in predictions]

    def _detect(self, images, threshold):
        """Return the `Prediction`s of several uint8 [h, w, 3] of one size."""
        height, width = images[0].shape[:2]
        inputs = images
        if self._enlarge_to and min(height, width) < self._enlarge_to:
            inputs = [pixels.enlarge(image, self._enlarge_to) for image in images]
        outputs = self._model(np.stack(inputs))
        return [
            from_outputs(
                outputs,
                row,
                (height, width),
                inputs[row].shape[:2],
                threshold=threshold,
                classes=self._classes,
                name_of=self._name,
            )
            for row in range(len(images))
        ]

    def _name(self, number):
        return self.categories.get(int(number), f"class {int(number)}") + self.class_suffix


def by_size(images, detect, batch_size):
    """Run a model over images of any sizes, those of one size together.

    Args:
        images: Iterable of arrays [h, w, 3], taken as they are needed.
        detect: Called with a list of 1 to `batch_size` images of one size; returns as many results.
        batch_size: Most images of a call.

    Yields:
        The results, in the order of the images.
    """
    waiting, done, emitted = {}, {}, 0  # size -> [(index, image)]; index -> result

    def run(size):
        group = waiting.pop(size)
        results = detect([image for _, image in group])
        done.update(zip((index for index, _ in group), results, strict=True))

    for index, image in enumerate(images):
        group = waiting.setdefault(image.shape[:2], [])
        group.append((index, image))
        if len(group) == batch_size:
            run(image.shape[:2])
        # The first image that waits holds up all later ones.
        if emitted not in done and index - emitted >= _MAX_WAITING * batch_size:
            run(next(size for size, group in waiting.items() if group[0][0] == emitted))
        while emitted in done:
            yield done.pop(emitted)
            emitted += 1
    for size in list(waiting):
        run(size)
    for index in sorted(done):
        yield done[index]


def _threshold(confidence_threshold, min_score):
    if confidence_threshold is not None and min_score is not None:
        raise ValueError("confidence_threshold and min_score are one thing: give one of them")
    threshold = confidence_threshold if min_score is None else min_score
    threshold = CONFIDENCE_THRESHOLD if threshold is None else threshold
    if not 0 <= threshold <= 1:
        raise ValueError(f"confidence_threshold must lie between 0 and 1, got {threshold}")
    return float(threshold)


def _is_one_image(images):
    """Return whether `images` is one image instead of several."""
    if isinstance(images, np.ndarray):
        return images.ndim < 3 or (images.ndim == 3 and images.shape[2] in (1, 3, 4))
    return isinstance(images, (str, bytes, os.PathLike))


def _class_ids(classes, categories):
    """Return the ids of `classes` (names or ids), None for all."""
    if classes is None:
        return None
    if isinstance(classes, (str, int)):
        classes = [classes]
    ids = {name: number for number, name in categories.items()}
    selected = []
    for each in classes:
        if isinstance(each, str) and each not in ids and each.isdecimal():
            each = int(each)  # as a command's flag gives an id
        if isinstance(each, str) and each not in ids:
            known = ", ".join(map(repr, ids)) or "none: give label_map"
            raise ValueError(f"the model has no class {each!r}; its classes are {known}")
        selected.append(ids[each] if isinstance(each, str) else int(each))
    return np.array(selected, np.int64)


__all__ = ["Prediction", "Predictor", "find_saved_model", "unmold_mask"]
