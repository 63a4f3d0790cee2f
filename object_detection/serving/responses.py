"""Responses of a server: TensorFlow Serving's and azoda's JSON, masks in the format of `Accept`.

- box: probabilities inside the box as nested lists, as in TFOD, TensorFlow Serving and azoda.
- rle: COCO's run lengths of the mask of the whole image.
- png: the probabilities inside the box as a gray picture, 255 for 1, in base64.
- none: no masks.

The compact formats (all but box) also leave out the padding of the outputs.
"""

import base64
import io

import numpy as np
import orjson
from google.protobuf import json_format
from PIL import Image

from object_detection.serving.limits import RequestError
from object_detection.structures.masks import Masks

MASK_FORMATS = ("box", "rle", "png", "none")
_KEPT = ("detection_boxes", "detection_classes", "detection_scores", "detection_masks")
_TYPES = ("application/json", "application/*", "*/*")


def requested_mask_format(accept):
    """Return the mask format that an Accept header requests.

    Args:
        accept: such as "application/json; masks=rle"; of several the one with the highest `q`.

    Raises:
        RequestError: 406, it lists no supported format.
    """
    best, mask_format = 0.0, None
    for kind in (accept or "*/*").split(","):
        name, *parameters = (part.strip().lower() for part in kind.split(";"))
        parameters = dict(part.split("=", 1) for part in parameters if "=" in part)
        selected = parameters.get("masks", "box").strip(' "')
        quality = _quality(parameters.get("q", "1"))
        if name in _TYPES and selected in MASK_FORMATS and quality > best:
            best, mask_format = quality, selected
    if mask_format is None:
        raise RequestError(
            406,
            f"Accept is {accept[:200]!r}; available: application/json, with masks in one of the "
            f"formats {', '.join(MASK_FORMATS)}: application/json; masks=rle",
        )
    return mask_format


def media_type(mask_format):
    """Return the Content-Type of a response."""
    return "application/json" if mask_format == "box" else f"application/json; masks={mask_format}"


def compact_detections(outputs, mask_format, size):
    """Return the detections of one image in one of the compact formats.

    Args:
        outputs: {name: array [N, ...]} of one image under TFOD's names.
        mask_format: one of `MASK_FORMATS`.
        size: (height, width) of the image.

    Returns:
        {name: array, or of masks a list}, each with num_detections rows.
    """
    count = int(outputs["num_detections"])
    kept = {name: outputs[name][:count] for name in _KEPT if name in outputs}
    kept["num_detections"] = outputs["num_detections"]
    if mask_format == "none":
        kept.pop("detection_masks", None)
    elif "detection_masks" in kept:
        kept["detection_masks"] = encode_masks(
            kept["detection_masks"], kept["detection_boxes"], mask_format, size
        )
    return kept


def encode_masks(masks, boxes, mask_format, size):
    """Encode masks of boxes.

    Args:
        masks: [d, M, M] float probabilities inside the boxes.
        boxes: [d, 4] (ymin, xmin, ymax, xmax), fractions of the image.
        mask_format: one of `MASK_FORMATS`.
        size: (height, width) of the image.

    Returns:
        The array itself for "box", None for "none"; else a list of dictionaries.
    """
    if mask_format == "box":
        return masks
    if mask_format == "none":
        return None
    if mask_format == "png":
        return [{"png": _png(mask)} for mask in masks]
    height, width = size
    pixels = np.asarray(boxes, np.float32) * np.array([height, width] * 2, np.float32)
    return [
        {"size": [height, width], "counts": code["counts"].decode("ascii")}
        for code in Masks.from_box_masks(masks, pixels, height, width).to_rle()
    ]


def _png(mask):
    file = io.BytesIO()
    gray = np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(gray).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _quality(text):
    try:
        return float(text)
    except ValueError:
        return 0.0


_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def to_json(value):
    """Return a value with arrays inside as JSON, in bytes."""
    return orjson.dumps(value, option=_OPTIONS, default=_to_plain)


