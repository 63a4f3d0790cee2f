"""Detections as a COCO result file: written, and read back from whoever wrote it.

The file is a json list with an entry a detection: `image_id`, `category_id`, `score`, `bbox` (x, y,
width, height in pixels) and, where there are masks, `segmentation`.
"""

import json
import math
from pathlib import Path

import numpy as np
from pycocotools import mask as rle_codec

from object_detection.metrics.images import ImageDetections


class ResultFileError(ValueError):
    """A file that holds no results; says where and why."""


def entries_of(image_id, detections, height, width):
    """The entries of one image.

    Args:
        image_id: as in the ground truth; a text that is a whole number becomes one.
        detections: ImageDetections.
        height, width: of the image, in pixels.
    """
    image_id = int(image_id) if str(image_id).isdecimal() else image_id
    masks = detections.encoded(height, width).masks
    found = []
    for k, (ymin, xmin, ymax, xmax) in enumerate(np.asarray(detections.boxes, float).tolist()):
        entry = {
            "image_id": image_id,
            "category_id": int(detections.classes[k]),
            "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
            "score": float(detections.scores[k]),
        }
        if masks is not None:
            size = [int(side) for side in masks[k]["size"]]
            entry["segmentation"] = {"size": size, "counts": masks[k]["counts"].decode("ascii")}
        found.append(entry)
    return found


def write(path, images):
    """Writes a result file, image by image.

    Args:
        path: of the json.
        images: iterable of (image id, ImageDetections, height, width).

    Returns:
        How many detections were written.
    """
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write("[")
        for image in images:
            for entry in entries_of(*image):
                file.write(("," if count else "") + "\n" + json.dumps(entry))
                count += 1
        file.write("\n]\n")
    return count


def read(path, sizes=None):
    """Reads a result file.

    Args:
        path: of the json.
        sizes: {image id as text: (height, width)}; needed for masks given as polygons alone.

    Returns:
        {image id as text: ImageDetections}, in the order of the file. Masks are COCO RLEs; they are
        None where no detection of the image has one. A missing box is the mask's.

    Raises:
        ResultFileError: no json list of such entries; the message names the first that is not.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ResultFileError(f"{path} cannot be read as json: {error}") from None
    if not isinstance(entries, list):
        hint = ""
        if isinstance(entries, dict) and "annotations" in entries:
            hint = "; it looks like a ground truth (instances_*.json)"
        raise ResultFileError(f"{path} holds no list of detections{hint}.")
    rows = {}
    for place, entry in enumerate(entries):
        try:
            row = _row(entry, sizes or {})
        except (KeyError, TypeError, ValueError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            text = json.dumps(entry)[:200]
            raise ResultFileError(
                f"{path}: entry {place + 1} is no detection: {reason}. A detection has image_id, "
                f"category_id, score and bbox or segmentation; this is {text}"
            ) from None
        rows.setdefault(str(entry["image_id"]), []).append(row)
    return {image_id: _detections(image_id, found, path) for image_id, found in rows.items()}


def _row(entry, sizes):
    """(corners, score, class, RLE or None) of one entry."""
    box, mask = entry.get("bbox"), entry.get("segmentation")
    if box is None and mask is None:
        raise KeyError("bbox, nor segmentation")
    if mask is not None:
        mask = _rle(mask, sizes.get(str(entry["image_id"])))
        box = rle_codec.toBbox(mask).tolist() if box is None else box
    x, y, width, height = (float(value) for value in box)
    score, number = float(entry["score"]), int(entry["category_id"])
    if not math.isfinite(x + y + width + height + score):
        raise ValueError("not all of its numbers are finite")
    return (y, x, y + height, x + width), score, number, mask


def _rle(mask, size):
    """A segmentation in any of COCO's forms as RLE with counts in bytes."""
    if isinstance(mask, list):
        if size is None:
            raise ValueError("its polygon needs the image's size, which is not known")
        return rle_codec.merge(rle_codec.frPyObjects(mask, *size))
    counts, size = mask["counts"], [int(side) for side in mask["size"]]
    if isinstance(counts, list):
        return rle_codec.frPyObjects({"size": size, "counts": counts}, *size)
    return {"size": size, "counts": counts.encode("ascii") if isinstance(counts, str) else counts}


def _detections(image_id, rows, path):
    masks = [row[3] for row in rows]
    if any(mask is None for mask in masks) and any(mask is not None for mask in masks):
        raise ResultFileError(f"{path}: only some detections of image {image_id} have masks.")
    return ImageDetections(
        boxes=np.array([row[0] for row in rows]).reshape(-1, 4),
        scores=np.array([row[1] for row in rows]),
        classes=np.array([row[2] for row in rows], np.int64),
        masks=None if masks[0] is None else masks,
    )
