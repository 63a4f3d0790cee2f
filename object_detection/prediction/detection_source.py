"""Sources of detections for the images of a ground truth: a model or a COCO result file."""

import numpy as np

from object_detection.errors import ResultFileError
from object_detection.metrics import coco_results
from object_detection.prediction.predictor import Predictor
from object_detection.structures import coco_json
from object_detection.structures.instances import EvaluatedImage, Instances

_SHOWN = 5


class ResultFileSource:
    """Detections of a COCO result file.

    Args:
        path: Of the file.
        sizes: {image id: (height, width)}, for masks given as polygons.

    Raises:
        ResultFileError: The file cannot be used.
    """

    def __init__(self, path, sizes=None):
        self.origin = str(path)
        self._detections = coco_results.read(path, sizes)
        self._table = coco_json.IdTable(self._detections)
        self._requested, self._matched = [], set()

    def __call__(self, image: EvaluatedImage) -> Instances:
        """Return the detections of an image.

        Raises:
            ResultFileError: A mask has another size than the image.
        """
        self._requested.append(image.image_id)
        key = self._table.find(image.image_id)
        detections = self._detections.get(key)
        if detections is None:
            return Instances.empty(image.height, image.width)
        self._matched.add(key)
        for mask in () if detections.masks is None else detections.masks.to_rle():
            if tuple(mask["size"]) != (image.height, image.width):
                raise ResultFileError(
                    f"{self.origin}: a mask of image {key} has the size {mask['size']}, the image "
                    f"is {image.height} x {image.width}"
                )
        return detections._replace(height=image.height, width=image.width)

    def check_ids(self) -> None:
        """Check that results and ground truth have an image in common.

        Raises:
            ResultFileError: There are results, but for none of the requested images.
        """
        if self._detections and self._requested and not self._matched:
            raise ResultFileError(
                f"no image id of {self.origin} is one of the ground truth's: the results have "
                f"{_listed(list(self._detections))}; the ground truth has "
                f"{_listed(self._requested)}"
            )

    def notes(self) -> list[str]:
        """Return remarks on what results and ground truth do not have in common."""
        notes = []
        unmatched = [key for key in self._detections if key not in self._matched]
        if unmatched:
            notes.append(
                f"{len(unmatched)} images of {self.origin} are not among those evaluated: "
                f"{_listed(unmatched)}"
            )
        empty = len(self._requested) - len(self._matched)
        if empty:
            notes.append(f"{empty} images have no detection in {self.origin}")
        return notes


def _listed(names):
    """Return the first of some names."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


class ModelSource:
    """Detections of a model that is run.

    Args:
        model: As for `Predictor`.
        categories: {id: name} of the ground truth. A model's classes are matched by name if it has
            names; their ids may differ.
        pipeline_config: Path of the config of weights, or None.
    """

    def __init__(self, model, categories, *, pipeline_config=None):
        self.origin = str(model)
        self._predictor = Predictor(model, 0.0, pipeline_config=pipeline_config)
        self._ids, self._notes = translation(self._predictor.categories, categories)

    def __call__(self, image: EvaluatedImage) -> Instances | None:
        """Return the detections of an image, or None if its pixels cannot be read."""
        pixels = image.read_pixels()
        if pixels is None:
            return None
        detections = self._predictor.predict(pixels).instances
        classes = [self._ids.get(int(k), int(k)) for k in detections.classes]
        return detections._replace(classes=np.array(classes, np.int64))

    def check_ids(self) -> None:
        """Do nothing: the model ran on the images themselves."""

    def notes(self) -> list[str]:
        """Return remarks on what model and ground truth do not have in common."""
        return self._notes


def translation(of_model: dict, of_truth: dict) -> tuple[dict[int, int], list[str]]:
    """Map the classes of a model to those of the ground truth.

    Args:
        of_model, of_truth: {id: name}.

    Returns:
        {id of the model: id of the truth}, and notes. A class that the truth lacks gets a negative
        id, which no class has. If no name is the same, ids are compared.
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
