"""Fields of the config that change the heads: each does what it says, on a small network."""

import numpy as np
import pytest
import tensorflow as tf
import tiny_models
from tiny_models import images_of_shapes, truth_of

from object_detection.checkpoints.variables import variables_by_path

SEED = tf.constant([1, 2])
BOXES = [[[8.0, 8.0, 40.0, 48.0], [30.0, 20.0, 60.0, 70.0]]]


def network_of(text=""):
    """With the true boxes among the proposals, so that there are positives."""
    return tiny_models.network_of("faster_rcnn { add_groundtruth_to_proposals: true } " + text)


def predictor(text):
    return "faster_rcnn { second_stage_box_predictor { mask_rcnn_box_predictor { " + text + " } } }"


def losses_and_gradients(network, images):
    truth = truth_of(BOXES)
    with tf.GradientTape() as tape:
        outputs = network(images, truth, training=True, seed=SEED)
        losses = network.losses_of(images, truth, outputs, seed=SEED)
        total = tf.add_n(list(losses))
    return losses, tape.gradient(total, network.trainable_variables)


def assert_trains(network):
    losses, gradients = losses_and_gradients(network, images_of_shapes([(64, 80)]))
    assert all(np.isfinite(float(loss)) and loss > 0 for loss in losses)
    assert all(np.isfinite(tf.convert_to_tensor(g)).all() for g in gradients if g is not None)
    return losses


def kernel_shapes(network, part):
    return {
        path.removeprefix(part).removesuffix("/kernel"): tuple(variable.shape)
        for path, variable in variables_by_path(network).items()
        if path.startswith(part) and path.endswith("/kernel")
    }


def test_class_agnostic_masks():
    network = network_of(predictor("masks_are_class_agnostic: true"))
    assert kernel_shapes(network, "masks/head/")["masks"] == (3, 3, 8, 1)
    assert_trains(network)
    inference = network(images_of_shapes([(64, 80)]), all_masks=True)
    assert inference.detections.masks.shape == (1, 12, 14, 14)
    assert inference.mask_logits.shape == (12, 1, 14, 14)


def test_masks_that_are_enlarged_late():
    # Features of 7 x 7 fit twice into 15 and three times into 21.
    network = network_of(
        predictor(
            "convolve_then_upsample_masks: true mask_height: 15 mask_width: 21 "
            "mask_prediction_num_conv_layers: 3"
        )
    )
    # Two convolutions at 7 x 7, one after the enlarging, the last.
    shapes = kernel_shapes(network, "masks/head/")
    assert shapes == {
        "conv1": (3, 3, 16, 8),
        "conv2": (3, 3, 8, 8),
        "conv3": (3, 3, 8, 8),
        "masks": (3, 3, 8, 3),
    }
    assert_trains(network)
    assert network(images_of_shapes([(64, 80)])).detections.masks.shape == (1, 12, 14, 21)


def test_masks_smaller_than_their_features_are_refused():
    with pytest.raises(ValueError, match="mask_height and mask_width are 5 and 14, below .* 7 x 7"):
        network_of(predictor("convolve_then_upsample_masks: true mask_height: 5"))


def test_depth_of_the_mask_convolutions_by_itself():
    # 16 channels, 3 classes: 2 ** round((2 * 4 + 3 * 1.58) / 5 = 2.55)
    network = network_of(predictor("mask_prediction_conv_depth: 0"))
    assert kernel_shapes(network, "masks/head/")["conv1"] == (3, 3, 16, 8)


def test_a_box_for_all_classes():
    network = network_of(predictor("share_box_across_classes: true"))
    assert kernel_shapes(network, "roi_stage/head/") == {"classes": (512, 4), "boxes": (512, 4)}
    assert_trains(network)
    inference = network(images_of_shapes([(64, 80)]))
    assert inference.boxes.deltas.shape == (1, 20, 1, 4)
    assert inference.detections.raw_boxes.shape == (1, 20, 4)


def test_dropout_of_the_heads():
    network = network_of(predictor("use_dropout: true dropout_keep_probability: 0.25"))
    assert network.roi_stage.head.dropout == 0.75
    assert_trains(network)
    assert network_of(predictor("dropout_keep_probability: 0.25")).roi_stage.head.dropout is None


