"""Supervisely's training and inference JSON, as its Mask R-CNN plugin documents them."""

import json

from absl import logging

from object_detection.errors import SettingsError
from object_detection.integrations import json_settings
from object_detection.integrations.json_settings import (
    ALL,
    INTS,
    NAMES,
    REQUIRED,
    SIDE,
    JsonFile,
    Key,
    Settings,
)

EXPORT = "exported"  # folder of the export in a result
LAYERS = ("all", "3+", "4+", "5+", "heads")
TRANSFER, CONTINUE = "transfer_learning", "continue_training"
_SIDE = Key(int, least=1)
_TRAIN_KEYS = {
    "lr": Key(float, REQUIRED, above=0),
    "epochs": Key(int, 2, least=1),
    "batch_size.train": Key(int, 1, least=1),  # of each GPU
    "batch_size.val": Key(int, 1, least=1),
    "input_size.min_dim": _SIDE,
    "input_size.max_dim": _SIDE,
    "input_size.width": Key(int, 0, least=0),  # 0: not set
    "input_size.height": Key(int, 0, least=0),
    "gpu_devices": Key(INTS, [0]),
    "dataset_tags.train": Key(str, REQUIRED),
    "dataset_tags.val": Key(str, REQUIRED),
    "train_layers": Key(str, "all", one_of=LAYERS),
    "special_classes.background": Key(str, "bg"),
    "special_classes.neutral": Key(str),
    "weights_init_type": Key(str, REQUIRED, one_of=(TRANSFER, CONTINUE)),
    "val_every": Key(float, 1.0, above=0),  # epochs
    "data_workers.train": Key(int, least=0),
    "data_workers.val": Key(int, least=0),
}


def read_train_settings(path) -> Settings:
    """Read the settings of a training JSON; the values are as nested as in the file.

    Raises:
        SettingsError: the file cannot be used.
    """
    settings = json_settings.check(JsonFile(path), _TRAIN_KEYS)
    settings = settings._replace(values=settings.nested())
    size = settings.values["input_size"]
    fixed = (size["width"], size["height"])
    if any(fixed) and not all(fixed):
        missing = "height" if size["width"] else "width"
        raise settings.error(f"input_size.{missing}", "is missing; set both width and height")
    named = [name for name in ("min_dim", "max_dim") if size[name] is not None]
    if all(fixed) and named:
        raise settings.error(
            f"input_size.{named[0]}",
            "conflicts with width and height; set these two, or min_dim and max_dim",
        )
    if not all(fixed) and len(named) < 2:
        missing = "max_dim" if "min_dim" in named else "min_dim"
        raise settings.error(
            f"input_size.{missing}", "is missing; it must be a whole number (at least 1)"
        )
    if named and size["min_dim"] > size["max_dim"]:
        raise settings.error(
            "input_size.min_dim",
            f"is {size['min_dim']}, above input_size.max_dim, which is {size['max_dim']}",
        )
    devices = settings.values["gpu_devices"]
    if len(set(devices)) < len(devices):
        raise settings.error("gpu_devices", f"is {devices}; it has a duplicate device")
    special = settings.values["special_classes"]
    if special["neutral"] == special["background"]:
        raise settings.error(
            "special_classes.neutral",
            f"is {special['neutral']!r}, as special_classes.background; they must be two classes",
        )
    return settings


FULL_IMAGE, ROI, BBOXES = "full_image", "roi", "bboxes"
WINDOWS, WINDOWS_DET = "sliding_window", "sliding_window_det"
MODES = (FULL_IMAGE, ROI, BBOXES, WINDOWS, WINDOWS_DET)
CONFIDENCE = "confidence"

