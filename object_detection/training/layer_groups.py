"""Groups of layers to train, by their plain names: `heads`, `5+`, `4+`, `3+`, `all`.

The names are those of Matterport's Mask R-CNN and of Supervisely: `heads` is all that is not the
base network, and `N+` is that with the stages N and later of the base network. Stage N is where
features are 2^N times smaller than the image, as conv2 to conv5 of a ResNet are numbered. The trunk
that a detector without a pyramid runs on each crop is stage 5.
"""

import re
from collections.abc import Iterable

from object_detection.checkpoints.variables import path_of

GROUPS = ("heads", "5+", "4+", "3+", "all")

_HEADS = 6  # later than any stage

# Beginnings of the paths of each stage's weights in every base network.
_STAGES = (
    (r"(backbone/resnet|roi_stage)/conv(?P<stage>[1-5])/", 0),
    (r"backbone/resnet_v1_\d+/conv1/", 1),
    (r"(backbone|roi_stage)/resnet_v1_\d+/block(?P<stage>[1-4])/", 1),  # block 1 is conv2
    (r"(backbone|roi_stage)/inception_v2/(conv2d|mixed)_(?P<stage>[1-5])", 0),
    (r"backbone/inception_resnet_v2/conv2d_[12]", 1),
    (r"backbone/inception_resnet_v2/conv2d_[34]", 2),
    (r"backbone/inception_resnet_v2/(mixed_5b|repeat)/", 3),
    (r"backbone/inception_resnet_v2/(mixed_6a|repeat_1)/", 4),
    (r"roi_stage/inception_resnet_v2/", 5),
)


def stage_of(path: str) -> int | None:
    """The stage of the base network that a weight belongs to; None for all other layers.

    Args:
        path: of the weight, such as `backbone/resnet/conv3/block1/conv1/kernel`.
    """
    for pattern, offset in _STAGES:
        found = re.match(pattern, path)
        if found:
            return int(found.groupdict().get("stage") or 0) + offset
    return None


def members(group: str, paths: Iterable[str]) -> set[str]:
    """The weights of a group.

    Args:
        group: one of `GROUPS`.
        paths: of the weights to choose from.

    Raises:
        ValueError: there is no such group.
    """
    if group not in GROUPS:
        raise ValueError(f"--train_layers={group} is no group; {', '.join(GROUPS)} are.")
    first = {"heads": _HEADS, "all": 0, "5+": 5, "4+": 4, "3+": 3}[group]
    return {path for path in paths if (stage_of(path) or _HEADS) >= first}


def hold_norms(group: str, network) -> int:
    """Freezes the live norms of the layers that are not of a group; gives their number.

    Their statistics would otherwise move with every batch, though none of their weights is trained.
    """
    held = 0
    for layer in network._flatten_layers(include_self=False):
        norm = getattr(layer, "norm", None)
        if norm is None or norm.kind == "group" or not norm.live:
            continue
        keeps = getattr(layer, "norm_layer", layer)  # a dense block's norm is a layer of its own
        if not members(group, [path_of(keeps.moving_mean)]):
            layer.norm, held = norm._replace(live=False), held + 1
    return held
