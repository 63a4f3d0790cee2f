"""Detections as a COCO result file: written, and read back from whoever wrote it.

The file is a json list with an entry a detection: `image_id`, `category_id`, `score`, `bbox` (x, y,
width, height in pixels) and, where there are masks, `segmentation`.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_codec

from object_detection import atomic
from object_detection.errors import ResultFileError
from object_detection.structures import coco_json
from object_detection.structures.instances import Instances
from object_detection.structures.masks import Masks
from object_detection.structures.run_lengths import whole_number

LONGEST_INTEGER = 4000  # digits; Python refuses to read more than 4,300
LEAST_SIDE = -1e-3  # pixels; smaller sides are errors, not the result of rounding


def entries_of(image_id: object, detections: Instances) -> list[dict]:
    """Return the entries of one image.

    Args:
        image_id: As in the ground truth; "12" becomes a number, "0012" stays text.
        detections: In pixels of the image.
    """
    number = whole_number(image_id)
    return detections.to_coco(number if str(number) == str(image_id) else image_id)


def write(path: str | Path, images: Iterable[tuple[object, Instances]]) -> int:
    """Write a result file, image by image.

    Args:
        path: Of the json.
        images: (image id, detections) of each image.

    Returns:
        Number of detections written.
    """
    count = 0
    with atomic.replacing(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write("[")
        for image_id, detections in images:
            for entry in entries_of(image_id, detections):
                file.write(("," if count else "") + "\n" + json.dumps(entry))
                count += 1
        file.write("\n]\n")
    return count


class _Row(NamedTuple):
    """One detection as read."""

    place: int  # of the entry in the file, from 1
    box: tuple[float, float, float, float]  # ymin, xmin, ymax, xmax
    score: float
    category: int
    mask: dict | None  # RLE


def read(path: str | Path, sizes: Mapping | None = None) -> dict[str, Instances]:
    """Read a result file.

    Args:
        path: Of the json.
        sizes: {image id as text: (height, width)}. Masks have to be of this size; it is required
            only for polygons.

    Returns:
        {image id as text: detections}, in the order of the file; ids as `coco_json.id_text` writes
        them. An image of unknown size has that of its first mask, else 0 x 0. A missing box is the
        mask's.

    Raises:
        ResultFileError: Not a json list of such entries; the message names the first bad one.
    """
    entries = _entries(path)
    table = coco_json.IdTable(sizes or {})
    rows, with_mask, without = {}, None, None
    for place, entry in enumerate(entries, 1):
        try:
            image_id, row = _row(place, entry, table, sizes or {})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise ResultFileError(
                f"{path}: entry {place} is no detection: {reason}. A detection has image_id, "
                f"category_id, score and bbox or segmentation; this is {_shown(entry)}"
            ) from None
        rows.setdefault(image_id, []).append(row)
        if row.mask is None:
            without = without or (place, image_id)
        else:
            with_mask = with_mask or (place, image_id)
    if with_mask and without:
        raise ResultFileError(
            f"{path}: only some detections have masks: entry {with_mask[0]} (image {with_mask[1]}) "
            f"has a segmentation, entry {without[0]} (image {without[1]}) has none. Write a "
            "segmentation for every detection, or for none"
        )
    return {
        image_id: _detections(of_image, (sizes or {}).get(image_id))
        for image_id, of_image in rows.items()
    }


def _entries(path):
    """Return the list in the file."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        try:
            entries = json.loads(text)
        except json.JSONDecodeError:
            raise
        except ValueError:  # an integer of more digits than Python reads
            entries = json.loads(text, parse_int=_bounded_int)
    except RecursionError:
        raise ResultFileError(f"{path} cannot be read as json: it is nested too deep") from None
    except (OSError, ValueError) as error:
        raise ResultFileError(f"{path} cannot be read as json: {error}") from None
    if not isinstance(entries, list):
        hint = ""
        if isinstance(entries, dict) and "annotations" in entries:
            hint = "; it looks like a ground truth (instances_*.json)"
        raise ResultFileError(f"{path} holds no list of detections{hint}.")
    return entries


def _bounded_int(text):
    return int(text) if len(text) <= LONGEST_INTEGER else float(text)


def _row(place, entry, table, sizes):
    """Return (image id, `_Row`) of one entry; raises if it is not a detection."""
    if not isinstance(entry, dict):
        raise TypeError("it is not an object {...}")
    box, mask = entry.get("bbox"), coco_json.read_segmentation(entry.get("segmentation"))
    if box is None and mask is None:
        raise KeyError("bbox, nor segmentation")
    image_id = coco_json.id_text(entry["image_id"])
    if image_id is None:
        raise ValueError("its image_id is neither a number nor a text")
    image_id = table.find(image_id) or image_id
    number = whole_number(entry["category_id"])
    if number is None or not -(2**62) < number < 2**62:
        raise ValueError("its category_id is not a whole number of 62 bits")
    if mask is not None:
        mask = _rle(entry["segmentation"], mask, sizes.get(image_id))
        box = rle_codec.toBbox(mask).tolist() if box is None else box
    box, score = coco_json.read_box(box), _score(entry["score"])
    if not math.isfinite(sum(box) + score):
        raise ValueError("not all of its numbers are finite")
    if min(box[2] - box[0], box[3] - box[1]) < LEAST_SIDE:
        raise ValueError("its bbox has a negative width or height")
    return image_id, _Row(place, box, score, number, mask)


def _score(value):
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("its score is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ValueError("its score is not a number") from None


def _rle(value, read, size):
    """Return a segmentation in any of COCO's forms as a checked RLE."""
    if size is None:
        if read.parts is not None:
            raise ValueError("its polygon needs the image's size, which is not known")
        size = read.size
    return coco_json.to_rle(value, *size)


def _shown(entry):
    """Return the beginning of an entry, for a message."""
    try:
        text = json.dumps(entry)
    except (ValueError, RecursionError):  # integers of more digits than Python writes
        text = f"a {type(entry).__name__}"
    return text if len(text) <= 200 else f"{text[:197]}..."


def _detections(rows, size):
    """Return the detections of one image; of an unknown size they have that of the first mask."""
    masks = None if rows[0].mask is None else [row.mask for row in rows]
    height, width = size or (masks[0]["size"] if masks else (0, 0))
    return Instances(
        height,
        width,
        boxes=np.array([row.box for row in rows]).reshape(-1, 4),
        classes=np.array([row.category for row in rows], np.int64),
        scores=np.array([row.score for row in rows]),
        masks=None if masks is None else Masks.from_checked_rle(masks, height, width),
    )
