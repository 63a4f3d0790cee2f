"""Numbers of Keras' layers, worked by hand. `test_checkpoint_writer` compares all of TFOD's."""

from object_detection.checkpoints.names.keras_networks import (
    keras_names,
    keras_numbers,
    keras_places,
)

FIRST = "backbone/inception_resnet_v2/"


def _paths(*layers, leaves=("kernel", "beta")):
    return [f"{layer}/{leaf}" for layer in layers for leaf in leaves]


def test_the_longest_branch_comes_first():
    short = FIRST + "mixed_6a/branch_0/conv2d_1a_3x3"
    long = [FIRST + f"mixed_6a/branch_1/conv2d_{name}" for name in ("0a_1x1", "0b_3x3", "1a_3x3")]
    numbers = keras_numbers(_paths(short, *long))

    # conv 0, norm 1 | conv 2, norm 3 | both last convs 4 and 5, both last norms 6 and 7
    assert numbers == {long[0]: (0, 1), long[1]: (2, 3), short: (4, 6), long[2]: (5, 7)}


def test_names_count_layers_as_they_were_made():
    branch = FIRST + "repeat/block35_1/branch_{}"
    layers = [branch.format(0) + "/conv2d_1x1", branch.format(1) + "/conv2d_0a_1x1"]
    up = FIRST + "repeat/block35_1/conv2d_1x1"
    names = keras_names([*_paths(*layers), *_paths(up, leaves=("kernel", "bias"))])

    assert names[layers[0]] == ("conv2d", "freezable_batch_norm")
    assert names[layers[1]] == ("conv2d_1", "freezable_batch_norm_1")
    assert names[up] == ("block35_1_conv", "")


def test_places_count_layers_without_weights():
    # input | convolution, norm, activation | convolution, norm, activation
    layers = (FIRST + "conv2d_1a_3x3", FIRST + "conv2d_2a_3x3")
    assert keras_places(_paths(*layers))["backbone"][:4] == [1, 2, 4, 5]


def test_other_networks_have_none():
    paths = ["backbone/resnet/conv1/kernel", "roi_stage/head/boxes/kernel"]
    assert keras_numbers(paths) == {} and keras_places(paths) == {} and keras_names(paths) == {}
