"""Supervisely's two JSONs: read unchanged, and what is wrong with them said in one sentence."""

import copy
import json
from pathlib import Path

import pytest

from object_detection.errors import SettingsError
from object_detection.integrations.supervisely.settings import (
    read_infer_settings,
    read_train_settings,
)

SAMPLES = Path(__file__).parents[2] / "samples" / "supervisely"
TRAIN = json.loads((SAMPLES / "train_config.json").read_text())
INFER = json.loads((SAMPLES / "inference_config.json").read_text())
SIDES = {"left": "10%", "top": "0px", "right": "10%", "bottom": "4px"}
ROI = {"name": "roi", "bounds": SIDES}
BBOXES = {"name": "bboxes", "from_classes": "__all__", "padding": SIDES}
WINDOWS = {
    "name": "sliding_window_det",
    "window": {"width": 64, "height": 32},
    "min_overlap": {"x": 16, "y": 8},
    "nms_after": {"enable": True, "iou_threshold": 0.2, "confidence_tag_name": "confidence"},
}


def changed(content, key, value):
    """A copy with one dotted key set, or with it taken out where the value is None."""
    content = copy.deepcopy(content)
    *way, last = key.split(".")
    owner = content
    for name in way:
        owner = owner.setdefault(name, {})
    if value is None:
        del owner[last]
    else:
        owner[last] = value
    return content


def error_of(read, tmp_path, content):
    path = tmp_path / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(SettingsError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(str(path))


def test_the_samples_read_as_they_stand():
    values = read_train_settings(SAMPLES / "train_config.json").values
    assert values["batch_size"] == {"train": 4, "val": 4} and values["val_every"] == 1.0
    assert values["special_classes"] == {"background": "bg", "neutral": None}
    mode = read_infer_settings(SAMPLES / "inference_config.json").values["mode"]
    assert mode["model_classes"]["names"] == "__all__"
    assert mode["model_classes"]["add_suffix"] == "_maskrcnn"


def test_defaults_are_merged_key_by_key(tmp_path):
    path = tmp_path / "config.json"
    content = changed(TRAIN, "batch_size", {"val": 2})
    path.write_text(json.dumps(changed(content, "epochs", None)))
    values = read_train_settings(path).values
    assert values["batch_size"] == {"train": 1, "val": 2} and values["epochs"] == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lr", None, "lr is missing; it must be a number"),
        ("lr", "fast", 'lr is "fast"; it must be a number (above 0)'),
        ("epochs", 0, "epochs is 0; it must be a whole number (at least 1)"),
        ("epochs", True, "epochs is true"),
        (
            "batch_size",
            4,
            "batch_size is 4; it must be an object with batch_size.train, batch_size.val",
        ),
        (
            "batch_size.trian",
            4,
            "batch_size.trian is not a known key; did you mean batch_size.train?",
        ),
        ("input_size.min_dim", -256, "input_size.min_dim is -256"),
        ("input_size.min_dim", 512, "input_size.min_dim is 512, above input_size.max_dim"),
        ("input_size.width", 64, "input_size.height is missing"),
        ("input_size.max_dim", None, "input_size.max_dim is missing"),
        ("dataset_tags.val", None, "dataset_tags.val is missing; it must be a string"),
        ("train_layers", "2+", 'train_layers is "2+"; it must be one of "all", "3+"'),
        ("weights_init_type", "random", 'one of "transfer_learning", "continue_training"'),
        ("gpu_devices", [], "gpu_devices is []; it must be a list of whole numbers"),
        ("gpu_devices", [0, 0], "a duplicate device"),
        ("special_classes.neutral", "bg", "as special_classes.background"),
        ("val_every", 0, "val_every is 0; it must be a number (above 0)"),
    ],
)
def test_errors_of_a_training(tmp_path, key, value, message):
    assert message in error_of(read_train_settings, tmp_path, changed(TRAIN, key, value))


@pytest.mark.parametrize(
    ("mode", "key", "value", "message"),
    [
        (INFER["mode"], "mode.name", "whole", 'mode.name is "whole"; it must be one of'),
        (INFER["mode"], "mode.name", None, "mode.name is missing"),
        (INFER["mode"], "model.gpu_device", None, "model.gpu_device is missing"),
        (INFER["mode"], "model.min_confidence_threshold", 1.5, "at most 1"),
        (INFER["mode"], "mode.model_classes.save_classes", [], "matches nothing"),
        (
            INFER["mode"],
            "mode.model_classes.save_classes",
            "cat",
            'is "cat"; it must be "__all__"',
        ),
        (INFER["mode"], "mode.model_classes.save_names", "__all__", "the same as save_classes"),
        (INFER["mode"], "mode.bounds", {}, "mode.bounds is not a known key"),
        (ROI, "mode.bounds.left", "-10%", 'mode.bounds.left is "-10%"; it must be a string such'),
        (ROI, "mode.bounds.top", "10", 'mode.bounds.top is "10"'),
        (ROI, "mode.bounds.top", None, "mode.bounds.top is missing"),
        (BBOXES, "mode.padding.left", 5, "mode.padding.left is 5"),
        (BBOXES, "mode.from_classes", None, "mode.from_classes is missing"),
        (WINDOWS, "mode.window.width", -3, "mode.window.width is -3"),
        (WINDOWS, "mode.min_overlap.x", 64, "mode.min_overlap.x is 64, too high for mode.window.w"),
        (WINDOWS, "mode.nms_after.confidence_tag_name", "score", "they must be equal"),
        (WINDOWS, "mode.save_probabilities", True, "have no probabilities"),
    ],
)
def test_errors_of_an_inference(tmp_path, mode, key, value, message):
    content = changed({**INFER, "mode": mode}, key, value)
    assert message in error_of(read_infer_settings, tmp_path, content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 2: invalid JSON"),
        ("[]", "must be an object of keys"),
        ('{"lr": 1, "lr": 2}', "duplicate key lr"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_files_that_are_no_config(tmp_path, text, message):
    assert message in error_of(read_train_settings, tmp_path, text)


def test_a_config_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="missing.json cannot be read: No such file"):
        read_infer_settings(tmp_path / "missing.json")