def test_hyperparams_of_each_head_are_its_own():
    network = network_of(
        "faster_rcnn { first_stage_box_predictor_conv_hyperparams { "
        "activation: NONE regularizer { l2_regularizer { weight: 2 } } batch_norm { scale: true } }"
        "} "
        + predictor(
            "fc_hyperparams { regularizer { l1_regularizer { weight: 1 } } batch_norm {} } "
            "conv_hyperparams { activation: SWISH group_norm {} }"
        )
    )
    rpn, box, mask = network.rpn.head, network.roi_stage.head, network.mask_stage.head
    # The RPN's activation is ReLU6 whatever is asked; only its 3 x 3 convolution has a norm.
    assert (rpn.conv.activation, rpn.conv.norm.kind, rpn.conv.bias) == ("relu6", "batch", None)
    assert rpn.objectness[0].norm is None and rpn.objectness[0].bias is not None
    assert (mask.convs[0].activation, mask.convs[0].norm.kind) == ("swish", "group")
    assert (mask.last.activation, mask.last.norm) == (None, None)
    assert (box.classes.activation, box.classes.norm.kind, box.classes.bias) == (
        None,
        "batch",
        None,
    )
    assert_trains(network)

    kernels = [rpn.conv.kernel, *(x.kernel for x in (*rpn.objectness, *rpn.deltas))]
    expected = sum(float(tf.reduce_sum(tf.square(kernel))) for kernel in kernels)  # 2 * x ** 2 / 2
    expected += sum(float(tf.reduce_sum(tf.abs(x.kernel))) for x in (box.classes, box.boxes))
    np.testing.assert_allclose(network.regularization_loss(), expected, rtol=1e-5)


def test_hyperparams_reach_the_base_network_where_they_override_it():
    text = (
        "faster_rcnn {{ feature_extractor {{ override_base_feature_extractor_hyperparams: {} "
        "conv_hyperparams {{ activation: RELU_6 regularizer {{ l2_regularizer {{ weight: 1 }} }} "
        "batch_norm {{ epsilon: 0.5 scale: true }} }} }} }}"
    )
    # ResNet-18 has 20 convolutions, the pyramid 4 lateral and 3 smoothing ones.
    for override, count in (("true", 27), ("false", 7)):
        network = network_of(text.format(override))
        layers = network.backbone._flatten_layers()
        asked = [x for x in layers if getattr(getattr(x, "hyperparams", None), "penalty", None)]
        assert len(asked) == count
    conv = network_of(text.format("true")).backbone.backbone.conv1
    assert (conv.activation, conv.norm.epsilon) == ("relu6", 0.5)


def test_atrous_rate_of_the_first_stage():
    head = network_of("faster_rcnn { first_stage_atrous_rate: 3 }").rpn.head
    x = np.zeros((1, 9, 9, 16), np.float32)
    x[0, 4, 4] = 1
    head.conv.bias.assign(tf.zeros_like(head.conv.bias))
    seen = np.abs(head.conv(x)).max((0, 3)) > 0
    assert sorted(set(np.flatnonzero(seen.any(1)))) == [1, 4, 7]  # three apart, not one


def test_clipped_anchors_are_trained_on():
    images = images_of_shapes([(64, 80)])
    clipped = network_of("faster_rcnn { clip_anchors_to_image: true }")
    dropping = network_of()
    found = clipped(images, truth_of(BOXES), seed=SEED)
    assert found.valid_anchors.numpy().all()
    anchors = found.rpn.anchors.numpy()
    assert anchors.min() >= 0 and (anchors.max(0) <= [64, 80, 64, 80]).all()
    kept = dropping(images, truth_of(BOXES), seed=SEED)
    assert not kept.valid_anchors.numpy().all()
    assert kept.rpn.anchors.numpy().min() < 0
    assert_trains(clipped)


