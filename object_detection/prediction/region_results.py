"""What was found in regions of an image, in places of the image."""

import dataclasses

import numpy as np

from object_detection.prediction import merging
from object_detection.prediction.prediction import Prediction


def placed(prediction, region, height, width):
    """A prediction of a region's pixels as one of the image [height, width]."""
    shift = np.array([region.top, region.left] * 2, np.float32)
    crops = prediction.crops
    if prediction.has_masks:
        # Decided at the size the model saw: in a larger image a box's mask is rounded differently.
        crops = tuple(
            crop._replace(top=crop.top + region.top, left=crop.left + region.left)
            for crop in map(prediction.crop, range(len(prediction)))
        )
    return dataclasses.replace(
        prediction,
        boxes=prediction.boxes + shift,
        height=height,
        width=width,
        box_masks=None,
        crops=crops,
    )


def side_by_side(predictions, height, width):
    """All that was found in several regions, the best first; `regions` says where.

    Args:
        predictions: of one image each, as `placed` gives them; of no region for no boxes.
        height, width: of the image.
    """
    if not predictions:
        nothing = np.zeros(0, np.float32)
        return Prediction(
            np.zeros([0, 4], np.float32), nothing, np.zeros(0, np.int32), (), height, width,
            crops=(), regions=np.zeros(0, np.int64),
        )  # fmt: skip
    has_masks = predictions[0].has_masks
    together = dataclasses.replace(
        predictions[0],
        boxes=np.concatenate([each.boxes for each in predictions]),
        scores=np.concatenate([each.scores for each in predictions]),
        classes=np.concatenate([each.classes for each in predictions]),
        names=tuple(name for each in predictions for name in each.names),
        crops=tuple(crop for each in predictions for crop in each.crops) if has_masks else None,
        regions=np.repeat(np.arange(len(predictions)), [len(each) for each in predictions]),
    )
    return together.select(np.argsort(-together.scores, kind="stable"))


def merged(predictions, regions, threshold):
    """What was found in overlapping windows, every object once.

    Args:
        predictions: of one image each, as `placed` gives them.
        regions: the windows.
        threshold: least score of what comes out.
    """
    height, width = predictions[0].height, predictions[0].width
    together = side_by_side(predictions, height, width)
    findings = [
        merging.Finding(
            together.boxes[k],
            float(together.scores[k]),
            int(together.classes[k]),
            together.crop(k),
            int(together.regions[k]),
        )
        for k in range(len(together))
    ]
    names = dict(zip(together.classes.tolist(), together.names, strict=True))
    found = merging.merge(findings, regions, height, width)
    found = [each for each in found if each.score >= threshold]
    return dataclasses.replace(
        together,
        boxes=np.array([each.box for each in found], np.float32).reshape(-1, 4),
        scores=np.array([each.score for each in found], np.float32),
        classes=np.array([each.kind for each in found], np.int32),
        names=tuple(names[each.kind] for each in found),
        crops=tuple(each.mask for each in found) if together.has_masks else None,
        regions=None,
    )


def without_regions(prediction):
    """The same without the numbers of its regions."""
    return dataclasses.replace(prediction, regions=None)
