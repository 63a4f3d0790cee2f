"""The training JSON of Supervisely's Mask R-CNN plugin, as its documentation has it."""

from object_detection.integrations.supervisely.settings import (
    INTS,
    REQUIRED,
    Key,
    Settings,
    checked,
    load,
)

LAYERS = ("all", "3+", "4+", "5+", "heads")
TRANSFER, CONTINUE = "transfer_learning", "continue_training"
_SIDE = Key(int, None, least=1)
KEYS = {
    "lr": Key(float, above=0),
    "epochs": Key(int, 2, least=1),
    "batch_size": {"train": Key(int, 1, least=1), "val": Key(int, 1, least=1)},  # of each GPU
    "input_size": {
        "min_dim": _SIDE,
        "max_dim": _SIDE,
        "width": Key(int, 0, least=0),  # 0: not set
        "height": Key(int, 0, least=0),
    },
    "gpu_devices": Key(INTS, [0]),
    "dataset_tags": {"train": Key(str, REQUIRED), "val": Key(str, REQUIRED)},
    "train_layers": Key(str, "all", one_of=LAYERS),
    "special_classes": {"background": Key(str, "bg"), "neutral": Key(str, None)},
    "weights_init_type": Key(str, one_of=(TRANSFER, CONTINUE)),
    "val_every": Key(float, 1.0, above=0),  # epochs
    "data_workers": {"train": Key(int, None, least=0), "val": Key(int, None, least=0)},
}


def read(path) -> Settings:
    """The `Settings` of a training JSON.

    Raises:
        SettingsError: file and key, and what is allowed.
    """
    settings = checked(load(path), KEYS, path)
    size = settings.values["input_size"]
    fixed = (size["width"], size["height"])
    if any(fixed) and not all(fixed):
        missing = "height" if size["width"] else "width"
        raise settings.fault(f"input_size.{missing}", "is missing; width and height go together")
    named = [name for name in ("min_dim", "max_dim") if size[name] is not None]
    if all(fixed) and named:
        raise settings.fault(
            f"input_size.{named[0]}",
            "stands beside width and height; give these two or min_dim and max_dim",
        )
    if not all(fixed) and len(named) < 2:
        missing = "max_dim" if "min_dim" in named else "min_dim"
        raise settings.fault(
            f"input_size.{missing}", "is missing; it has to be a whole number (at least 1)"
        )
    if named and size["min_dim"] > size["max_dim"]:
        raise settings.fault(
            "input_size.min_dim",
            f"is {size['min_dim']}, above input_size.max_dim, which is {size['max_dim']}",
        )
    devices = settings.values["gpu_devices"]
    if len(set(devices)) < len(devices):
        raise settings.fault("gpu_devices", f"is {devices}; a device stands there twice")
    special = settings.values["special_classes"]
    if special["neutral"] == special["background"]:
        raise settings.fault(
            "special_classes.neutral",
            f"is {special['neutral']!r}, as special_classes.background; they are two classes",
        )
    return settings
