"""Detects the naming scheme of a checkpoint and maps its keys to model variables.

Each scheme is one row of `FAMILIES`; it is detected from the names in the file, never from a
config. `register` adds a scheme, which needs only a table of names, and with it a file format.
"""

import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from object_detection.checkpoints import location
from object_detection.checkpoints.names import (
    SUFFIX,
    VariableSource,
    keras_networks,
    tfod_tf1,
    tfod_tf2,
)
from object_detection.checkpoints.open import StoredCheckpoint

_OURS = re.compile(r"model/[^/]+\.\.[^/]+" + re.escape(SUFFIX))
_TF1_DETECTOR = re.compile(
    rf"({tfod_tf1.FIRST_STAGE}|{tfod_tf1.SECOND_STAGE}|(First|Second)StageBoxPredictor)/"
)
_TF2_DETECTOR = "_feature_extractor_for_proposal_features"
# What the names of a TF2 file may begin with: in a checkpoint, in a SavedModel.
_MODEL_ROOTS = ("model", "_model", "")
_CLASSIFIER_ROOTS = ("feature_extractor", "model", "_model", "backbone", "")
_FIRST_LAYER = "layer_with_weights-0/kernel"
_TRAINING = re.compile(
    r"/\.OPTIMIZER_SLOT/|^_?optimizer/|^average/|^(step|bad_records)/|/ExponentialMovingAverage$"
    r"|/(Momentum|RMSProp|Adam)(_\d)?$|^beta[12]_power$"
)
_COUNTERS = re.compile(r"(step|global_step|save_counter|bad_records)(/|$)")
_AVERAGES = re.compile(r"^average/|/average/\.ATTRIBUTES|/ExponentialMovingAverage$")
_UNUSED_BY_TFOD = re.compile(rf"{tfod_tf1.FIRST_STAGE}/resnet_v1_\d+/block4/")

Sources = dict[str, VariableSource]  # our path -> where its value is


class NameRule(NamedTuple):
    """How a family calls the variables whose paths match a pattern."""

    path: str  # regular expression of whole paths of ours
    name: str  # the name in the file, with the groups \1, \2 ... of `path`
    axes: tuple[int, ...] | None = None  # the file's axes in the order of ours; None: the same
    flip_input: bool = False  # the file's network takes blue first


class Family(NamedTuple):
    """A naming scheme: how it is recognized, and what it calls our variables."""

    name: str
    description: str  # for messages
    recognizes: Callable[[StoredCheckpoint], bool]
    # What the scheme calls the variables of a network: rules, or a function of
    # (checkpoint, network, paths). Paths without a name are left out.
    names: tuple[NameRule, ...] | Callable[[StoredCheckpoint, object, Collection[str]], Sources]
    # Whether a file of this scheme has only a classifier's network, without detection.
    is_classifier: Callable[[StoredCheckpoint], bool] = lambda checkpoint: False
    version: int = 0  # TFOD's CheckpointVersion of such files; 0: it has none


class Naming(NamedTuple):
    """The family of a checkpoint, and where it has the values of a network's variables."""

    family: Family
    is_classifier: bool  # the file has only a classifier's network, without detection
    sources: Sources  # of the paths that the family has a name for


def identify(checkpoint: StoredCheckpoint) -> Family:
    """Return the family whose names a checkpoint has."""
    return next(family for family in FAMILIES if family.recognizes(checkpoint))


def naming_of(checkpoint: StoredCheckpoint, network, paths: Collection[str]) -> Naming:
    """Detect the family of a checkpoint and map the variables of a network to its names.

    Args:
        checkpoint: an open one.
        network: `FasterRCNN`.
        paths: the paths of all of its variables.
    """
    family = identify(checkpoint)
    sources = _sources(family, checkpoint, network, paths)
    return Naming(family, family.is_classifier(checkpoint), sources)


def _sources(family, checkpoint, network, paths):
    if family.name != "ours":
        # A checkpoint of ours that only has variables of one part looks like another's.
        ours = _our_sources(checkpoint, network, paths)
        if any(source.name in checkpoint.shapes for source in ours.values()):
            return ours
    if callable(family.names):
        return family.names(checkpoint, network, paths)
    sources = {}
    for path in paths:
        for rule in family.names:
            match = re.fullmatch(rule.path, path)
            if match:
                name = match.expand(rule.name)
                sources[path] = VariableSource(name, rule.flip_input, axes=rule.axes)
                break
    return sources


