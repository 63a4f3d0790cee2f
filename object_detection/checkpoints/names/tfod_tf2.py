"""Names of TFOD 2.x: keys in its object-based checkpoints, and `tf.Variable.name`.

Rows of data, used both ways. TFOD numbers the layers of a Keras network in the order Keras made
them; `_layer_numbers` spells that order out.
"""

import re
from collections.abc import Collection

from object_detection.checkpoints.names import NORM_LEAVES, SUFFIX, keras_networks

_MODEL = "model/"
_PROPOSAL = "_feature_extractor_for_proposal_features"
_CLASSIFIER = "_feature_extractor_for_box_classifier_features"
_RPN_CONV = "_first_stage_box_predictor_first_conv"
_RPN_HEADS = "_first_stage_box_predictor/_prediction_heads"
_BOX_PREDICTOR = "_mask_rcnn_box_predictor"

# Our path (a pattern; the model's own name is cut off before) -> TFOD's key without "model/" and
# suffix. {..} in the key: an expression of the groups, see `_fill`.
_HEADS = (
    (
        r"rpn/head/conv/(kernel|bias)",
        _RPN_CONV + "/layer_with_weights-0/{1}",
    ),
    (
        r"rpn/head/conv/(gamma|beta|moving_mean|moving_variance)",
        _RPN_CONV + "/layer_with_weights-1/{1}",
    ),
    (r"rpn/head/deltas(\d+)/(\w+)", _RPN_HEADS + "/box_encodings/{1}/_box_encoder_layers/0/{2}"),
    (
        r"rpn/head/objectness(\d+)/(\w+)",
        _RPN_HEADS + "/class_predictions_with_background/{1}/_class_predictor_layers/0/{2}",
    ),
    (
        r"roi_stage/head/boxes/(norm/)?(\w+)",
        _BOX_PREDICTOR + "/_box_prediction_head/_box_encoder_layers/{dense}/{2}",
    ),
    (
        r"roi_stage/head/classes/(norm/)?(\w+)",
        _BOX_PREDICTOR + "/_class_prediction_head/_class_predictor_layers/{dense}/{2}",
    ),
    (
        r"masks/head/(?:conv(\d+)|masks)/(\w+)",
        _BOX_PREDICTOR + "/_third_stage_heads/mask_predictions/_mask_predictor_layers/{mask}/{2}",
    ),
)
_PYRAMID = (
    (r"backbone/lateral{top}/(\w+)", "fpn_features_generator/top_layers/0/{1}"),
    (r"backbone/lateral(\d)/(\w+)", "fpn_features_generator/residual_blocks/{down}/0/{2}"),
    (r"backbone/smoothing(\d)/(\w+)", "fpn_features_generator/conv_layers/{down}/{part}/{2}"),
    (r"backbone/coarse(\d)/(\w+)", "coarse_feature_layers/{up}/{part}/{2}"),
)
_TRUNK = (
    (r"roi_stage/box_trunk/fc1/(kernel|bias)", _CLASSIFIER + "/layer_with_weights-0/{1}"),
    (r"roi_stage/box_trunk/fc1/norm/(\w+)", _CLASSIFIER + "/layer_with_weights-1/{1}"),
    (r"roi_stage/box_trunk/fc2/(kernel|bias)", _CLASSIFIER + "/layer_with_weights-{fc2}/{1}"),
)

_RPN = "FirstStageBoxPredictor"
_ROI = "mask_rcnn_keras_box_predictor"
_MASK = _ROI + "/mask_rcnn_mask_head"
_FPN = "private__resnet_fpn"
_TOP_DOWN = _FPN + "/FeatureMaps/top_down"

