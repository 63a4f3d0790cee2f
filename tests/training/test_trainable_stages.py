"""Stages of layers to train by plain names, on the paths of every base network."""

import pytest
import tiny_models

from object_detection.training import trained_weights

HEADS = [
    "rpn/head/conv/kernel",
    "roi_stage/head/classes/kernel",
    "roi_stage/box_trunk/fc1/kernel",
    "masks/head/masks/bias",
    "backbone/lateral3/kernel",
    "backbone/smoothing4/bias",
    "backbone/coarse6/kernel",
]
STAGES = {
    "backbone/resnet/conv1/kernel": 1,
    "backbone/resnet/conv2/block1/conv1/kernel": 2,
    "backbone/resnet/conv5/block3/conv1/gamma": 5,
    "roi_stage/conv5/block1/shortcut/kernel": 5,
    "backbone/resnet_v1_101/conv1/kernel": 1,
    "backbone/resnet_v1_101/block1/unit_1/conv1/kernel": 2,
    "backbone/resnet_v1_50/block3/unit_6/conv3/kernel": 4,
    "roi_stage/resnet_v1_50/block4/unit_1/shortcut/kernel": 5,
    "backbone/inception_v2/conv2d_1a_7x7/depthwise_kernel": 1,
    "backbone/inception_v2/conv2d_2c_3x3/kernel": 2,
    "backbone/inception_v2/mixed_3b/branch_0/conv2d_0a_1x1/kernel": 3,
    "backbone/inception_v2/mixed_4e/branch_0/conv2d_0a_1x1/kernel": 4,
    "roi_stage/inception_v2/mixed_5a/branch_0/conv2d_0a_1x1/kernel": 5,
    "backbone/inception_resnet_v2/conv2d_2b_3x3/kernel": 1,
    "backbone/inception_resnet_v2/conv2d_4a_3x3/kernel": 2,
    "backbone/inception_resnet_v2/mixed_5b/branch_0/conv2d_1x1/kernel": 3,
    "backbone/inception_resnet_v2/repeat/block35_1/conv2d_1x1/kernel": 3,
    "backbone/inception_resnet_v2/mixed_6a/branch_0/conv2d_1a_3x3/kernel": 4,
    "backbone/inception_resnet_v2/repeat_1/block17_3/conv2d_1x1/kernel": 4,
    "roi_stage/inception_resnet_v2/repeat/block8_1/conv2d_1x1/kernel": 5,
}


def test_the_stage_of_every_kind_of_path():
    assert {path: trained_weights.stage_of(path) for path in STAGES} == STAGES
    assert [trained_weights.stage_of(path) for path in HEADS] == [None] * len(HEADS)


@pytest.mark.parametrize(("stages", "first"), [("heads", 6), ("5+", 5), ("4+", 4), ("3+", 3)])
def test_n_plus_is_the_heads_and_the_stages_from_its_number_on(stages, first):
    wanted = {*HEADS, *(path for path, stage in STAGES.items() if stage >= first)}

    assert trained_weights.trainable_paths(stages, [*HEADS, *STAGES]) == wanted


def test_all_is_everything_and_other_names_are_refused():
    assert trained_weights.trainable_paths("all", [*HEADS, *STAGES]) == {*HEADS, *STAGES}
    with pytest.raises(
        ValueError, match="--train_layers=2\\+ is unknown; allowed: heads, 5\\+, 4\\+, 3\\+, all"
    ):
        trained_weights.trainable_paths("2+", HEADS)


def test_live_norms_of_dense_layers_are_of_the_heads():
    norm = "batch_norm_trainable: true conv_hyperparams { batch_norm { } }"
    network = tiny_models.network_of(f"faster_rcnn {{ feature_extractor {{ {norm} }} }}")
    assert network.roi_stage.trunk.fc1.norm.live
    assert trained_weights.freeze_batch_norm("all", network) == 0
    assert trained_weights.freeze_batch_norm("heads", network) > 0
    assert network.roi_stage.trunk.fc1.norm.live
