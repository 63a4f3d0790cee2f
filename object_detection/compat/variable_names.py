"""Every name that TFOD has for the variables of a network, by our paths.

Three kinds, and a model of TFOD's 2.x has the first two, one of its 1.x the last:

    keys       in an object-based checkpoint:  model/.../layer_with_weights-0/kernel/.ATTRIBUTES/...
    variables  `tf.Variable.name` in TFOD 2.x: conv1_conv/kernel
    scopes     in TFOD 1.x, checkpoint and graph alike: FirstStageFeatureExtractor/.../weights
"""

import re
from typing import NamedTuple

from object_detection.compat.checkpoint_map import variables_by_path
from object_detection.compat.checkpoint_names import tfod_keys
from object_detection.compat.inception_names import keras_names
from object_detection.compat.tf1_names import tf1_names

_RPN = "FirstStageBoxPredictor"
_ROI = "mask_rcnn_keras_box_predictor"
_MASK = _ROI + "/mask_rcnn_mask_head"
_PYRAMID = "private__resnet_fpn"
_TOP_DOWN = _PYRAMID + "/FeatureMaps/top_down"
_NORM_LEAVES = ("gamma", "beta", "moving_mean", "moving_variance")

# Our layer (a pattern) -> TFOD's name of the layer with the variable's own, and of its norm. {1} is
# a group, {-1} the first group, a number, less one; {low} that number counted from the lowest of
# the pyramid's levels, which is 1.
_LAYERS = (
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
        _PYRAMID + "/bottom_up_block{-1}_conv",
        _PYRAMID + "/bottom_up_block{-1}_batchnorm",
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


class VariableNames(NamedTuple):
    """Path -> name, for the paths that have one."""

    paths: tuple[str, ...]  # all of them
    keys: dict[str, str]
    variables: dict[str, str]
    scopes: dict[str, str]


def names_of(network) -> VariableNames:
    """The names of a network's variables; tables lack what TFOD has not got."""
    paths = list(variables_by_path(network))
    stage, masks = getattr(network, "roi_stage", None), getattr(network, "mask_stage", None)
    dropout = stage is not None and stage.head.dropout is not None
    upsample = masks is not None and masks.head.settings.convolve_then_upsample
    keys = tfod_keys(paths, dropout=dropout, upsample=upsample)
    trunk_norm = getattr(getattr(getattr(stage, "trunk", None), "fc1", None), "norm", None)
    is_sync = trunk_norm is not None and trunk_norm.kind == "sync"
    variables = variable_names(paths, upsample=upsample, sync_trunk_norm=is_sync)
    return VariableNames(tuple(paths), keys, variables, tf1_names(paths))


def variable_names(paths, *, upsample=False, sync_trunk_norm=False) -> dict[str, str]:
    """What TFOD 2.x calls each variable.

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
    inception = keras_names(paths)
    names = {}
    for path in paths:
        layer, leaf = path.rsplit("/", 1)
        if layer in inception:
            names[path] = f"{inception[layer][leaf in _NORM_LEAVES]}/{leaf}"
            continue
        for pattern, own, norm in _LAYERS:
            match = re.fullmatch(pattern, layer)
            name = norm if leaf in _NORM_LEAVES else own
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