# Our layer (a pattern) -> TFOD's name of the layer with the variable's own, and of its norm. {1} is
# a group, {-1} the first group, a number, less one; {low} that number counted from the lowest of
# the pyramid's levels, which is 1.
_VARIABLES = (
    (r"backbone/resnet/conv1", "conv1_conv", "conv1_bn"),
    (r"\w+(?:/resnet)?/(conv\d)/(block\d+)/conv(\d)", "{1}_{2}_{3}_conv", "{1}_{2}_{3}_bn"),
    (r"\w+(?:/resnet)?/(conv\d)/(block\d+)/shortcut", "{1}_{2}_0_conv", "{1}_{2}_0_bn"),
    (r"backbone/lateral(\d+)", _TOP_DOWN + "/projection_{low}", ""),
    (
        r"backbone/smoothing(\d+)",
        _TOP_DOWN + "/smoothing_{low}_conv",
        _TOP_DOWN + "/smoothing_{low}_batchnorm",
    ),
    (
        r"backbone/coarse(\d+)",
        _FPN + "/bottom_up_block{-1}_conv",
        _FPN + "/bottom_up_block{-1}_batchnorm",
    ),
    (r"roi_stage/box_trunk/fc1(?:/norm)?", "dense", "freezable_batch_norm"),
    (r"roi_stage/box_trunk/fc2", "dense_1", ""),
    (r"rpn/head/conv", "RPNConv", "RPNBatchNorm"),
    (r"rpn/head/deltas(\d+)", _RPN + "/ConvolutionalBoxHead_{1}/BoxEncodingPredictor", ""),
    (r"rpn/head/objectness(\d+)", _RPN + "/ConvolutionalClassHead_{1}/ClassPredictor", ""),
    (
        r"roi_stage/head/boxes(?:/norm)?",
        _ROI + "/mask_rcnn_box_head/BoxEncodingPredictor_dense",
        _ROI + "/mask_rcnn_box_head/BoxEncodingPredictor_batchnorm",
    ),
    (
        r"roi_stage/head/classes(?:/norm)?",
        _ROI + "/mask_rcnn_class_head/ClassPredictor_dense",
        _ROI + "/mask_rcnn_class_head/ClassPredictor_batchnorm",
    ),
    (
        r"masks/head/conv(\d+)",
        _MASK + "/MaskPredictor_conv2d_{-1}",
        _MASK + "/MaskPredictor_batchnorm_{-1}",
    ),
    (r"masks/head/masks", _MASK + "/MaskPredictor_last_conv2d", ""),
)

# One letter a layer: C a layer with weights, N a norm, which may have none, o one without weights.
_STEM = "ooCNoo"  # input, padding, convolution, norm, activation, pool
_PROJECTED = "CNoCNoCCNNoo"  # two units; shortcut, convolution, their norms; sum, activation
_PLAIN = "CNoCNoCNoo"
_DENSE_TRUNK = "oCNCo"  # flatten, dense, norm, dense, reshape
_RPN_LAYERS = "CNo"


def keys_of(network, paths: Collection[str]) -> dict[str, str]:
    """Return {path: TFOD's checkpoint key} of a network's variables; see `tfod_keys`."""
    stage = getattr(network, "roi_stage", None)
    dropout = stage is not None and stage.head.dropout is not None
    return tfod_keys(paths, dropout=dropout, upsample=_upsamples(network))


def variable_names_of(network, paths: Collection[str]) -> dict[str, str]:
    """Return {path: `tf.Variable.name` in TFOD 2.x}; see `variable_names`."""
    trunk = getattr(getattr(network, "roi_stage", None), "trunk", None)
    norm = getattr(getattr(trunk, "fc1", None), "norm", None)
    is_sync = norm is not None and norm.kind == "sync"
    return variable_names(paths, upsample=_upsamples(network), sync_trunk_norm=is_sync)


def _upsamples(network):
    masks = getattr(network, "mask_stage", None)
    return masks is not None and masks.head.settings.convolve_then_upsample


def _is_inception(paths):
    return any(f"/{keras_networks.INCEPTION}/" in path for path in paths)


def tfod_keys(paths: Collection[str], *, dropout=False, upsample=False) -> dict[str, str]:
    """Return TFOD's checkpoint key of each of our variable paths.

    Args:
        paths: all variable paths of one model, the model's own name cut off.
        dropout: whether the box heads have a dropout layer (use_dropout), which takes a place in
            TFOD's list of layers even where it drops nothing.
        upsample: whether the masks are upsampled between their convolutions
            (convolve_then_upsample_masks), which takes a place too.

    Returns:
        {path: key}, keys with "model/" and suffix. Paths TFOD has no name for are left out
        (extractors and branches of our own).
    """
    layers = _layer_numbers(set(paths))
    inception = keras_networks.keras_numbers(paths) if _is_inception(paths) else {}
    levels = [int(m[1]) for m in (re.match(r"backbone/lateral(\d)/", p) for p in paths) if m]
    without_statistics = _group_norms(paths)
    keys = {}
    for path in paths:
        if path in without_statistics:  # TFOD 2.x ignores group_norm: it has no such variables
            continue
        key = _backbone_key(path, layers, max(levels, default=0))
        key = key or _inception_key(path, inception)
        key = key or _head_key(path, dropout, upsample, paths)
        if key:
            keys[path] = f"{_MODEL}{key}{SUFFIX}"
    return keys


def _group_norms(paths):
    """The variables of group norms: those of norms that keep no moving statistics."""
    kept = {p.rsplit("/", 1)[0] for p in paths if p.endswith("/moving_mean")}
    norms = (p for p in paths if p.endswith(("/gamma", "/beta")))
    return {path for path in norms if path.rsplit("/", 1)[0] not in kept}