def test_hard_examples():
    network = network_of("faster_rcnn { hard_example_miner { num_hard_examples: 5 } }")
    outputs = network(images_of_shapes([(64, 80)]), truth_of(BOXES), seed=SEED)
    assert outputs.rois.boxes.shape == (1, 22, 4)  # 20 proposals and 2 true boxes, not 16 of them
    assert network.roi_stage.miner.num_hard_examples == 5
    assert_trains(network)


@pytest.fixture(scope="module")
def plain():
    """The losses as they are where the config names no other."""
    return losses_and_gradients(network_of(), images_of_shapes([(64, 80)]))[0]


@pytest.mark.parametrize(
    "loss",
    [
        "weighted_sigmoid {}",
        "weighted_sigmoid_focal { alpha: 0.25 gamma: 1.5 }",
        "weighted_logits_softmax { logit_scale: 2 }",
        "weighted_softmax { logit_scale: 2 }",
    ],
)
def test_classification_losses_of_the_second_stage(loss, plain):
    text = f"faster_rcnn {{ second_stage_classification_loss {{ {loss} }} }}"
    different = network_of(text)
    found = assert_trains(different)
    assert abs(float(found.box_classification - plain.box_classification)) > 1e-3
    np.testing.assert_allclose(found.box_localization, plain.box_localization, rtol=1e-5)


FINAL = "faster_rcnn { output_final_box_features: true output_final_box_rpn_features: true }"


def test_features_of_the_final_boxes():
    network = network_of(FINAL + " faster_rcnn { number_of_stages: 2 }")
    images = images_of_shapes([(64, 80)])
    inference = network(images)
    # The trunk of a pyramid gives one vector a region.
    assert inference.final_crops.shape == (1, 12, 7, 7, 16)
    assert inference.final_trunk.shape == (1, 12, 1, 1, 512)
    levels, boxes = inference.features.levels, inference.detections.boxes
    crops = network.roi_stage.cropper.crop(levels, boxes, (64, 80))
    np.testing.assert_allclose(inference.final_crops, crops, atol=1e-5)
    only = network_of("faster_rcnn { output_final_box_features: true }")(images)
    assert only.final_crops is None and only.final_trunk is not None
    assert network_of()(images).final_trunk is None


def test_final_boxes_are_cropped_stretched_or_true():
    """TFOD's stretch is there by default, and only where there is padding."""
    true_boxes = FINAL + " faster_rcnn { crop_masks_at_true_boxes: true } "
    tfod_masks = predictor("spatial_mask_branch: false")
    stretched, true = network_of(FINAL + tfod_masks), network_of(true_boxes + tfod_masks)
    alone = images_of_shapes([(64, 80)])
    padded = alone._replace(pixels=tf.pad(alone.pixels, [[0, 0], [0, 0], [0, 48], [0, 0]]))

    for name in ("final_crops", "final_trunk"):
        np.testing.assert_array_equal(getattr(true(alone), name), getattr(stretched(alone), name))
    np.testing.assert_array_equal(true(alone).detections.masks, stretched(alone).detections.masks)

    found, other = true(padded), stretched(padded)
    np.testing.assert_array_equal(found.detections.boxes, other.detections.boxes)
    assert not np.allclose(found.detections.masks, other.detections.masks, atol=1e-5)
    # Twice as far from the left, 128 / 64 being 1.6 for 80: padded over true width.
    stretch = tf.constant([1.0, 128 / 80, 1.0, 128 / 80])
    cropper, levels = stretched.roi_stage.cropper, found.features.levels
    boxes = found.detections.boxes
    for inference, where in ((found, boxes), (other, boxes * stretch)):
        np.testing.assert_allclose(
            inference.final_crops, cropper.crop(levels, where, (64, 128)), atol=1e-5
        )


def test_what_tpus_need_changes_nothing():
    text = (
        "faster_rcnn { use_static_shapes: true use_static_shapes_for_eval: true "
        "use_static_balanced_label_sampler: true use_matmul_gather_in_matcher: true "
        "resize_masks: false use_partitioned_nms_in_first_stage: false }"
    )
    images = images_of_shapes([(64, 80)])
    static, plain = network_of(text), network_of()
    for one, other in zip(static(images).detections, plain(images).detections, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        losses_and_gradients(static, images)[0],
        losses_and_gradients(plain, images)[0],
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)
