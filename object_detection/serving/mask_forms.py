"""In which form an answer's masks travel, and what the client asked for with `Accept`.

- box: probabilities inside the box as nested lists: TFOD's exports', TensorFlow Serving's, azoda's.
- rle: COCO's run lengths of the mask of the whole image, ready to use.
- png: the probabilities inside the box as a grey picture, 255 for 1, in base64.
- none: no masks.

In the compact forms the padding of the outputs, and what is no detection, is left out too.
"""

import base64
import io

import numpy as np
from PIL import Image

from object_detection.serving.limits import Refusal
from object_detection.structures.masks import Masks

FORMS = ("box", "rle", "png", "none")
_KEPT = ("detection_boxes", "detection_classes", "detection_scores", "detection_masks")
_TYPES = ("application/json", "application/*", "*/*")


def asked_for(accept):
    """The form of masks that an Accept header asks for.

    Args:
        accept: such as "application/json; masks=rle"; of several the one with the highest `q`.

    Raises:
        Refusal: 406, nothing that it lists can be had.
    """
    best, form = 0.0, None
    for kind in (accept or "*/*").split(","):
        name, *parameters = (part.strip().lower() for part in kind.split(";"))
        given = dict(part.split("=", 1) for part in parameters if "=" in part)
        wanted = given.get("masks", "box").strip(' "')
        quality = _quality(given.get("q", "1"))
        if name in _TYPES and wanted in FORMS and quality > best:
            best, form = quality, wanted
    if form is None:
        raise Refusal(
            406,
            f"Accept is {accept[:200]!r}; answers are application/json, with masks in one of the "
            f"forms {', '.join(FORMS)}: application/json; masks=rle",
        )
    return form


def media_type(form):
    """The Content-Type of an answer."""
    return "application/json" if form == "box" else f"application/json; masks={form}"


def compact(outputs, form, size):
    """The detections of one image in one of the compact forms.

    Args:
        outputs: {name: array [N, ...]} of one image under TFOD's names.
        form: one of `FORMS`.
        size: (height, width) of the image.

    Returns:
        {name: array, or of masks a list}, each with num_detections rows.
    """
    count = int(outputs["num_detections"])
    kept = {name: outputs[name][:count] for name in _KEPT if name in outputs}
    kept["num_detections"] = outputs["num_detections"]
    if form == "none":
        kept.pop("detection_masks", None)
    elif "detection_masks" in kept:
        kept["detection_masks"] = coded(
            kept["detection_masks"], kept["detection_boxes"], form, size
        )
    return kept


def coded(masks, boxes, form, size):
    """Masks of boxes in a form.

    Args:
        masks: [d, M, M] float probabilities inside the boxes.
        boxes: [d, 4] (ymin, xmin, ymax, xmax), shares of the image.
        form: one of `FORMS`.
        size: (height, width) of the image.

    Returns:
        The array itself for "box", None for "none"; else a list of dictionaries.
    """
    if form == "box":
        return masks
    if form == "none":
        return None
    if form == "png":
        return [{"png": _png(mask)} for mask in masks]
    height, width = size
    pixels = np.asarray(boxes, np.float32) * np.array([height, width] * 2, np.float32)
    return [
        {"size": [height, width], "counts": code["counts"].decode("ascii")}
        for code in Masks.from_box_masks(masks, pixels, height, width).to_rle()
    ]


def _png(mask):
    file = io.BytesIO()
    grey = np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(grey).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _quality(text):
    try:
        return float(text)
    except ValueError:
        return 0.0