def _head_key(path, dropout, upsample, paths):
    for pattern, key in (*_HEADS, *_TRUNK):
        match = re.fullmatch(pattern, path)
        if match is None:
            continue
        if "{mask}" in key:
            convs = sum(bool(re.fullmatch(r"masks/head/conv\d+/kernel", p)) for p in paths)
            return _mask_key(key, match, convs, upsample)
        if "{dense}" in key:
            place = 1 + dropout + (match[1] is not None)  # flatten, dropout, dense, norm
            return key.replace("{dense}", str(place)).replace("{2}", match[2])
        if "{fc2}" in key:  # Keras counts layers with weights: a norm between moves the second
            normed = any(p.startswith("roi_stage/box_trunk/fc1/norm/") for p in paths)
            return key.replace("{fc2}", str(1 + normed)).replace("{1}", match[1])
        return _fill(key, match)
    return None


def _mask_key(key, match, convs, upsample):
    """Convolution, norm (or a placeholder) and activation are triples in TFOD's list.

    Upsampling comes before the last of them, whose own place it moves by one.
    """
    index = convs if match[1] is None else int(match[1]) - 1
    part = 3 * index + (match[2] not in ("kernel", "bias"))
    part += upsample and index >= convs - 1
    return key.replace("{mask}", str(part)).replace("{2}", match[2])


def _backbone_key(path, layers, top_level):
    match = re.fullmatch(r"(backbone/resnet|roi_stage)/(conv\d(?:/block\d+/\w+)?)/(\w+)", path)
    if match and match[2] in layers:
        number = layers[match[2]][match[3] not in ("kernel", "bias")]
        owner = _CLASSIFIER if match[1] == "roi_stage" else _PROPOSAL
        inner = "classification_backbone/" if top_level else ""
        return f"{owner}/{inner}layer_with_weights-{number}/{match[3]}"
    for pattern, key in _PYRAMID:
        match = re.fullmatch(pattern.replace("{top}", str(top_level)), path)
        if match:
            level = int(match[1]) if match[1].isdigit() else 0
            part = int(match[match.lastindex] not in ("kernel", "bias"))
            key = key.replace("{down}", str(top_level - 1 - level))
            key = key.replace("{up}", str(level - top_level - 1)).replace("{part}", str(part))
            return f"{_PROPOSAL}/{_fill(key, match)}"
    return None


def _inception_key(path, numbers):
    layer, leaf = path.rsplit("/", 1)
    if layer not in numbers:
        return None
    number = numbers[layer][leaf not in ("kernel", "bias")]
    owner = _CLASSIFIER if layer.startswith("roi_stage/") else _PROPOSAL
    return f"{owner}/layer_with_weights-{number}/{leaf}"


def _fill(key, match):
    """Puts the groups of `match` in the places {1}, {2} of `key`."""
    for number, group in enumerate(match.groups(), start=1):
        key = key.replace(f"{{{number}}}", group or "")
    return key


def _layer_numbers(paths):
    """{our unit path: (number of its convolution, number of its norm)} in Keras' order."""
    numbers = {}
    for root in ("backbone/resnet", "roi_stage"):
        blocks = {m[1] for m in (re.match(root + r"/(conv\d/block\d+)/", p) for p in paths) if m}
        if not blocks:
            continue
        units = ["conv1"] if root == "backbone/resnet" else []
        order = [(unit, kind) for unit in units for kind in ("conv", "norm")]
        for block in sorted(blocks, key=_block_order):
            projected = any(p.startswith(f"{root}/{block}/shortcut/") for p in paths)
            order += _block_layers(block, projected)
        # A base network with the config's hyper-parameters may have no norms; nor does it count
        # them then.
        order = [row for row in order if row[1] == "conv" or _is_normed(f"{root}/{row[0]}", paths)]
        for number, (unit, kind) in enumerate(order):
            conv, norm = numbers.get(unit, (None, None))
            numbers[unit] = (number, norm) if kind == "conv" else (conv, number)
    return numbers


def _is_normed(layer, paths):
    return f"{layer}/moving_mean" in paths


def _block_order(block):
    stage, number = re.fullmatch(r"conv(\d)/block(\d+)", block).groups()
    return int(stage), int(number)


def _block_layers(block, projected):
    """The layers with weights of one bottleneck block, in the order Keras numbers them."""
    first = [(f"{block}/conv{i}", kind) for i in (1, 2) for kind in ("conv", "norm")]
    if not projected:
        return [*first, (f"{block}/conv3", "conv"), (f"{block}/conv3", "norm")]
    return [
        *first,
        (f"{block}/shortcut", "conv"),
        (f"{block}/conv3", "conv"),
        (f"{block}/shortcut", "norm"),
        (f"{block}/conv3", "norm"),
    ]


