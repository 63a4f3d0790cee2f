"""Weights, image and ground truth that the goldens are made with: functions of names and shapes.

Needs numpy alone, for it runs beside TFOD too (see make_goldens.py).
"""

import re
import zlib

import numpy as np

HEIGHT, WIDTH = 90, 120
# Spread of what a head's layer gives for inputs of about one.
_HEADS = (
    (r"class_predictor|ClassPredictor", 2.0),
    (r"box_encoder|BoxEncodingPredictor", 0.2),
    (r"_mask_predictor_layers|SecondStageBoxPredictor/Conv", 1.5),
)


def _predictor(text):
    return f"second_stage_box_predictor {{ mask_rcnn_box_predictor {{ {text} }} }}"


def _post(text):
    return f"second_stage_post_processing {{ {text} }}"


_NORM = "batch_norm { scale: true decay: 0.9 epsilon: 0.01 }"
# Text of a FasterRcnn message merged over a golden's config, for goldens "<config>+<variant>".
VARIANTS = {
    "shared_box": _predictor("share_box_across_classes: true"),
    "agnostic_masks": _predictor("masks_are_class_agnostic: true"),
    "upsampled_masks": _predictor("convolve_then_upsample_masks: true"),
    "auto_depth": _predictor("mask_prediction_conv_depth: 0"),
    "dropout": _predictor("use_dropout: true dropout_keep_probability: 0.5"),
    "conv_norm": f"first_stage_box_predictor_conv_hyperparams {{ activation: NONE {_NORM} }} "
    + _predictor(f"conv_hyperparams {{ activation: RELU_6 {_NORM} }}"),
    "fc_norm": _predictor(f"fc_hyperparams {{ {_NORM} }}"),
    "l1": _predictor(
        "fc_hyperparams { regularizer { l1_regularizer { weight: 1e-4 } } } "
        "conv_hyperparams { regularizer { l1_regularizer { weight: 1e-3 } } }"
    ),
    "biased": _predictor(f"conv_hyperparams {{ force_use_bias: true {_NORM} }}"),  # TF2 only
    "clip_anchors": "clip_anchors_to_image: true",
    "atrous": "first_stage_atrous_rate: 3",
    "static_shapes": "use_static_shapes: true use_static_shapes_for_eval: true "
    "use_matmul_gather_in_matcher: true",
    "sigmoid": "second_stage_classification_loss { weighted_sigmoid { } } "
    + _post("score_converter: SIGMOID"),
    "focal": "second_stage_classification_loss { weighted_sigmoid_focal { gamma: 2 alpha: 0.25 } } "
    + _post("score_converter: SIGMOID"),
    "focal_without_alpha": "second_stage_classification_loss { weighted_sigmoid_focal { } } "
    + _post("score_converter: IDENTITY"),
    "logit_scale": "second_stage_classification_loss { weighted_softmax { logit_scale: 2 } } "
    + _post("logit_scale: 2"),
    "logits_softmax": "second_stage_classification_loss { weighted_logits_softmax { } } ",
    "mined": "hard_example_miner { num_hard_examples: 6 iou_threshold: 0.6 loss_type: BOTH }",
    "mined_by_class": "hard_example_miner { num_hard_examples: 4 iou_threshold: 0.9 "
    "loss_type: CLASSIFICATION max_negatives_per_positive: 3 min_negatives_per_image: 1 }",
    "final_features": "number_of_stages: 2 output_final_box_features: true "
    "output_final_box_rpn_features: true " + _predictor("predict_instance_masks: false"),
    "agnostic_nms": _post("batch_non_max_suppression { use_class_agnostic_nms: true }"),
    "soft_nms": _post("batch_non_max_suppression { soft_nms_sigma: 0.3 }"),
    "scores_above": "first_stage_nms_score_threshold: 0.3 "
    + _post("batch_non_max_suppression { score_threshold: 0.25 }"),
    "balanced": "second_stage_balance_fraction: 0.25",
}


def weight(name, shape, *, gain, pixel_spread):
    """The value of a variable by its name in TFOD's checkpoint.

    Args:
        name: the checkpoint's key.
        shape: of the variable.
        gain: variance of a convolution's output for inputs of variance one.
        pixel_spread: of the preprocessed image, which the first convolution brings to one.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.replace("/.ATTRIBUTES/VARIABLE_VALUE", "").rsplit("/", 1)[1]
    if leaf in ("gamma", "moving_variance"):
        value = rng.uniform(0.8, 1.2, shape)
    elif leaf in ("beta", "moving_mean", "bias", "biases"):
        value = 0.1 * rng.standard_normal(shape)
    else:
        depthwise = leaf in ("depthwise_kernel", "depthwise_weights")
        fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
        spread = next((s for pattern, s in _HEADS if re.search(pattern, name)), np.sqrt(gain))
        value = rng.standard_normal(shape) * spread / np.sqrt(fan_in)
        if len(shape) == 4 and shape[2] == 3:
            value /= pixel_spread
    return value.astype(np.float32)


def image():
    """uint8 [HEIGHT, WIDTH, 3]: smooth waves and some noise."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:HEIGHT, :WIDTH][..., np.newaxis]
    waves = np.sin(y / [9.0, 17.0, 5.0] + 1.0) * np.cos(x / [21.0, 7.0, 13.0])
    pixels = 127 + 90 * waves + 30 * rng.standard_normal((HEIGHT, WIDTH, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def ground_truth():
    """Normalized boxes [5, 4], classes 0-based [5], and masks uint8 [5, HEIGHT, WIDTH]."""
    boxes = np.array(
        [
            [0.1, 0.1, 0.6, 0.5],
            [0.3, 0.4, 0.9, 0.95],
            [0.05, 0.6, 0.4, 0.9],
            [0.17, 0.25, 0.83, 0.75],  # about an anchor of each size
            [0.2, 0.15, 0.47, 0.35],
        ]
    )
    masks = np.zeros((len(boxes), HEIGHT, WIDTH), np.uint8)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for mask, (ymin, xmin, ymax, xmax) in zip(masks, boxes, strict=True):
        middle_y, middle_x = (ymin + ymax) / 2 * HEIGHT, (xmin + xmax) / 2 * WIDTH
        radius_y, radius_x = (ymax - ymin) / 2 * HEIGHT, (xmax - xmin) / 2 * WIDTH
        mask[((y - middle_y) / radius_y) ** 2 + ((x - middle_x) / radius_x) ** 2 < 1] = 1
    return boxes.astype(np.float32), np.array([0, 2, 1, 1, 0]), masks
