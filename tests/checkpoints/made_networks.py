"""Networks of nothing but variables, with the paths of real ones."""

from types import SimpleNamespace

import numpy as np


class Weight:
    """As much of a variable as a restore sees."""

    def __init__(self, path, shape):
        self.path = f"faster_rcnn/{path}"
        self.shape = tuple(shape)
        self.dtype = "float32"
        self.value = np.zeros(shape, np.float32)

    def assign(self, value):
        assert value.shape == self.shape and value.dtype == np.float32
        self.value = value


def network_of_paths(shapes):
    """A network with these variables, {path: shape}."""
    weights = [Weight(path, shape) for path, shape in shapes.items()]
    return SimpleNamespace(variables=weights, roi_stage=None, mask_stage=None)


def values_in(network):
    """{path: array}."""
    return {w.path.split("/", 1)[1]: w.value for w in network.variables}


_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def unit(layer, inputs, outputs, leaves=_NORM):
    """{path: shape} of a convolution of 1 x 1 and its norm."""
    shapes = {f"{layer}/kernel": [1, 1, inputs, outputs]}
    return shapes | {f"{layer}/{leaf}": [outputs] for leaf in leaves}


def heads(classes=2):
    """{path: shape} of RPN and box heads."""
    return {
        "rpn/head/conv/kernel": [3, 3, 4, 5],
        "rpn/head/objectness0/kernel": [1, 1, 5, 2],
        "roi_stage/head/classes/kernel": [4, classes + 1],
    }


def slim_resnet(classes=2):
    """A TF1 ResNet's paths, a few."""
    return (
        unit("backbone/resnet_v1_50/conv1", 3, 4)
        | unit("backbone/resnet_v1_50/block1/unit_1/shortcut", 4, 4)
        | unit("roi_stage/resnet_v1_50/block4/unit_1/conv1", 4, 4)
        | heads(classes)
    )


def keras_resnet(classes=2):
    """A Keras ResNet's paths: its first layer, a block before the box stage and one in it."""
    shapes = unit("backbone/resnet/conv1", 3, 4)
    for block in ("backbone/resnet/conv2/block1", "roi_stage/conv5/block1"):
        for layer in ("conv1", "conv2", "shortcut", "conv3"):
            shapes |= unit(f"{block}/{layer}", 4, 4)
    return shapes | heads(classes)


def keras_inception_resnet():
    """Some of the paths of Keras' Inception-ResNet v2, in which order alone tells the layers."""
    norm = _NORM[1:]
    return (
        unit("backbone/inception_resnet_v2/conv2d_1a_3x3", 3, 4, norm)
        | unit("backbone/inception_resnet_v2/repeat/block35_1/branch_0/conv2d_1x1", 4, 4, norm)
        | unit("backbone/inception_resnet_v2/repeat/block35_1/branch_1/conv2d_0a_1x1", 4, 5, norm)
        | unit("backbone/inception_resnet_v2/repeat/block35_1/branch_1/conv2d_0b_3x3", 5, 6, norm)
        | unit("backbone/inception_resnet_v2/repeat/block35_1/conv2d_1x1", 10, 4, ("bias",))
        | unit("roi_stage/inception_resnet_v2/conv2d_7b_1x1", 4, 9, norm)
        | heads()
    )
