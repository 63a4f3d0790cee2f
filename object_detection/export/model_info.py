"""model_info.json: the description of an exported model, for servers and people."""

import datetime
import hashlib
import json
import platform

import keras
import numpy as np
import tensorflow as tf

import object_detection
from object_detection.config import pipeline_file
from object_detection.utils import label_map_util

NAME = "model_info.json"


def describe(config, options, *, network, resizer, module, label_map, ids):
    """Describe an export as values of json.

    Args:
        config: TrainEvalPipelineConfig.
        options: `ExportOptions`.
        network: the `FasterRCNN`, narrowed as the options say.
        resizer: an `ops.image.Resizer`.
        module: the `serving.ServedModel`.
        label_map: path of the label map, or None.
        ids: the selected classes, or () for all.
    """
    items = label_map_util.load_labelmap(str(label_map)).item if label_map else []
    rcnn = config.model.faster_rcnn
    return {
        "format": 1,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "config_sha256": hashlib.sha256(pipeline_file.as_text(config).encode()).hexdigest(),
        "versions": {
            "object_detection": object_detection.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "feature_extractor": rcnn.feature_extractor.type,
        "number_of_stages": rcnn.number_of_stages,
        "num_classes": rcnn.num_classes,
        "classes": [
            {"id": item.id, "name": item.display_name or item.name}
            for item in items
            if not ids or item.id in ids
        ],
        "detected_classes": list(ids) or list(range(1, rcnn.num_classes + 1)),
        "input_type": options.input_type,
        "signatures": {name: _shapes(function) for name, function in module.signatures.items()},
        "resizer": _resizer(resizer),
        "thresholds": _thresholds(network),
        "masks": options.masks,
        "precision": options.precision,
        "optimized": options.optimize,
        "parameters": int(sum(np.prod(variable.shape) for variable in network.variables)),
    }


def write(path, description):
    """Write a description as json."""
    path.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def _shapes(function):
    """Return {"inputs": {name: {"dtype", "shape"}}, "outputs": ...}; null is any size."""
    concrete = function.get_concrete_function()
    inputs = {spec.name: spec for spec in concrete.structured_input_signature[0]}
    return {
        kind: {name: {"dtype": s.dtype.name, "shape": list(s.shape)} for name, s in specs.items()}
        for kind, specs in (("inputs", inputs), ("outputs", concrete.structured_outputs))
    }


def _resizer(resizer):
    fields = {k: v for k, v in vars(resizer).items() if isinstance(v, (int, float, str, tuple))}
    return {"kind": type(resizer).__name__, **fields}


def _thresholds(network):
    """Return the limits that select the detections."""
    stage = getattr(network, "roi_stage", None)
    if stage is not None:
        settings = stage.detection
        return {
            "score": settings.score_threshold,
            "iou": settings.iou_threshold,
            "max_detections": settings.max_total,
            "max_detections_per_class": settings.max_per_class,
        }
    if getattr(network, "rpn", None) is None:
        return {}
    settings = network.rpn.settings
    return {
        "score": settings.nms_score_threshold,
        "iou": settings.nms_iou_threshold,
        "max_detections": settings.max_proposals,
    }
