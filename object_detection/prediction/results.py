"""Predictions as pictures, as JSON and as entries of a COCO result file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from object_detection import atomic
from object_detection.metrics import coco_results
from object_detection.prediction.prediction import Prediction
from object_detection.structures import drawing
from object_detection.utils import visualization_utils

_BOX_FORMAT = "ymin, xmin, ymax, xmax in pixels"
_HEAD = 1 << 16  # bytes of a file that contain the entries before the boxes: the image's path
MASK_FORMS = ("rle", "polygon", "none")


def to_json(prediction: Prediction, image_file, masks: str = "rle", tolerance: float = 0.0) -> dict:
    """Return the content of one image's JSON file, as plain Python.

    Masks are COCO RLEs at the image's size with `counts` as text, which pycocotools.mask.decode
    reads. `masks` is null for a model without masks.

    Args:
        prediction: The detections.
        image_file: Name of the image file, or None.
        masks: 'rle'; 'polygon', which writes COCO polygons under `polygons` instead; or 'none'.
        tolerance: Of the polygons, in pixels.
    """
    if masks not in MASK_FORMS:
        raise ValueError(f"masks is {masks!r}; allowed: {', '.join(MASK_FORMS)}")
    entry = {
        "image": None if image_file is None else str(image_file),
        "height": prediction.height,
        "width": prediction.width,
        "box_format": _BOX_FORMAT,
        "boxes": [[round(float(v), 3) for v in box] for box in prediction.boxes],
        "scores": [round(float(v), 6) for v in prediction.scores],
        "classes": [int(v) for v in prediction.classes],
        "names": list(prediction.names),
    }
    if prediction.regions is not None:
        entry["regions"] = [int(v) for v in prediction.regions]
    if masks == "rle":
        codes = prediction.rles()
        entry["masks"] = None if codes is None else [rle_text(code) for code in codes]
    elif masks == "polygon":
        entry["polygons"] = prediction.polygons(tolerance)
    return entry


def is_ours(path: str | os.PathLike) -> bool:
    """Return whether a JSON file begins like that of `to_json`, or is empty."""
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    return not head.strip() or f'"box_format": "{_BOX_FORMAT}"'.encode() in head


def rle_text(code: dict) -> dict:
    """Return a COCO RLE as JSON stores it: with `counts` as text."""
    return {"size": [int(v) for v in code["size"]], "counts": code["counts"].decode("ascii")}


def coco_entries(
    prediction: Prediction, image_id: object, category_ids: Mapping | None = None
) -> list[dict]:
    """Return the detections in an image as entries of a COCO result file.

    Args:
        prediction: The detections.
        image_id: As in the ground truth; "12" becomes a number, "0012" stays text.
        category_ids: {class id: category id of the ground truth}; None: they are the same.
    """
    classes = prediction.classes
    if category_ids is not None:
        classes = np.array([category_ids[int(k)] for k in classes], np.int64)
    return coco_results.entries_of(image_id, prediction.instances._replace(classes=classes))


def draw(image: np.ndarray, prediction: Prediction, category_index: Mapping) -> np.ndarray:
    """Return a copy of the image (uint8 [h, w, 3]) with the prediction, enlarged if small."""
    index = dict(category_index)
    for number, name in zip(prediction.classes, prediction.names, strict=True):
        index[int(number)] = {"id": int(number), "name": name}
    remarks = [f"{round(100 * float(score))}%" for score in prediction.scores]
    return drawing.draw(image, prediction.instances, index, remarks=remarks)


def output_names(image_files) -> list[str]:
    """Return a unique file name without ending for each image.

    It is the image's own name. Images that share a name keep their endings and as many of their
    folders as needed: a/x.jpg and b/x.jpg become a__x.jpg and b__x.jpg.
    """
    groups = {}
    for index, file in enumerate(map(Path, image_files)):
        groups.setdefault(file.stem.casefold(), []).append((index, file))  # some disks ignore case
    taken = {stem for stem, group in groups.items() if len(group) == 1}
    names = {group[0][0]: group[0][1].stem for group in groups.values() if len(group) == 1}
    for group in groups.values():
        if len(group) > 1:
            for (index, _), name in zip(group, _longer_names(group, taken), strict=True):
                names[index] = name
                taken.add(name.casefold())
    return [names[index] for index in range(len(names))]


def _longer_names(group, taken):
    """Return names from the ends of the paths, the shortest that are unique and not `taken`."""
    parts = [[part for part in file.parts if part != file.anchor] for _, file in group]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["__".join(part[-depth:]) for part in parts]
        folded = {name.casefold() for name in names}
        if len(folded) == len(names) and not folded & taken:
            return names
    return [
        f"{'__'.join(part)}__{index + 1}" for part, (index, _) in zip(parts, group, strict=True)
    ]


def write(folder, name, image, prediction, *, image_file, category_index):
    """Write NAME.png and NAME.json."""
    picture = draw(image, prediction, category_index)
    visualization_utils.save_image_array_as_png(picture, Path(folder) / f"{name}.png")
    text = json.dumps(to_json(prediction, image_file), ensure_ascii=False)
    atomic.write_text(Path(folder) / f"{name}.json", text + "\n")
