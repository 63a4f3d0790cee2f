"""azoda's two JSON files, read as they stand: the experiment's and the deployment's.

A key is named by its dotted path, "RUN_PARAMS.STEPS", and may also be written so. Every key has
one of three fates, by `Key`: it works here, it is told to be without effect, or it is refused.
"""

import difflib
import json
import math
import re
from typing import NamedTuple

from object_detection.errors import SettingsError
from object_detection.integrations import json_settings


class Key(NamedTuple):
    """What a key may hold and what becomes of it."""

    kind: type  # str, bool, int or float
    without_effect: str = ""  # why, where it has none
    default: object = None  # where it is missing; None: nothing is set
    required: bool = False
    least: float = -math.inf
    most: float = math.inf
    one_of: tuple = ()


_AZURE = "it names something in Azure, and this runs on this machine"
_CLUSTER = "it sizes a cluster in Azure, and this runs on this machine"
_STAGE = "MODEL_PARAMS.FIRST_STAGE"
EXPERIMENT = {
    "ENV_CONFIG_FILE": Key(str, _AZURE),
    "DESCRIPTION": Key(str, default=""),
    "EXP_NAME": Key(str, default=""),
    "COMPUTE_NAME": Key(str, _AZURE),
    "DOCKER_IMAGE_NAME": Key(str, _AZURE),
    "DOCKER_IMAGE": Key(str, _AZURE),
    "TF_VERSION": Key(int, "models of TF 1 and of TF 2 are read alike", one_of=(1, 2)),
    "DATA_MOUNT": Key(str, default=""),
    "IMAGE_TYPE": Key(str, required=True),
    "TRAIN_CSV": Key(str, default="latest"),
    "TEST_CSV": Key(str, default="latest"),
    "EVAL_CONF": Key(float, default=0.5, least=0, most=1),
    "RUN_PARAMS.STEPS": Key(int, required=True, least=1),
    "MODEL_PARAMS.BASE_MODEL": Key(str, required=True),
    f"{_STAGE}.STRIDE": Key(int, least=1),
    f"{_STAGE}.NMS_IOU_THRESHOLD": Key(float, least=0, most=1),
    f"{_STAGE}.NMS_SCORE_THRESHOLD": Key(float, least=0, most=1),
    f"{_STAGE}.MAX_PROPOSALS": Key(int, least=1),
    f"{_STAGE}.LOCALIZATION_LOSS_WEIGHT": Key(float, least=0),
    f"{_STAGE}.OBJECTNESS_LOSS_WEIGHT": Key(float, least=0),
    "HYPERTUNE": Key(bool, default=False),
    "NODES": Key(int, _CLUSTER, least=1),
}
DEPLOYMENT = {
    "ENV_CONFIG_FILE": Key(str, _AZURE),
    "EXPERIMENT": Key(str, _AZURE),
    "RUN_ID": Key(str, "it names a run in Azure; the model served is that of --model"),
    "TF_VERSION": Key(int, "models of TF 1 and of TF 2 are served alike", one_of=(1, 2)),
    "REG_MODEL": Key(bool, "there is no registry; the model served is that of --model"),
    "IMAGE_TYPE": Key(str, required=True),
    "USE_ACI": Key(bool, _AZURE),
    "COMPUTE_TARGET_NAME": Key(str, _AZURE),
    "ACI_PARAMS.USE_ACI": Key(bool, _AZURE),
    "ACI_PARAMS.ACI_AUTH": Key(bool, "this server asks for no key: put a proxy in front"),
    "AKS_PARAMS.USE_AKS": Key(bool, _AZURE),
    "AKS_PARAMS.VM_TYPE": Key(str, _AZURE),
    "AKS_PARAMS.COMPUTE_TARGET_NAME": Key(str, _AZURE),
}
# The same said in the older, flat layout and in the newer one.
_SAID_TWICE = (
    ("USE_ACI", "ACI_PARAMS.USE_ACI"),
    ("COMPUTE_TARGET_NAME", "AKS_PARAMS.COMPUTE_TARGET_NAME"),
    ("DOCKER_IMAGE", "DOCKER_IMAGE_NAME"),
)
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


class Settings(NamedTuple):
    """A JSON file as read."""

    path: str
    values: dict  # dotted key -> value; keys with a default are always there
    notes: list  # a sentence for each key without effect
    lines: dict  # dotted key -> its line

    def fault(self, key, problem):
        """A `SettingsError` about a key that reads well but does not work out."""
        return SettingsError(f"{self.place(key)}: {problem}")

    def place(self, key):
        """What a message calls a key: with its file and, where it stands there, its line."""
        line = self.lines.get(key)
        return f"{self.path}{f' line {line}' if line else ''}, {key}"