_NAME = Key(str, REQUIRED, one_of=MODES)
_COMMON = {
    "model.gpu_device": Key(int, REQUIRED, least=0),
    "model.confidence_tag_name": Key(str, CONFIDENCE),
    "model.min_confidence_threshold": Key(float, 0.0, least=0, most=1),
    "mode.name": _NAME,
    **{
        f"mode.{part}.{name}": key
        for part in ("model_classes", "model_tags")
        for name, key in (
            ("save_classes", Key(NAMES)),
            ("save_names", Key(NAMES)),
            ("add_suffix", Key(str, "")),
        )
    },
    "mode.save_probabilities": Key(bool, False),
}
_SIDES = ("left", "top", "right", "bottom")
_SLIDING = {
    "mode.window.width": Key(int, 128, least=1),
    "mode.window.height": Key(int, 128, least=1),
    "mode.min_overlap.x": Key(int, 0, least=0),
    "mode.min_overlap.y": Key(int, 0, least=0),
    "mode.save": Key(bool, False),
    "mode.class_name": Key(str, "sliding_window"),
}
_KEYS_OF_MODE = {
    FULL_IMAGE: {},
    ROI: {
        **{f"mode.bounds.{side}": Key(SIDE, REQUIRED) for side in _SIDES},
        "mode.save": Key(bool, False),
        "mode.class_name": Key(str, "inference_roi"),
    },
    BBOXES: {
        "mode.from_classes": Key(NAMES, REQUIRED),
        **{f"mode.padding.{side}": Key(SIDE, REQUIRED) for side in _SIDES},
        "mode.save": Key(bool, False),
        "mode.add_suffix": Key(str, "_input_bbox"),
    },
    WINDOWS: _SLIDING,
    WINDOWS_DET: {
        **_SLIDING,
        "mode.nms_after.enable": Key(bool, False),
        "mode.nms_after.iou_threshold": Key(float, 0.5, least=0, most=1),
        "mode.nms_after.confidence_tag_name": Key(str),
    },
}


def read_infer_settings(path) -> Settings:
    """Read the settings of an inference JSON; the values are as nested as in the file.

    "save_names" is the new name of "save_classes": the values hold either as "names".

    Raises:
        SettingsError: the file cannot be used.
    """
    file = JsonFile(path)
    mode = file.content.get("mode")
    name = mode.get("name") if isinstance(mode, dict) else None
    if name not in MODES:
        is_present = isinstance(mode, dict) and "name" in mode
        value = f"is {json.dumps(name)}" if is_present else "is missing"
        raise file.error("mode.name", f"{value}; it must be {json_settings.describe(_NAME)}")
    settings = json_settings.check(file, _COMMON | _KEYS_OF_MODE[name])
    settings = settings._replace(values=settings.nested())
    for part in ("model_classes", "model_tags"):
        _merge_names(settings, part)
    if name in (WINDOWS, WINDOWS_DET):
        _check_overlap(settings)
    if name == WINDOWS_DET:
        tag = settings.values["mode"]["nms_after"]["confidence_tag_name"]
        own = settings.values["model"]["confidence_tag_name"]
        if tag not in (None, own):
            raise settings.error(
                "mode.nms_after.confidence_tag_name",
                f"is {tag!r}, but model.confidence_tag_name is {own!r}; they must be equal",
            )
    if settings.values["mode"]["save_probabilities"] and name in (WINDOWS, WINDOWS_DET):
        raise settings.error(
            "mode.save_probabilities",
            "is true, but masks merged from windows have no probabilities; set it to false, or "
            f"use mode {FULL_IMAGE!r}, {ROI!r} or {BBOXES!r}",
        )
    return settings


def _merge_names(settings, part):
    """Replace save_classes and save_names by "names" and the "key" that holds them."""
    values = settings.values["mode"][part]
    old, new = values.pop("save_classes"), values.pop("save_names")
    if old is not None and new is not None:
        raise settings.error(
            f"mode.{part}.save_names",
            "means the same as save_classes, which is present too; keep one",
        )
    key = "save_names" if new is not None else "save_classes"
    names = ALL if old is None and new is None else new if new is not None else old
    if names == []:
        raise settings.error(
            f"mode.{part}.{key}", f'is [], which matches nothing; list names or write "{ALL}"'
        )
    values["names"], values["key"] = names, f"mode.{part}.{key}"


def _check_overlap(settings):
    mode = settings.values["mode"]
    for axis, side in (("x", "width"), ("y", "height")):
        overlap, window = mode["min_overlap"][axis], mode["window"][side]
        if overlap >= window:
            raise settings.error(
                f"mode.min_overlap.{axis}",
                f"is {overlap}, too high for mode.window.{side}, which is {window}: it must be "
                "smaller",
            )


def select_devices(key, devices):
    """Restrict TensorFlow to these GPUs; use the CPU on a machine without GPUs.

    Args:
        key: file and key, for messages.
        devices: numbers of GPUs.

    Returns:
        The number of devices that share a step.

    Raises:
        SettingsError: the machine has GPUs, but not these.
    """
    from object_detection.training import commands

    commands.start_tensorflow()
    import tensorflow as tf

    available = tf.config.list_physical_devices("GPU")
    if not available:
        logging.warning("%s is %s, but this machine has no GPU: using the CPU.", key, devices)
        return 1
    missing = [number for number in devices if number >= len(available)]
    if missing:
        raise SettingsError(
            f"{key} selects GPU {missing[0]}; this machine has {len(available)}, numbered from 0"
        )
    tf.config.set_visible_devices([available[number] for number in devices], "GPU")
    return len(devices)