def prediction_response(parsed, outputs, mask_format):
    """Return TensorFlow Serving's response to a predict request.

    Args:
        parsed: the `Parsed` request.
        outputs: {name: array [n, ...]} for each of its items.
        mask_format: one of `MASK_FORMATS`. Compact ones are returned as rows in any case.

    Raises:
        RequestError: 400, rows are requested of outputs that have no row for each image.
    """
    if mask_format != "box":
        if not parsed.signature.mixes:
            raise RequestError(406, f"signature {parsed.signature.name} has no compact format")
        rows = [
            compact_detections(_row(values), mask_format, item.size)
            for item, values in zip(parsed.items, outputs, strict=True)
        ]
        return {"predictions": rows}
    if parsed.by_row:
        return {"predictions": [row for values in outputs for row in _rows(values)]}
    return {"outputs": concatenate_items(outputs)}


def score_response(parsed, outputs, names, prob, mask_format):
    """Return azoda's response: one dictionary for each detection with a score above `prob`.

    Args:
        parsed: the `Parsed` request of one image.
        outputs: {name: array [1, ...]} of it, in a list of one.
        names: {class id: name}.
        prob: 0 to 1.
        mask_format: one of `MASK_FORMATS`.
    """
    row = _row(outputs[0])
    count = int(row["num_detections"])
    kept = np.flatnonzero(row["detection_scores"][:count] > prob)
    boxes = row["detection_boxes"][kept]
    classes = row.get("detection_classes", np.ones(count))[kept].astype(int)
    masks = row.get("detection_masks")
    if masks is not None:
        masks = encode_masks(masks[kept], boxes, mask_format, parsed.items[0].size)
    detections = []
    for k, (row_index, class_id) in enumerate(zip(kept, classes.tolist(), strict=True)):
        entry = {
            "class": class_id,
            "label": names.get(class_id, f"class {class_id}"),
            "confidence": float(row["detection_scores"][row_index]),
            "bounding_box": boxes[k].tolist(),
        }
        if masks is not None:
            entry["mask"] = masks[k]
        detections.append(entry)
    return detections


def concatenate_items(outputs):
    """Return {name: array [n, ...]} of all items of a request."""
    if len(outputs) == 1:
        return outputs[0]
    return {name: _stack_padded([values[name] for values in outputs]) for name in outputs[0]}


def metadata(name, version):
    """Return TensorFlow Serving's metadata of a `Version`; its `label_map` is our addition."""
    signatures = {
        key: json_format.MessageToDict(
            definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for key, definition in version.model.definitions.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version.number)},
        "metadata": {
            "signature_def": {"signature_def": signatures},
            "label_map": {str(number): text for number, text in version.model.names.items()},
        },
    }


def _row(outputs):
    return {name: value[0] for name, value in outputs.items()}


def _rows(outputs):
    """Return one dictionary for each image of {name: array [n, ...]}."""
    counts = {value.shape[0] if value.ndim else 0 for value in outputs.values()}
    if len(counts) != 1:
        raise RequestError(
            400, "this signature's outputs have no row for each image; send 'inputs'"
        )
    (count,) = counts
    return [{name: value[k] for name, value in outputs.items()} for k in range(count)]


def _stack_padded(values):
    """Stack parts [1, ...] to [n, ...], padded with zeros if their sizes differ."""
    most = np.max([value.shape for value in values], axis=0)
    if all(value.shape[1:] == tuple(most[1:]) for value in values):
        return np.concatenate(values)
    whole = np.zeros([sum(map(len, values)), *most[1:]], values[0].dtype)
    first = 0
    for value in values:
        region = tuple(slice(0, side) for side in value.shape[1:])
        whole[(slice(first, first + len(value)), *region)] = value
        first += len(value)
    return whole


def _to_plain(value):
    """Convert values that orjson does not support: strided arrays, bytes, numpy scalars."""
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype == object else np.ascontiguousarray(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"{type(value).__name__} has no JSON")
