"""COCO's matching of detections with objects, by pycocotools or by a faster library.

pycocotools is COCO's own evaluation and defines the numbers. `hotcoco`, where it is installed,
computes the same arrays in a fraction of the time; a test holds the two equal, bit for bit.
"""

import contextlib
import importlib.util
import io
from typing import NamedTuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

ENGINES = ("hotcoco", "pycocotools")  # the first that is installed is taken
_IOU_TYPES = {"boxes": "bbox", "masks": "segm"}


class AreaRange(NamedTuple):
    """Objects of a size; detections that match none of them do not count if out of it."""

    name: str
    low: float  # pixels; both ends belong to the range
    high: float


class Settings(NamedTuple):
    """What is averaged over. The first area range is `all`; the last limit is that of the APs."""

    iou_thresholds: tuple = tuple(np.linspace(0.5, 0.95, 10).tolist())
    areas: tuple = (
        AreaRange("all", 0, 1e10),
        AreaRange("small", 0, 32**2),
        AreaRange("medium", 32**2, 96**2),
        AreaRange("large", 96**2, 1e10),
    )
    limits: tuple = (1, 10, 100)  # best detections of an image and class that count, ascending


class Arrays(NamedTuple):
    """COCO's arrays; -1 where there is nothing to find.

    T IoU thresholds, R = 101 recalls (0, .01 .. 1), K classes by id, A area ranges, M limits.
    """

    precision: np.ndarray  # [T, R, K, A, M]
    recall: np.ndarray  # [T, K, A, M]
    scores: np.ndarray  # [T, R, K, A, M] the least score among those that reach the recall


def default_engine():
    """Return the name of the default engine."""
    return next(name for name in ENGINES if importlib.util.find_spec(name))


def match(kind, images, categories, truths, detections, *, settings=None, engine=None):
    """Matches and accumulates.

    Args:
        kind: "boxes" or "masks".
        images: COCO image entries (`id`, `height`, `width`).
        categories: {id: name}.
        truths, detections: COCO annotations and results with `id` (from 1), `bbox`, `area`,
            `category_id`, `image_id`; `iscrowd` and `score` respectively; `segmentation` (RLEs
            with `counts` in bytes) for masks. Entries may be changed.
        settings: Settings; None for COCO's.
        engine: one of ENGINES; None takes `default_engine()`.

    Returns:
        Arrays.
    """
    engine = engine or default_engine()
    if engine not in ENGINES:
        raise ValueError(f"There is no engine {engine!r}; there are {', '.join(ENGINES)}.")
    settings = settings or Settings()
    if engine == "hotcoco" and images and categories:
        run = _hotcoco_run
    else:
        run = _pycocotools_run
    names = [{"id": i, "name": name} for i, name in categories.items()]
    results = run(
        _IOU_TYPES[kind],
        {"images": images, "categories": names, "annotations": truths},
        {"images": images, "categories": names, "annotations": detections},
        settings,
    )
    return Arrays(*(np.asarray(results[name]) for name in Arrays._fields))


def _pycocotools_run(iou_type, truths, detections, settings):
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports by print
        run = COCOeval(_coco(truths), _coco(detections), iouType=iou_type)
        _set(run.params, settings)
        run.params.iouThrs = np.array(settings.iou_thresholds)
        run.evaluate()
        run.accumulate()
    return run.eval


def _hotcoco_run(iou_type, truths, detections, settings):
    import hotcoco

    for dataset in (truths, detections):
        dataset["annotations"] = [_with_text(entry) for entry in dataset["annotations"]]
    run = hotcoco.COCOeval(hotcoco.COCO(truths), hotcoco.COCO(detections), iou_type)
    _set(run.params, settings)
    run.params.iouThrs = list(settings.iou_thresholds)
    run.evaluate()
    run.accumulate()
    return run.eval


def _set(parameters, settings):
    parameters.areaRng = [[area.low, area.high] for area in settings.areas]
    parameters.areaRngLbl = [area.name for area in settings.areas]
    parameters.maxDets = list(settings.limits)


def _coco(dataset):
    """pycocotools' container."""
    holder = COCO()
    holder.dataset = dataset
    holder.createIndex()
    return holder


def _with_text(entry):
    """The entry with the counts of its mask as text, as in files."""
    rle = entry.get("segmentation")
    if rle is None or isinstance(rle["counts"], str):
        return entry
    text = {"size": rle["size"], "counts": rle["counts"].decode("ascii")}
    return {**entry, "segmentation": text}