def read_experiment(path):
    """The `Settings` of an experiment JSON; raises `SettingsError`."""
    settings = _read(path, EXPERIMENT)
    if settings.values["HYPERTUNE"]:
        raise settings.fault(
            "HYPERTUNE",
            "is true, but the search was Azure's HyperDrive and is not offered here: set it to "
            "false and run train once for each value of NMS_IOU_THRESHOLD and MAX_PROPOSALS",
        )
    for key in ("IMAGE_TYPE", "MODEL_PARAMS.BASE_MODEL"):
        name = settings.values[key]
        if name in (".", "..") or re.search(r"[/\\\0]", name):
            raise settings.fault(key, f"is {name!r}; it names one folder and takes no path")
    return settings


def read_deployment(path):
    """The `Settings` of a deployment JSON, in its older or its newer layout."""
    settings = _read(path, DEPLOYMENT)
    name = settings.values["IMAGE_TYPE"]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        problem = f"is {name!r}; it becomes the model's name: use letters, digits, '.', '_', '-'"
        raise settings.fault("IMAGE_TYPE", problem)
    return settings


def _read(path, keys):
    text, content = json_settings.read(path)
    values, lines = {}, {}
    for key, value in _flat(content):
        place = _Place(str(path), key, _line_of(text, key))
        if key not in keys:
            raise place.fault(_unknown(key, keys))
        if key in values:
            raise place.fault("stands there twice; keep one")
        values[key] = _checked(value, keys[key], place)
        lines[key] = place.line
    for one, other in _SAID_TWICE:
        if one in values and other in values:
            place = _Place(str(path), one, lines[one])
            raise place.fault(f"says the same as {other}, which is there too; keep one")
    missing = [key for key, row in keys.items() if row.required and not values.get(key)]
    if missing:
        empty = missing[0] in values
        place = _Place(str(path), missing[0], lines.get(missing[0]))
        raise place.fault("is empty; fill it in" if empty else "is missing; it has to be there")
    notes = [
        f"{_Place(str(path), key, lines[key])} has no effect: {keys[key].without_effect}"
        for key in values
        if keys[key].without_effect
    ]
    defaults = {key: row.default for key, row in keys.items() if row.default is not None}
    return Settings(str(path), defaults | values, notes, lines)


class _Place(NamedTuple):
    path: str
    key: str
    line: int | None

    def __str__(self):
        return f"{self.path}{f' line {self.line}' if self.line else ''}, {self.key}"

    def fault(self, problem):
        return SettingsError(f"{self}: {problem}")


def _flat(pairs, prefix=""):
    for key, value in pairs:
        if isinstance(value, json_settings.Pairs):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _line_of(text, key):
    """The line of a key by its last part, which no two keys of these files share; or None."""
    for name in (key, key.rpartition(".")[2]):
        found = re.search(rf"{re.escape(json.dumps(name))}\s*:", text)
        if found:
            return text.count("\n", 0, found.start()) + 1
    return None


def _unknown(key, keys):
    groups = {name.partition(".")[0] for name in keys if "." in name}
    if key in groups or any(name.startswith(f"{key}.") for name in keys):
        return f"is to be an object with {', '.join(n for n in keys if n.startswith(f'{key}.'))}"
    close = difflib.get_close_matches(key, keys, n=1) or [
        name for name in keys if name.rpartition(".")[2] == key.rpartition(".")[2]
    ]
    if close:
        return f"is not known; did you mean {close[0]}?"
    return f"is not known; known are {', '.join(keys)}"


def _checked(value, row, place):
    """A value in its type and range; numbers may stand in quotes, whole ones end in ".0"."""
    kind = _WORDS[row.kind]
    given = value
    if row.kind in (int, float) and isinstance(value, str):
        # azoda handed every value to argparse, which reads numbers in quotes.
        try:
            value = float(value)
        except ValueError:
            raise place.fault(f"is {given!r}; it has to be {kind}") from None
    if row.kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if row.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not row.kind or (row.kind is float and not math.isfinite(value)):
        raise place.fault(f"is {json.dumps(given)}; it has to be {kind}")
    if row.one_of and value not in row.one_of:
        raise place.fault(f"is {value}; allowed are {', '.join(map(str, row.one_of))}")
    if row.kind in (int, float) and not row.least <= value <= row.most:
        high = f" and at most {row.most:g}" if math.isfinite(row.most) else ""
        raise place.fault(f"is {value}; it has to be at least {row.least:g}{high}")
    return value
