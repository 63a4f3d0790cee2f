"""Names of the entries of a training checkpoint: one of ours, of TFOD 2.x, of TFOD 1.x.

    ours       model/<path>, optimizer/<slot>/<path>, average/<path>, step (dots for slashes)
    TFOD 2.x   <key>, <key>/.OPTIMIZER_SLOT/<optimizer>/<slot>, the slot `average`, step
    TFOD 1.x   <name>, <name>/<Slot>, <name>/ExponentialMovingAverage, global_step

(each but the last with TensorFlow's `/.ATTRIBUTES/VARIABLE_VALUE` at its end).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from object_detection.checkpoints.names import SUFFIX
from object_detection.checkpoints.variables import VariableNames

OURS, TFOD_2, TFOD_1 = "this package", "TFOD 2.x", "TFOD 1.x"

# Each row: what one optimizer calls its slots -> what ours does (see training/optimizer.py). The
# rows are recognized by their whole sets: the same word has another meaning in another row.
_SLOTS_2 = (
    {"momentum": "momentum"},
    {"rms": "mean_square", "momentum": "momentum"},
    {"rms": "mean_square"},  # RMSProp with momentum 0
    {"m": "first_moment", "v": "second_moment"},
)
_SLOTS_1 = (
    {"Momentum": "momentum"},
    {"RMSProp": "mean_square", "RMSProp_1": "momentum"},
    {"Adam": "first_moment", "Adam_1": "second_moment"},
)
_AVERAGE_2, _AVERAGE_1 = "average", "ExponentialMovingAverage"
_IN_SLOT = re.compile(r"(.+)/\.OPTIMIZER_SLOT/.+/(\w+)" + re.escape(SUFFIX))
_ANY_SLOT_1 = re.compile(rf"/({'|'.join({_AVERAGE_1}.union(*_SLOTS_1))})$")


class TrainingState(NamedTuple):
    """Names of a training's entries in a file."""

    writer: str  # OURS, TFOD_2 or TFOD_1
    weights: dict[str, str]  # path -> the name it would have there
    slots: dict[tuple[str, str], str]  # (our name of the slot, path) -> its name there
    averages: dict[str, str]  # path -> its name there
    step: str
    unknown: tuple[str, ...]  # variables of a model there that this network lacks
    is_blank: bool  # TFOD's checkpoint of step 0: no variable of a model in it


def name_of(entry: str) -> str:
    """Return the name in our files of an entry such as `model/rpn.head.conv.kernel`.

    TensorFlow doubles the dots of attributes' names.
    """
    return entry.replace(".", "..") + SUFFIX


def find(stored: Iterable[str], names: VariableNames) -> TrainingState:
    """Return the names in a checkpoint.

    Args:
        stored: all names in the file.
        names: of the network that it is for.
    """
    stored = set(stored)
    return _READERS[writer_of(stored)](stored, names)


def writer_of(stored: Iterable[str]) -> str:
    """Return OURS, TFOD_2 or TFOD_1, by the names in a file."""
    if not any(name.endswith(SUFFIX) for name in stored):
        return TFOD_1
    if any(name.startswith("model/_") for name in stored):
        return TFOD_2
    return TFOD_2 if _is_blank(stored) else OURS


def _is_blank(stored):
    models = any(name.startswith("model/") for name in stored)
    return name_of("save_counter") in stored and not models


def _ours(stored, names):
    flat = {path.replace("/", "."): path for path in names.paths}
    weights = {path: name_of(f"model/{name}") for name, path in flat.items()}
    slots, averages = {}, {}
    for name in stored:
        *parts, last = name.removesuffix(SUFFIX).replace("..", ".").split("/")
        if last in flat and parts[:1] == ["optimizer"] and len(parts) == 2:
            slots[parts[1], flat[last]] = name
        elif last in flat and parts == ["average"]:
            averages[flat[last]] = name
    known = set(weights.values())
    unknown = [name for name in stored if name.startswith("model/") and name not in known]
    return TrainingState(
        OURS, weights, slots, averages, name_of("step"), tuple(sorted(unknown)), False
    )


def _tfod_2(stored, names):
    paths = {key.removesuffix(SUFFIX): path for path, key in names.keys.items()}
    entries, unknown = {}, []
    for name in stored:
        match = _IN_SLOT.fullmatch(name)
        if match is None:
            if name.startswith("model/") and name.removesuffix(SUFFIX) not in paths:
                unknown.append(name)
        elif match[1] in paths:
            entries[match[2], paths[match[1]]] = name
    slots, averages = _slots_and_averages(entries, _SLOTS_2, _AVERAGE_2)
    step, blank = name_of("step"), _is_blank(stored)
    return TrainingState(TFOD_2, names.keys, slots, averages, step, tuple(sorted(unknown)), blank)


def _tfod_1(stored, names):
    paths = {scope: path for path, scope in names.scopes.items()}
    entries = {}
    for name in stored:
        match = _ANY_SLOT_1.search(name)
        if match and name[: match.start()] in paths:
            entries[match[1], paths[name[: match.start()]]] = name
    slots, averages = _slots_and_averages(entries, _SLOTS_1, _AVERAGE_1)
    # TFOD's first stage keeps layers that nothing uses (ResNet's block4): unknown ones are normal.
    return TrainingState(TFOD_1, names.scopes, slots, averages, "global_step", (), False)


def _slots_and_averages(entries, rows, average):
    """(slots by our names, averages); no slots where they are of an unknown optimizer."""
    kinds = {kind for kind, _ in entries} - {average}
    row = next((row for row in rows if set(row) == kinds), {})
    slots = {(row[kind], path): name for (kind, path), name in entries.items() if kind in row}
    averages = {path: name for (kind, path), name in entries.items() if kind == average}
    return slots, averages


_READERS = {OURS: _ours, TFOD_2: _tfod_2, TFOD_1: _tfod_1}
