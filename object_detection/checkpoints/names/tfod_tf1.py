"""Names of variables in TFOD's TF1 checkpoints (name-based, slim networks) <-> our variable paths.

The path of a layer of a slim network is its slim name in lower case, so that one rule serves all of
them; only the heads need rows.
"""

import re
from collections.abc import Collection

FIRST_STAGE = "FirstStageFeatureExtractor"
SECOND_STAGE = "SecondStageFeatureExtractor"
# Our name of a slim network -> its scope.
NETWORKS = {
    "resnet_v1_50": "resnet_v1_50",
    "resnet_v1_101": "resnet_v1_101",
    "resnet_v1_152": "resnet_v1_152",
    "inception_v2": "InceptionV2",
    "inception_resnet_v2": "InceptionResnetV2",
}
LEAVES = {
    "kernel": "weights",
    "bias": "biases",
    "depthwise_kernel": "depthwise_weights",
    "pointwise_kernel": "pointwise_weights",
    "gamma": "BatchNorm/gamma",
    "beta": "BatchNorm/beta",
    "moving_mean": "BatchNorm/moving_mean",
    "moving_variance": "BatchNorm/moving_variance",
}
_HEADS = (
    (r"rpn/head/conv", "Conv"),
    (r"rpn/head/deltas0", "FirstStageBoxPredictor/BoxEncodingPredictor"),
    (r"rpn/head/objectness0", "FirstStageBoxPredictor/ClassPredictor"),
    (r"roi_stage/head/boxes(?:/norm)?", "SecondStageBoxPredictor/BoxEncodingPredictor"),
    (r"roi_stage/head/classes(?:/norm)?", "SecondStageBoxPredictor/ClassPredictor"),
)


def tf1_names(paths: Collection[str]) -> dict[str, str]:
    """Return the name of each of our variable paths in a TF1 checkpoint of TFOD.

    Only the convolutions of the mask head are numbered, so nothing else (dropout, say) shifts a
    name, as it does in TF2.

    Args:
        paths: all variable paths of one model, the model's own name cut off.

    Returns:
        {path: name}. Paths TF1 has no name for are left out.
    """
    names = {}
    convs = sum(bool(re.fullmatch(r"masks/head/conv\d+/kernel", path)) for path in paths)
    batch_normed = {path.rsplit("/", 1)[0] for path in paths if path.endswith("/moving_mean")}
    for path in paths:
        layer, leaf = path.rsplit("/", 1)
        scope = _network_scope(layer) or _head_scope(layer, convs)
        if scope and leaf in LEAVES:
            name = f"{scope}/{LEAVES[leaf]}"
            # A norm without statistics is slim's group norm.
            names[path] = name if layer in batch_normed else name.replace("BatchN", "GroupN")
    return names


def slim_scope(layer: str) -> str | None:
    """Return slim's own name of a layer of a slim network, None for other layers.

    Args:
        layer: path such as `backbone/inception_v2/mixed_3b/branch_0/conv2d_0a_1x1`.
    """
    match = re.fullmatch(r"(?:backbone|roi_stage)/([a-z0-9_]+)/(.+)", layer)
    if match is None or match[1] not in NETWORKS:
        return None
    inner = match[2]
    if match[1].startswith("resnet"):
        inner = re.sub(r"(unit_\d+)/", r"\1/bottleneck_v1/", inner)
    else:
        words = r"\b(mixed|branch|conv2d|repeat|block8(?!_))"
        inner = re.sub(words, lambda m: m[1].capitalize(), inner)
    return f"{NETWORKS[match[1]]}/{inner}"


def slim_names(paths: Collection[str]) -> dict[str, str]:
    """Return {path: name in slim's own classification checkpoints} of backbone and box trunk."""
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


def _network_scope(layer):
    scope = slim_scope(layer)
    if scope is None:
        return None
    return f"{FIRST_STAGE if layer.startswith('backbone/') else SECOND_STAGE}/{scope}"


def _head_scope(layer, convs):
    for pattern, scope in _HEADS:
        if re.fullmatch(pattern, layer):
            return scope
    match = re.fullmatch(r"masks/head/(?:conv(\d+)|masks)", layer)
    if match is None:
        return None
    index = convs if match[1] is None else int(match[1]) - 1
    return "SecondStageBoxPredictor/Conv" + (f"_{index}" if index else "")
