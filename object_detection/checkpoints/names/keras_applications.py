"""Names of layers in Keras applications' files <-> our variable paths.

Keras' ResNets name every layer; its Inception-ResNet v2 leaves most to be counted, so that there
the order in the file decides. TFOD's Keras networks have the same layers in the same order.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from object_detection.checkpoints.names import NORM_LEAVES, VariableSource

_BACKBONE = "_feature_extractor_for_proposal_features"
_TRUNK = "_feature_extractor_for_box_classifier_features"
_KEY = re.compile(
    rf"model/({_BACKBONE}|{_TRUNK})/(classification_backbone/)?layer_with_weights-(\d+)/(\w+)/\."
)
_UNIT = re.compile(r"(?:backbone/resnet|roi_stage)/(conv\d)(?:/(block\d+)/(\w+))?")


class Layer(NamedTuple):
    """A variable's layer in the Keras network that is backbone and box trunk in one."""

    number: int  # among its layers with weights
    leaf: str


def layers_of(keys: dict[str, str]) -> dict[str, Layer]:
    """Return the layers of a network's backbone, and of its box trunk where that continues it.

    Args:
        keys: {our path: TFOD's TF2 key}, of all variables.
    """
    matches = {path: _KEY.match(key) for path, key in keys.items()}
    matches = {path: match for path, match in matches.items() if match}
    pyramid = any(match[2] for match in matches.values())
    first = 1 + max((int(m[3]) for m in matches.values() if m[1] == _BACKBONE), default=-1)
    layers = {}
    for path, match in matches.items():
        if match[1] == _BACKBONE:
            layers[path] = Layer(int(match[3]), match[4])
        elif not pyramid:  # a pyramid's trunk is dense layers of its own
            layers[path] = Layer(first + int(match[3]), match[4])
    return layers


def names_in(names: Iterable[str], layers: dict[str, Layer]) -> dict[str, str]:
    """Return {our path: name in the file}, the name `<layer>/<leaf>`.

    Args:
        names: the names in the file, in the order of the model's layers.
        layers: from `layers_of`.
    """
    names = list(names)
    by_name = {path: _resnet_name(path) for path in layers}
    if any(name in names for name in by_name.values() if name):
        return {path: name for path, name in by_name.items() if name}
    # By order, convolutions and norms apart: a file of Keras 3 keeps only their own orders.
    ours = [_in_order(layers, norms) for norms in (False, True)]
    theirs = [_layers_with(names, leaf) for leaf in ("kernel", "moving_mean")]
    places = {}
    for own, stored in zip(ours, theirs, strict=True):
        places.update(zip(own, stored, strict=False))
    return {
        path: f"{places[layer.number]}/{layer.leaf}"
        for path, layer in layers.items()
        if layer.number in places
    }


def _in_order(layers, norms):
    return sorted({n for n, leaf in layers.values() if (leaf in NORM_LEAVES) == norms})


def _layers_with(names, leaf):
    parts = [name.rsplit("/", 1) for name in names]
    return [layer for layer, own in parts if own == leaf]


def _resnet_name(path):
    """conv2_block1_0_conv/kernel of backbone/resnet/conv2/block1/shortcut/kernel."""
    layer, leaf = path.rsplit("/", 1)
    match = _UNIT.fullmatch(layer)
    if match is None:
        return None
    kind = "bn" if leaf in NORM_LEAVES else "conv"
    if match[2] is None:
        return f"{match[1]}_{kind}/{leaf}"
    unit = "0" if match[3] == "shortcut" else match[3].removeprefix("conv")
    return f"{match[1]}_{match[2]}_{unit}_{kind}/{leaf}"


def adjusted(names: dict[str, str], stored: Iterable[str]) -> dict[str, VariableSource]:
    """Return the sources of variables, with the differences of Keras applications' ResNets.

    Their convolutions have biases where ours have none: y + b, less a mean m, is y less m - b. And
    their images are blue, green, red. Both differences come together.

    Args:
        names: {our path: name in the file}.
        stored: all names in the file.
    """
    sources = {}
    for path, name in names.items():
        source = VariableSource(name)
        layer, leaf = path.rsplit("/", 1)
        kernel = names.get(f"{layer}/kernel", "")
        bias = kernel.replace("/kernel", "/bias")
        if kernel and f"{layer}/bias" not in names and bias in stored:
            if leaf == "moving_mean":
                source = VariableSource(name, subtract=bias)
            elif leaf == "kernel" and path == "backbone/resnet/conv1/kernel":
                source = VariableSource(name, flip_input=True)
        sources[path] = source
    return sources