def register(family: Family, file_format: location.FileFormat | None = None) -> None:
    """Add a naming scheme, and the file format in which it is stored where that is new.

    Schemes registered later are tried first.
    """
    if file_format is not None:
        location.FILE_FORMATS.append(file_format)
    FAMILIES.insert(0, family)


def is_of_training(names: Collection[str]) -> bool:
    """Return whether a file holds a training's state, which may include averages."""
    return any(_TRAINING.search(name) for name in names)


def reason_unused(name: str) -> str:
    """Return why an entry of a file was not used, in a few words."""
    if _AVERAGES.search(name):
        return "moving averages (eval_config.use_moving_averages takes them)"
    if _COUNTERS.match(name):
        return "counters"
    if _TRAINING.search(name):
        return "state of the optimizer"
    if _UNUSED_BY_TFOD.match(name):
        return "block4 of the first stage, which TFOD stores and never uses"
    return "not in this model"


def _our_sources(checkpoint, network, paths):
    del checkpoint, network
    # A dot of an attribute's name is doubled.
    return {p: VariableSource(f"model/{p.replace('/', '..')}{SUFFIX}") for p in paths}


def _tf2_sources(checkpoint, network, paths):
    keys = tfod_tf2.keys_of(network, paths)
    if _is_tf2_classifier(checkpoint):
        start = _prefix(_classifier_root(checkpoint))
        names = {
            path: f"{start}layer_with_weights-{layer.number}/{layer.leaf}{SUFFIX}"
            for path, layer in keras_networks.layers_of(keys).items()
        }
        names = {path: checkpoint.find(name) or name for path, name in names.items()}
        return keras_networks.adjusted(names, checkpoint.shapes)
    root = _detector_root(checkpoint)
    start = _prefix("model" if root is None else root)
    names = {path: key.replace("model/", start, 1) for path, key in keys.items()}
    return {path: VariableSource(checkpoint.find(name) or name) for path, name in names.items()}


def _keras_sources(checkpoint, network, paths):
    layers = keras_networks.layers_of(tfod_tf2.keys_of(network, paths))
    names = keras_networks.names_in(checkpoint.shapes, layers)
    return keras_networks.adjusted(names, checkpoint.shapes)


def _tf1_sources(checkpoint, network, paths):
    del checkpoint, network
    return {path: VariableSource(name) for path, name in tfod_tf1.tf1_names(paths).items()}


def _slim_sources(checkpoint, network, paths):
    del checkpoint, network
    return {path: VariableSource(name) for path, name in tfod_tf1.slim_names(paths).items()}


def _prefix(root):
    return f"{root}/" if root else ""


def _is_tf2_classifier(checkpoint):
    return _detector_root(checkpoint) is None and _classifier_root(checkpoint) is not None


def _detector_root(checkpoint):
    for root in _MODEL_ROOTS:
        start = _prefix(root) + _TF2_DETECTOR
        if any(n.startswith(start + "/") for n in checkpoint.shapes) or checkpoint.has_object(
            start
        ):
            return root
    return None


def _classifier_root(checkpoint):
    for root in _CLASSIFIER_ROOTS:
        if checkpoint.find(_prefix(root) + _FIRST_LAYER + SUFFIX):
            return root
    return None


# Tried from the first to the last, which recognizes everything.
FAMILIES = [
    Family(
        "keras",
        "Keras, a classifier",
        lambda checkpoint: checkpoint.file_format == "keras",
        _keras_sources,
        is_classifier=lambda checkpoint: True,
    ),
    Family(
        "ours",
        "object_detection's own",
        lambda checkpoint: any(_OURS.fullmatch(name) for name in checkpoint.shapes),
        _our_sources,
        version=2,
    ),
    Family(
        "tf2",
        "TFOD, TF2",
        lambda checkpoint: checkpoint.is_object_based,
        _tf2_sources,
        is_classifier=_is_tf2_classifier,
        version=2,
    ),
    Family(
        "tf1",
        "TFOD, TF1",
        lambda checkpoint: any(_TF1_DETECTOR.match(name) for name in checkpoint.shapes),
        _tf1_sources,
        version=1,
    ),
    Family(
        "slim",
        "slim, a classifier",
        lambda checkpoint: True,
        _slim_sources,
        is_classifier=lambda checkpoint: True,
        version=1,
    ),
]
