"""The inference JSON of Supervisely's plugins: {"model": {...}, "mode": {...}}, all five modes."""

import json

from object_detection.errors import SettingsError
from object_detection.integrations.supervisely.settings import (
    ALL,
    NAMES,
    SIDE,
    Key,
    Settings,
    checked,
    described,
    load,
)

FULL_IMAGE, ROI, BBOXES = "full_image", "roi", "bboxes"
WINDOWS, WINDOWS_DET = "sliding_window", "sliding_window_det"
MODES = (FULL_IMAGE, ROI, BBOXES, WINDOWS, WINDOWS_DET)
CONFIDENCE = "confidence"

_MODEL = {
    "gpu_device": Key(int, least=0),
    "confidence_tag_name": Key(str, CONFIDENCE),
    "min_confidence_threshold": Key(float, 0.0, least=0, most=1),
}
_CHOICE = {
    "save_classes": Key(NAMES, None),
    "save_names": Key(NAMES, None),
    "add_suffix": Key(str, ""),
}
_NAME = Key(str, one_of=MODES)
_COMMON = {
    "name": _NAME,
    "model_classes": _CHOICE,
    "model_tags": _CHOICE,
    "save_probabilities": Key(bool, False),
}
_SIDES = {side: Key(SIDE) for side in ("left", "top", "right", "bottom")}
_SLIDING = {
    "window": {"width": Key(int, 128, least=1), "height": Key(int, 128, least=1)},
    "min_overlap": {"x": Key(int, 0, least=0), "y": Key(int, 0, least=0)},
    "save": Key(bool, False),
    "class_name": Key(str, "sliding_window"),
}
_OF_MODE = {
    FULL_IMAGE: {},
    ROI: {"bounds": _SIDES, "save": Key(bool, False), "class_name": Key(str, "inference_roi")},
    BBOXES: {
        "from_classes": Key(NAMES),
        "padding": _SIDES,
        "save": Key(bool, False),
        "add_suffix": Key(str, "_input_bbox"),
    },
    WINDOWS: _SLIDING,
    WINDOWS_DET: {
        **_SLIDING,
        "nms_after": {
            "enable": Key(bool, False),
            "iou_threshold": Key(float, 0.5, least=0, most=1),
            "confidence_tag_name": Key(str, None),
        },
    },
}


def read(path) -> Settings:
    """The `Settings` of an inference JSON.

    Of "save_classes" and its new name "save_names" one may be there; the values hold "classes".

    Raises:
        SettingsError: file and key, and what is allowed.
    """
    content = load(path)
    mode = content.get("mode")
    name = mode.get("name") if isinstance(mode, dict) else None
    if name not in MODES:
        there = isinstance(mode, dict) and "name" in mode
        found = f"is {json.dumps(name)}" if there else "is missing"
        raise SettingsError(f"{path}: mode.name {found}; it has to be {described(_NAME)}")
    keys = {"model": _MODEL, "mode": {**_COMMON, **_OF_MODE[name]}}
    settings = checked(content, keys, path)
    for part in ("model_classes", "model_tags"):
        _one_name(settings, part)
    if name in (WINDOWS, WINDOWS_DET):
        _check_overlap(settings)
    if name == WINDOWS_DET:
        tag = settings.values["mode"]["nms_after"]["confidence_tag_name"]
        own = settings.values["model"]["confidence_tag_name"]
        if tag not in (None, own):
            raise settings.fault(
                "mode.nms_after.confidence_tag_name",
                f"is {tag!r}, but model.confidence_tag_name is {own!r}; they have to be the same",
            )
    if settings.values["mode"]["save_probabilities"] and name in (WINDOWS, WINDOWS_DET):
        raise settings.fault(
            "mode.save_probabilities",
            "is true, but masks that are joined from windows hold no probabilities; set it to "
            f"false, or take mode {FULL_IMAGE!r}, {ROI!r} or {BBOXES!r}",
        )
    return settings


def _one_name(settings, part):
    values = settings.values["mode"][part]
    old, new = values.pop("save_classes"), values.pop("save_names")
    if old is not None and new is not None:
        raise settings.fault(
            f"mode.{part}.save_names", "says the same as save_classes, which is there too; keep one"
        )
    key = "save_names" if new is not None else "save_classes"
    chosen = ALL if old is None and new is None else new if new is not None else old
    if chosen == []:
        raise settings.fault(
            f"mode.{part}.{key}", f'is [], which matches nothing; list names or write "{ALL}"'
        )
    values["names"], values["key"] = chosen, f"mode.{part}.{key}"


def _check_overlap(settings):
    mode = settings.values["mode"]
    for axis, side in (("x", "width"), ("y", "height")):
        overlap, window = mode["min_overlap"][axis], mode["window"][side]
        if overlap >= window:
            raise settings.fault(
                f"mode.min_overlap.{axis}",
                f"is {overlap}, too high for mode.window.{side}, which is {window}: it has to be "
                "smaller",
            )
