"""Detections for images of a ground truth: by a model, or out of a COCO result file."""

import numpy as np

from object_detection.errors import ResultFileError
from object_detection.metrics import coco_results
from object_detection.metrics.images import ImageDetections
from object_detection.prediction.predictor import Predictor
from object_detection.structures import coco_json

_SHOWN = 5


class FromResults:
    """Looks detections up in a result file.

    Args:
        path: of the COCO result file; raises `ResultFileError`.
        sizes: {image id: (height, width)}, for masks given as polygons.
    """

    def __init__(self, path, sizes=None):
        self.origin = str(path)
        self._found = coco_results.read(path, sizes)
        self._table = coco_json.IdTable(self._found)
        self._requested, self._matched = [], set()

    def __call__(self, image):
        """The `ImageDetections` of an image (`id`, `height`, `width`).

        Raises:
            ResultFileError: a mask has another size than the image.
        """
        self._requested.append(image.id)
        key = self._table.find(image.id)
        found = self._found.get(key)
        if found is None:
            return ImageDetections(np.zeros([0, 4]), np.zeros(0), np.zeros(0, np.int64))
        self._matched.add(key)
        for mask in found.masks or ():
            if tuple(mask["size"]) != (image.height, image.width):
                raise ResultFileError(
                    f"{self.origin}: a mask of image {key} has the size {mask['size']}, the image "
                    f"is {image.height} x {image.width}"
                )
        return found

    def check_ids(self):
        """Check that results and ground truth have an image in common.

        Raises:
            ResultFileError: there are results, and none is of an image that was requested.
        """
        if self._found and self._requested and not self._matched:
            raise ResultFileError(
                f"no image id of {self.origin} is one of the ground truth's: the results have "
                f"{_listed(list(self._found))}; the ground truth has {_listed(self._requested)}"
            )

    def notes(self):
        """What of the two does not belong together."""
        notes = []
        strange = [key for key in self._found if key not in self._matched]
        if strange:
            notes.append(
                f"{len(strange)} images of {self.origin} are not among those evaluated: "
                f"{_listed(strange)}"
            )
        empty = len(self._requested) - len(self._matched)
        if empty:
            notes.append(f"{empty} images have no detection in {self.origin}")
        return notes


def _listed(names):
    """The first of some names."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


class FromModel:
    """Runs a model.

    Args:
        model: as `Predictor` takes it.
        categories: {id: name} of the ground truth. A model's classes are known by their names
            where it has names, which may have other ids there.
        pipeline_config: path of the config of weights, or None.
    """

    def __init__(self, model, categories, *, pipeline_config=None):
        self.origin = str(model)
        self._predictor = Predictor(model, 0.0, pipeline_config=pipeline_config)
        self._ids, self._notes = translation(self._predictor.categories, categories)

    def __call__(self, image):
        """The `ImageDetections` of an image, or None where its pixels cannot be had."""
        pixels = image.pixels() if image.loaded is None else image.loaded
        if pixels is None:
            return None
        found = self._predictor.predict(pixels)
        classes = np.array([self._ids.get(int(k), int(k)) for k in found.classes], np.int64)
        masks = found.rles() if found.box_masks is None else found.box_masks
        return ImageDetections(found.boxes, found.scores, classes, masks)

    def check_ids(self):
        """Nothing to check: the model was asked about the images themselves."""

    def notes(self):
        """What of model and ground truth does not belong together."""
        return self._notes


def translation(of_model, of_truth):
    """Which class of the ground truth each class of a model is.

    Args:
        of_model, of_truth: {id: name}.

    Returns:
        {id of the model: id of the truth}, and notes. A class that the truth does not name gets a
        negative id, which no class has; where no name is the same the ids themselves hold.
    """
    ids = {name: number for number, name in of_truth.items()}
    if not of_model:
        return {}, []
    unknown = sorted(name for name in of_model.values() if name not in ids)
    if len(unknown) == len(of_model):
        return {}, ["the model's class names are not those of the ground truth: ids are compared"]
    notes = []
    if unknown:
        notes.append(f"classes of the model that the ground truth has not: {', '.join(unknown)}")
    return {number: ids.get(name, -1 - number) for number, name in of_model.items()}, notes
