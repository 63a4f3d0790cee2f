"""Whose names a file's names are, and which of them belongs to which of our variables.

Told from the names alone, never from a config.
"""

import re
from typing import NamedTuple

from object_detection.compat import keras_names, stored_run
from object_detection.compat.checkpoint_names import SUFFIX
from object_detection.compat.tf1_names import FIRST_STAGE, LEAVES, SECOND_STAGE, slim_scope
from object_detection.compat.variable_names import names_of

KINDS = ("ours", "tf2", "tf1", "slim", "keras")
WORDS = {
    "ours": "object_detection's own",
    "tf2": "TFOD, TF2",
    "tf1": "TFOD, TF1",
    "slim": "slim, a classifier",
    "keras": "Keras, a classifier",
}
_OURS = re.compile(r"model/[^/]+\.\.[^/]+" + re.escape(SUFFIX))
_DETECTOR = re.compile(rf"({FIRST_STAGE}|{SECOND_STAGE}|(First|Second)StageBoxPredictor)/")
# Where the object that a TF2 file's names begin with may stand: a checkpoint's, a SavedModel's.
_MODEL_ROOTS = ("model", "_model", "")
_CLASSIFIER_ROOTS = ("feature_extractor", "model", "_model", "backbone", "")
_TRAINING = re.compile(
    r"/\.OPTIMIZER_SLOT/|^_?optimizer/|^average/|^(step|bad_records)/|/ExponentialMovingAverage$"
    r"|/(Momentum|RMSProp|Adam)(_\d)?$|^beta[12]_power$"
)
_COUNTERS = re.compile(r"(step|global_step|save_counter|bad_records)(/|$)")
_AVERAGES = re.compile(r"^average/|/average/\.ATTRIBUTES|/ExponentialMovingAverage$")
_UNUSED_BY_TFOD = re.compile(rf"{FIRST_STAGE}/resnet_v1_\d+/block4/")
_FIRST_LAYER = "layer_with_weights-0/kernel"


class Entry(NamedTuple):
    """Where the value of one of our variables comes from."""

    name: str  # in the file
    flip_input: bool = False  # the file's network takes blue first
    minus: str = ""  # the name of a bias that our network has not: the norm takes it over


def kind_of(names, *, keras=False):
    """The kind of a file, by its names.

    Args:
        names: all names in the file.
        keras: whether it is a file of Keras weights.
    """
    if keras:
        return "keras"
    if any(name.endswith(SUFFIX) for name in names):
        return "ours" if any(_OURS.fullmatch(name) for name in names) else "tf2"
    return "tf1" if any(_DETECTOR.match(name) for name in names) else "slim"


def is_classifier(stored) -> bool:
    """Whether a file holds a classifier's network, with no detection in it."""
    if stored.kind != "tf2":
        return stored.kind in ("slim", "keras")
    return _detector_root(stored) is None and _classifier_root(stored) is not None


def entries_for(stored, network, paths) -> dict[str, Entry]:
    """{our path: where its value is}; paths for which the file's kind has no name are left out.

    Args:
        stored: `Stored`.
        network: `FasterRCNN`.
        paths: the paths of all of its variables.
    """
    # Ours, even where all paths are of one part; a dot of an attribute's name is doubled.
    ours = {path: f"model/{path.replace('/', '..')}{SUFFIX}" for path in paths}
    if stored.kind == "ours" or any(name in stored.shapes for name in ours.values()):
        return {path: Entry(name) for path, name in ours.items()}
    names = names_of(network)
    if stored.kind == "tf1":
        return {path: Entry(name) for path, name in names.scopes.items()}
    if stored.kind == "slim":
        return {path: Entry(name) for path, name in slim_names(paths).items()}
    if stored.kind == "keras" or is_classifier(stored):
        return _of_keras_network(stored, names.keys)
    root = _detector_root(stored) or "model"
    found = {}
    for path, key in names.keys.items():
        name = key.replace("model/", f"{root}/" if root else "", 1)
        found[path] = Entry(stored.find(name) or name)
    return found


def slim_names(paths):
    """{path: name in slim's own classification checkpoints}, of backbone and box trunk alike."""
    names = {}
    for path in paths:
        layer, leaf = path.rsplit("/", 1)
        scope = slim_scope(layer)
        if scope and leaf in LEAVES:
            if layer.startswith("roi_stage/"):
                # TFOD builds the network's end anew, where its third repetition is the first.
                scope = scope.replace("InceptionResnetV2/Repeat/", "InceptionResnetV2/Repeat_2/")
            names[path] = f"{scope}/{LEAVES[leaf]}"
    return names


def averages_in(stored, network) -> dict[str, str]:
    """{our path: name of its moving average in the file}, for those that have one."""
    return stored_run.find(stored.shapes, names_of(network)).averages


def is_of_training(names) -> bool:
    """Whether a file holds a training's state, among which averages would be."""
    return any(_TRAINING.search(name) for name in names)


def why_unused(name) -> str:
    """The reason why an entry of a file went nowhere, in a few words."""
    if _AVERAGES.search(name):
        return "moving averages (eval_config.use_moving_averages takes them)"
    if _COUNTERS.match(name):
        return "counters"
    if _TRAINING.search(name):
        return "state of the optimizer"
    if _UNUSED_BY_TFOD.match(name):
        return "block4 of the first stage, which TFOD stores and never uses"
    return "not in this model"


def _detector_root(stored):
    part = "_feature_extractor_for_proposal_features"
    for root in _MODEL_ROOTS:
        start = f"{root}/{part}" if root else part
        if any(name.startswith(start + "/") for name in stored.shapes) or stored.has_object(start):
            return root
    return None


def _classifier_root(stored):
    for root in _CLASSIFIER_ROOTS:
        if stored.find(f"{root}/{_FIRST_LAYER}{SUFFIX}" if root else _FIRST_LAYER + SUFFIX):
            return root
    return None


def _of_keras_network(stored, keys):
    """Entries from one Keras network that is our backbone and our box trunk in one."""
    layers = keras_names.layers_of(keys)
    if stored.kind == "keras":
        names = keras_names.names_in(stored.shapes, layers)
    else:
        root = _classifier_root(stored)
        start = f"{root}/" if root else ""
        names = {}
        for path, layer in layers.items():
            name = f"{start}layer_with_weights-{layer.number}/{layer.leaf}{SUFFIX}"
            names[path] = stored.find(name) or name
    return _adjusted(stored, names)


def _adjusted(stored, names):
    """Takes the differences of Keras applications' ResNets into account.

    Their convolutions have biases where ours have none: y + b, less a mean m, is y less m - b. And
    their images are blue, green, red. Both differences come together.
    """
    entries = {}
    for path, name in names.items():
        entry = Entry(name)
        layer, leaf = path.rsplit("/", 1)
        kernel = names.get(f"{layer}/kernel", "")
        bias = kernel.replace("/kernel", "/bias")
        if kernel and f"{layer}/bias" not in names and bias in stored.shapes:
            if leaf == "moving_mean":
                entry = Entry(name, minus=bias)
            elif leaf == "kernel" and path == "backbone/resnet/conv1/kernel":
                entry = Entry(name, flip_input=True)
        entries[path] = entry
    return entries
