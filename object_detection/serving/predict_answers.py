"""What the model found, as clients expect it: TensorFlow Serving's and azoda's JSON."""

import numpy as np
import orjson
from google.protobuf import json_format

from object_detection.serving import mask_forms
from object_detection.serving.limits import Refusal

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def as_json(value):
    """The bytes of JSON, arrays inside included."""
    return orjson.dumps(value, option=_OPTIONS, default=_plain)


def by_row_or_column(parsed, outputs, form):
    """TensorFlow Serving's answer to a predict request.

    Args:
        parsed: the `Parsed` request.
        outputs: {name: array [n, ...]} for each of its items.
        form: of masks, see `mask_forms`. Compact ones come as rows, whatever the request was.

    Raises:
        Refusal: 400, outputs that have no row for each image, where rows are asked for.
    """
    if form != "box":
        if not parsed.signature.mixes:
            raise Refusal(406, f"signature {parsed.signature.name} has no compact form")
        rows = [
            mask_forms.compact(_row(found), form, item.size)
            for item, found in zip(parsed.items, outputs, strict=True)
        ]
        return {"predictions": rows}
    if parsed.by_row:
        return {"predictions": [row for found in outputs for row in _rows(found)]}
    return {"outputs": joined(outputs)}


def scored(parsed, outputs, names, prob, form):
    """azoda's answer: a list with one dictionary for each detection that scores more than `prob`.

    Args:
        parsed: the `Parsed` request of one image.
        outputs: {name: array [1, ...]} of it, alone in a list.
        names: {class id: name}.
        prob: 0 to 1.
        form: of masks, see `mask_forms`.
    """
    row = _row(outputs[0])
    count = int(row["num_detections"])
    kept = np.flatnonzero(row["detection_scores"][:count] > prob)
    boxes = row["detection_boxes"][kept]
    classes = row.get("detection_classes", np.ones(count))[kept].astype(int)
    masks = row.get("detection_masks")
    if masks is not None:
        masks = mask_forms.coded(masks[kept], boxes, form, parsed.items[0].size)
    found = []
    for k, (place, class_id) in enumerate(zip(kept, classes.tolist(), strict=True)):
        entry = {
            "class": class_id,
            "label": names.get(class_id, f"class {class_id}"),
            "confidence": float(row["detection_scores"][place]),
            "bounding_box": boxes[k].tolist(),
        }
        if masks is not None:
            entry["mask"] = masks[k]
        found.append(entry)
    return found


def joined(outputs):
    """{name: array [n, ...]} of all items of a request."""
    if len(outputs) == 1:
        return outputs[0]
    return {name: _stacked([found[name] for found in outputs]) for name in outputs[0]}


def metadata(name, version):
    """TensorFlow Serving's metadata of a `Version`; its `label_map` is our addition."""
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
    """One dictionary for each image of {name: array [n, ...]}; bare values of a single output."""
    counts = {value.shape[0] if value.ndim else 0 for value in outputs.values()}
    if len(counts) != 1:
        raise Refusal(400, "this signature's outputs have no row for each image; ask with 'inputs'")
    (count,) = counts
    return [{name: value[k] for name, value in outputs.items()} for k in range(count)]


def _stacked(values):
    """[n, ...] of parts [1, ...]; where their second sides differ, zeros fill the shorter."""
    most = np.max([value.shape for value in values], axis=0)
    if all(value.shape[1:] == tuple(most[1:]) for value in values):
        return np.concatenate(values)
    whole = np.zeros([sum(map(len, values)), *most[1:]], values[0].dtype)
    first = 0
    for value in values:
        place = tuple(slice(0, side) for side in value.shape[1:])
        whole[(slice(first, first + len(value)), *place)] = value
        first += len(value)
    return whole


def _plain(value):
    """What JSON's writer does not know: arrays that are no plain block, bytes, numbers of numpy."""
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype == object else np.ascontiguousarray(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"{type(value).__name__} has no JSON")
