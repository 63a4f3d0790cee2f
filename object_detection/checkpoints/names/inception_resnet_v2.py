"""Numbers and names of Keras' Inception-ResNet v2 layers <-> our layers, for TFOD 2.x.

Keras numbers the layers of a network by their distance to its end, longest first; layers at the
same distance stand in the order in which they were made. Their names count them as they were made.
"""

import re

NETWORK = "inception_resnet_v2"
_POOL = "pool"
# What stands one after another in the two halves of the network.
_PARTS = {
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
_FIRST_OF_SECOND_STAGE = 156  # so many unnamed convolutions stand in the first stage
# Layers that Keras names itself: pattern of ours, its convolution's name and its norm's.
_NAMED = (
    (r".*/(block\d+_\d+)/conv2d_1x1", "{0}_conv", ""),
    (r".*/block8/conv2d_1x1", "block8_10_conv", ""),
    (r".*/conv2d_7b_1x1", "conv_7b", "conv_7b_bn"),
)


def keras_numbers(paths):
    """Where the layers of an Inception-ResNet v2 stand in TFOD's checkpoints.

    Args:
        paths: all variable paths of one model, the model's own name cut off.

    Returns:
        {our layer: (number of its convolution, number of its norm or None)}, the numbers those of
        `layer_with_weights-N` in its half of the network. Empty for other networks.
    """
    numbers = {}
    for root in _PARTS:
        weighted = [(layer, kind) for layer, kind in _layers(paths, root) if layer]
        for number, (layer, kind) in enumerate(weighted):
            conv, norm = numbers.get(layer, (None, None))
            numbers[layer] = (number, norm) if kind == "conv" else (conv, number)
    return numbers


def keras_places(paths):
    """Places of the layers with weights among all layers, the N of `layer-N`.

    Returns:
        {"backbone" or "roi_stage": places, in the order of `layer_with_weights-N`}. Empty for
        other networks.
    """
    places = {}
    for root in _PARTS:
        layers = _layers(paths, root)
        if layers:
            places[root] = [place for place, (layer, _) in enumerate(layers) if layer]
    return places


def keras_names(paths):
    """What TFOD 2.x calls the layers of an Inception-ResNet v2.

    Returns:
        {our layer: (name of its convolution, name of its norm)}, the latter "" where it has none.
    """
    names = {}
    for root in _PARTS:
        number = _FIRST_OF_SECOND_STAGE if root == "roi_stage" else 0
        convs = _convolutions(paths, root)
        for module in _modules(convs, root):
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
    pattern = rf"({root}/{NETWORK}/.+)/kernel"
    return {match[1] for match in (re.fullmatch(pattern, path) for path in paths) if match}


def _modules(convs, root):
    """Paths of the modules of one half in their order; pools are `_POOL`."""
    if not convs:
        return []
    modules = []
    for part in _PARTS[root]:
        path = f"{root}/{NETWORK}/{part}"
        blocks = (re.match(rf"{path}/block\d+_(\d+)/", layer) for layer in convs)
        numbered = {int(match[1]): match[0].rstrip("/") for match in blocks if match}
        if part == _POOL:
            modules.append(_POOL)
        else:
            modules += [numbered[number] for number in sorted(numbered)] or [path]
    found = {layer.split("/branch_")[0] for layer in convs}
    return [module for module in modules if module == _POOL or module in found]


def _layers(paths, root):
    """All Keras layers of one half in Keras' order: (our layer, "conv" or "norm") or (None, kind).

    Empty for other networks.
    """
    convs = _convolutions(paths, root)
    layers = [(None, "input")] if convs else []
    for module in _modules(convs, root):
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
