"""Names and numbers of layers in Keras' networks, in Keras applications' files and in TFOD 2.x.

Keras' ResNets name every layer; its Inception-ResNet v2 leaves most to be counted, so that the
order in the file decides. TFOD's Keras networks have the same layers in the same order.

Keras numbers the layers of a network by their distance to its end, longest first; layers at the
same distance are in the order in which they were made. Their names count them as they were made.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from object_detection.checkpoints.names import NORM_LEAVES, VariableSource

_BACKBONE = "_feature_extractor_for_proposal_features"
_TRUNK = "_feature_extractor_for_box_classifier_features"
_KEY = re.compile(
    rf"model/({_BACKBONE}|{_TRUNK})/(classification_backbone/)?layer_with_weights-(\d+)/(\w+)/\."
)
_UNIT = re.compile(r"(?:backbone/resnet|roi_stage)/(conv\d)(?:/(block\d+)/(\w+))?")

INCEPTION = "inception_resnet_v2"
_POOL = "pool"
# The two halves of the network, each from its first to its last module.
_INCEPTION_PARTS = {
    "backbone": (
        "conv2d_1a_3x3",
        "conv2d_2a_3x3",
        "conv2d_2b_3x3",
        _POOL,
        "conv2d_3b_1x1",
        "conv2d_4a_3x3",
        _POOL,
        "mixed_5b",
        "repeat",
        "mixed_6a",
        "repeat_1",
    ),
    "roi_stage": ("mixed_7a", "repeat", "block8", "conv2d_7b_1x1"),
}
_POOLED_BRANCH = {"mixed_5b": 3, "mixed_6a": 2, "mixed_7a": 3}  # begins with a pool
_FIRST_OF_SECOND_STAGE = 156  # number of unnamed convolutions in the first stage
# Layers that Keras names itself: pattern of ours, its convolution's name and its norm's.
_NAMED = (
    (r".*/(block\d+_\d+)/conv2d_1x1", "{0}_conv", ""),
    (r".*/block8/conv2d_1x1", "block8_10_conv", ""),
    (r".*/conv2d_7b_1x1", "conv_7b", "conv_7b_bn"),
)


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


def keras_numbers(paths: Collection[str]) -> dict[str, tuple[int, int | None]]:
    """Return the numbers of an Inception-ResNet v2's layers in TFOD's checkpoints.

    Args:
        paths: all variable paths of one model, the model's own name cut off.

    Returns:
        {our layer: (number of its convolution, number of its norm or None)}, the numbers those of
        `layer_with_weights-N` in its half of the network. Empty for other networks.
    """
    numbers = {}
    for root in _INCEPTION_PARTS:
        weighted = [(layer, kind) for layer, kind in _inception_layers(paths, root) if layer]
        for number, (layer, kind) in enumerate(weighted):
            conv, norm = numbers.get(layer, (None, None))
            numbers[layer] = (number, norm) if kind == "conv" else (conv, number)
    return numbers


def keras_places(paths: Collection[str]) -> dict[str, list[int]]:
    """Return the positions of the layers with weights among all layers, the N of `layer-N`.

    Returns:
        {"backbone" or "roi_stage": places, in the order of `layer_with_weights-N`}. Empty for
        other networks.
    """
    places = {}
    for root in _INCEPTION_PARTS:
        layers = _inception_layers(paths, root)
        if layers:
            places[root] = [place for place, (layer, _) in enumerate(layers) if layer]
    return places


def keras_names(paths: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return what TFOD 2.x calls the layers of an Inception-ResNet v2.

    Returns:
        {our layer: (name of its convolution, name of its norm)}, the latter "" where it has none.
    """
    names = {}
    for root in _INCEPTION_PARTS:
        number = _FIRST_OF_SECOND_STAGE if root == "roi_stage" else 0
        convs = _convolutions(paths, root)
        for module in _inception_modules(convs, root):
            branches = sorted(layer for layer in convs if layer.startswith(module + "/branch_"))
            for layer in (*branches, module, module + "/conv2d_1x1"):
                if layer not in convs:
                    continue
                names[layer] = _own_names(layer)
                if names[layer] is None:
                    suffix = f"_{number}" if number else ""
                    names[layer] = (f"conv2d{suffix}", f"freezable_batch_norm{suffix}")
                    number += 1
    return names


def _own_names(layer):
    for pattern, conv, norm in _NAMED:
        match = re.fullmatch(pattern, layer)
        if match:
            return conv.format(*match.groups()), norm
    return None


def _convolutions(paths, root):
    """Our convolutions of one half of the network."""
    pattern = rf"({root}/{INCEPTION}/.+)/kernel"
    return {match[1] for match in (re.fullmatch(pattern, path) for path in paths) if match}


def _inception_modules(convs, root):
    """Paths of the modules of one half in their order; pools are `_POOL`."""
    if not convs:
        return []
    modules = []
    for part in _INCEPTION_PARTS[root]:
        path = f"{root}/{INCEPTION}/{part}"
        blocks = (re.match(rf"{path}/block\d+_(\d+)/", layer) for layer in convs)
        numbered = {int(match[1]): match[0].rstrip("/") for match in blocks if match}
        if part == _POOL:
            modules.append(_POOL)
        else:
            modules += [numbered[number] for number in sorted(numbered)] or [path]
    existing = {layer.split("/branch_")[0] for layer in convs}
    return [module for module in modules if module == _POOL or module in existing]


def _inception_layers(paths, root):
    """All Keras layers of one half in Keras' order: (our layer, "conv" or "norm") or (None, kind).

    Empty for other networks.
    """
    convs = _convolutions(paths, root)
    layers = [(None, "input")] if convs else []
    for module in _inception_modules(convs, root):
        if module == _POOL:
            layers.append((None, _POOL))
        elif module in convs:
            layers += _unit(module)
        else:
            layers += _module_layers(module, convs)
    return layers


def _unit(layer):
    return [(layer, "conv"), (layer, "norm"), (None, "activation")]


def _module_layers(module, convs):
    """Branches abreast, the longest first; then what joins them."""
    branches: dict = {}
    pooled = _POOLED_BRANCH.get(module.rsplit("/", 1)[1])
    if pooled is not None:
        branches[pooled] = [(None, _POOL)]
    for layer in sorted(convs):  # slim's names of a branch's convolutions are in alphabetic order
        match = re.match(module + r"/branch_(\d)/", layer)
        if match:
            branches.setdefault(int(match[1]), []).extend(_unit(layer))
    layers = []
    for distance in range(max(map(len, branches.values())), 0, -1):
        abreast = [branches[number] for number in sorted(branches)]
        layers += [branch[-distance] for branch in abreast if len(branch) >= distance]
    layers.append((None, "concatenation"))
    up = module + "/conv2d_1x1"
    if up in convs:
        layers += [(up, "conv"), (None, "sum")]
        layers += [] if module.endswith("/block8") else [(None, "activation")]
    return layers
