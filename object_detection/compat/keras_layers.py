"""Where the layers with weights stand among all layers of TFOD 2.x's Keras networks.

Keras numbers the layers of a network twice, all of them and those that have weights, and a
checkpoint's graph names a layer by both numbers.
"""

import re

from object_detection.compat.inception_names import keras_places

_PROPOSAL = "model/_feature_extractor_for_proposal_features"
_CLASSIFIER = "model/_feature_extractor_for_box_classifier_features"
_RPN_CONV = "model/_first_stage_box_predictor_first_conv"

# One letter a layer: C a layer with weights, N a norm, which may have none, o one without weights.
_STEM = "ooCNoo"  # input, padding, convolution, norm, activation, pool
_PROJECTED = "CNoCNoCCNNoo"  # two units; shortcut, convolution, their norms; sum, activation
_PLAIN = "CNoCNoCNoo"
_DENSE_TRUNK = "oCNCo"  # flatten, dense, norm, dense, reshape
_RPN = "CNo"


def positions(paths) -> dict[str, list[int]]:
    """The place of each layer with weights, by network.

    Args:
        paths: all variable paths of one model, the model's own name cut off.

    Returns:
        {path of the Keras network in TFOD's checkpoint: places, in the order of their numbers}.
        What has no such numbers is left out.
    """
    pyramid = any(path.startswith("backbone/lateral") for path in paths)
    layers = {_RPN_CONV: _with_norms(_RPN, "rpn/head/conv/", paths)}
    blocks = _resnet_blocks(paths, "backbone/resnet")
    if blocks:
        network = _PROPOSAL + ("/classification_backbone" if pyramid else "")
        layers[network] = _with_norms(_STEM + blocks, "backbone/resnet/", paths)
    blocks = _resnet_blocks(paths, "roi_stage")
    if blocks:
        layers[_CLASSIFIER] = _with_norms("o" + blocks, "roi_stage/conv", paths)
    elif "roi_stage/box_trunk/fc1/kernel" in paths:
        layers[_CLASSIFIER] = _with_norms(_DENSE_TRUNK, "roi_stage/box_trunk/", paths)
    places = {
        name: [place for place, letter in enumerate(letters) if letter == "C"]
        for name, letters in layers.items()
    }
    networks = {"backbone": _PROPOSAL, "roi_stage": _CLASSIFIER}
    inception = {networks[root]: numbers for root, numbers in keras_places(paths).items()}
    return {**places, **inception}


def _with_norms(letters, start, paths):
    """The letters with those of norms made C or o: whether the layers at `start` have norms."""
    normed = any(p.startswith(start) and p.endswith("/moving_mean") for p in paths)
    return letters.replace("N", "C" if normed else "o")


def _resnet_blocks(paths, root):
    """The letters of the residual blocks under `root`."""
    found = (re.match(rf"{root}/conv(\d)/block(\d+)/conv3/kernel", path) for path in paths)
    blocks = sorted((int(match[1]), int(match[2])) for match in found if match)
    projected = {f"{root}/conv{stage}/block{n}/shortcut/kernel" for stage, n in blocks} & set(paths)
    return "".join(
        _PROJECTED if f"{root}/conv{stage}/block{n}/shortcut/kernel" in projected else _PLAIN
        for stage, n in blocks
    )