def variable_names(paths, *, upsample=False, sync_trunk_norm=False) -> dict[str, str]:
    """Return what TFOD 2.x calls each variable.

    Args:
        paths: all variable paths of one model, the model's own name cut off.
        upsample: whether the masks are upsampled between their convolutions.
        sync_trunk_norm: whether the norm of the dense box trunk, the one layer whose name Keras
            makes of its class, is a sync_batch_norm.

    Returns:
        {path: name}. Paths TFOD has no name for are left out.
    """
    levels = [int(m[1]) for m in (re.match(r"backbone/lateral(\d+)/", p) for p in paths) if m]
    lowest = min(levels, default=0)
    convs = sum(bool(re.fullmatch(r"masks/head/conv\d+/kernel", path)) for path in paths)
    last_conv = f"masks/head/conv{convs}" if upsample else ""
    inception = keras_networks.keras_names(paths) if _is_inception(paths) else {}
    names = {}
    for path in paths:
        layer, leaf = path.rsplit("/", 1)
        if layer in inception:
            names[path] = f"{inception[layer][leaf in NORM_LEAVES]}/{leaf}"
            continue
        for pattern, own, norm in _VARIABLES:
            match = re.fullmatch(pattern, layer)
            name = norm if leaf in NORM_LEAVES else own
            if match and name:
                name = _filled(name, match.groups(), lowest)
                if sync_trunk_norm and name == "freezable_batch_norm":
                    name = "freezable_sync_batch_norm"
                if layer == last_conv:
                    name = re.sub(r"_(conv2d|batchnorm)_\d+$", r"_upsample_\1", name)
                names[path] = f"{name}/{leaf}"
                break
    return names


def _filled(name, groups, lowest):
    for place, group in enumerate(groups, start=1):
        name = name.replace(f"{{{place}}}", group)
    if "{low}" in name:
        return name.replace("{low}", str(int(groups[0]) - lowest + 1))
    if "{-1}" in name:
        return name.replace("{-1}", str(int(groups[0]) - 1))
    return name


def layer_positions(paths) -> dict[str, list[int]]:
    """Return the position of each layer with weights among all layers, by Keras network.

    Keras numbers the layers of a network twice, all of them and those that have weights, and a
    checkpoint's graph names a layer by both numbers.

    Args:
        paths: all variable paths of one model, the model's own name cut off.

    Returns:
        {path of the Keras network in TFOD's checkpoint: positions, in the order of their numbers}.
        What has no such numbers is left out.
    """
    pyramid = any(path.startswith("backbone/lateral") for path in paths)
    layers = {_MODEL + _RPN_CONV: _with_norms(_RPN_LAYERS, "rpn/head/conv/", paths)}
    blocks = _resnet_blocks(paths, "backbone/resnet")
    if blocks:
        network = _MODEL + _PROPOSAL + ("/classification_backbone" if pyramid else "")
        layers[network] = _with_norms(_STEM + blocks, "backbone/resnet/", paths)
    blocks = _resnet_blocks(paths, "roi_stage")
    if blocks:
        layers[_MODEL + _CLASSIFIER] = _with_norms("o" + blocks, "roi_stage/conv", paths)
    elif "roi_stage/box_trunk/fc1/kernel" in paths:
        layers[_MODEL + _CLASSIFIER] = _with_norms(_DENSE_TRUNK, "roi_stage/box_trunk/", paths)
    places = {
        name: [place for place, letter in enumerate(letters) if letter == "C"]
        for name, letters in layers.items()
    }
    networks = {"backbone": _MODEL + _PROPOSAL, "roi_stage": _MODEL + _CLASSIFIER}
    if _is_inception(paths):
        by_root = keras_networks.keras_places(paths)
        places |= {networks[root]: numbers for root, numbers in by_root.items()}
    return places


def _with_norms(letters, start, paths):
    """The letters with those of norms made C or o, by whether the layers at `start` have norms."""
    normed = any(p.startswith(start) and p.endswith("/moving_mean") for p in paths)
    return letters.replace("N", "C" if normed else "o")


def _resnet_blocks(paths, root):
    """The letters of the residual blocks under `root`."""
    matches = (re.match(rf"{root}/conv(\d)/block(\d+)/conv3/kernel", path) for path in paths)
    blocks = sorted((int(match[1]), int(match[2])) for match in matches if match)
    projected = {f"{root}/conv{stage}/block{n}/shortcut/kernel" for stage, n in blocks} & set(paths)
    return "".join(
        _PROJECTED if f"{root}/conv{stage}/block{n}/shortcut/kernel" in projected else _PLAIN
        for stage, n in blocks
    )
