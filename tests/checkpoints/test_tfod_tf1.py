"""Names in TF1 checkpoints: by hand, and against the variable lists of the reference."""

import pytest
from reference import needs_reference
from variable_lists import built, listed_shapes

from object_detection.checkpoints.names.tfod_tf1 import slim_scope, tf1_names

RESNETS = (
    "c_tf1_mask_resnet50_atrous",
    "f_tf1_mask_resnet101_atrous",
    "i_tf1_resnet50_rpn_only_stage1",
    "variable_lists/tf1_mask_resnet152_atrous",
)


def test_names_of_every_kind_of_layer():
    names = {
        "backbone/resnet_v1_50/conv1/kernel": "FirstStageFeatureExtractor/resnet_v1_50/conv1/"
        "weights",
        "roi_stage/resnet_v1_101/block4/unit_1/shortcut/moving_mean": "SecondStageFeatureExtractor/"
        "resnet_v1_101/block4/unit_1/bottleneck_v1/shortcut/BatchNorm/moving_mean",
        "rpn/head/conv/bias": "Conv/biases",
        "rpn/head/deltas0/kernel": "FirstStageBoxPredictor/BoxEncodingPredictor/weights",
        "rpn/head/objectness0/bias": "FirstStageBoxPredictor/ClassPredictor/biases",
        "roi_stage/head/boxes/kernel": "SecondStageBoxPredictor/BoxEncodingPredictor/weights",
        "roi_stage/head/classes/bias": "SecondStageBoxPredictor/ClassPredictor/biases",
    }

    assert tf1_names(list(names)) == names


def test_mask_convolutions_are_counted_and_carry_their_norms():
    names = {
        "masks/head/conv1/kernel": "SecondStageBoxPredictor/Conv/weights",
        "masks/head/conv1/gamma": "SecondStageBoxPredictor/Conv/BatchNorm/gamma",
        "masks/head/conv1/moving_mean": "SecondStageBoxPredictor/Conv/BatchNorm/moving_mean",
        "masks/head/conv2/kernel": "SecondStageBoxPredictor/Conv_1/weights",
        "masks/head/masks/kernel": "SecondStageBoxPredictor/Conv_2/weights",
        "masks/head/masks/bias": "SecondStageBoxPredictor/Conv_2/biases",
    }

    assert tf1_names(list(names)) == names


def test_a_mask_head_of_one_convolution_has_no_number():
    names = tf1_names(["masks/head/masks/kernel"])

    assert names == {"masks/head/masks/kernel": "SecondStageBoxPredictor/Conv/weights"}


def test_norms_of_the_rpn():
    """A group norm has no moving statistics."""
    batch = tf1_names([f"rpn/head/conv/{leaf}" for leaf in ("beta", "moving_mean")])
    group = tf1_names([f"rpn/head/conv/{leaf}" for leaf in ("beta", "gamma")])

    assert list(batch.values()) == ["Conv/BatchNorm/beta", "Conv/BatchNorm/moving_mean"]
    assert list(group.values()) == ["Conv/GroupNorm/beta", "Conv/GroupNorm/gamma"]


def test_layers_that_tf1_does_not_have_are_left_out():
    assert tf1_names(["backbone/lateral2/kernel", "roi_stage/box_trunk/fc1/kernel"]) == {}


def test_scope_of_a_slim_network():
    layer = "backbone/resnet_v1_50/block1/unit_2/conv3"

    assert slim_scope(layer) == "resnet_v1_50/block1/unit_2/bottleneck_v1/conv3"
    assert slim_scope("rpn/head/conv") is None


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("name", RESNETS)
def test_every_variable_of_a_list_has_its_path(name):
    """And none of ours is missing in it; the first stage's block 4, unused, is only in the list."""
    shapes = built(name)
    names = tf1_names(list(shapes))
    listed = {
        key: shape
        for key, shape in listed_shapes(name).items()
        if not (key.startswith("FirstStageFeatureExtractor") and "/block4/" in key)
    }

    assert {names[path]: shape for path, shape in shapes.items()} == listed
