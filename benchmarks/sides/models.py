"""The compared models as TFOD's configs, and the image and objects that they are given.

Needs nothing but numpy, for other projects' environments read it too.
"""

import numpy as np

CLASSES = 90
OBJECTS = 7
NAMES = ("resnet50_c4", "inception_resnet_v2", "resnet50_fpn")

_C4 = """
faster_rcnn {
  number_of_stages: 3
  num_classes: 90
  image_resizer { identity_resizer {} }
  feature_extractor { type: "%(extractor)s" }
  first_stage_anchor_generator { grid_anchor_generator {
    scales: [0.25, 0.5, 1.0, 2.0] aspect_ratios: [0.5, 1.0, 2.0]
    height_stride: 16 width_stride: 16 } }
  first_stage_box_predictor_conv_hyperparams {
    op: CONV
    regularizer { l2_regularizer { weight: 0.0 } }
    initializer { truncated_normal_initializer { stddev: 0.01 } } }
  first_stage_nms_score_threshold: 0.0
  first_stage_nms_iou_threshold: 0.7
  first_stage_max_proposals: %(proposals)d
  first_stage_minibatch_size: 256
  first_stage_localization_loss_weight: 2.0
  first_stage_objectness_loss_weight: 1.0
  initial_crop_size: %(crop)d
  maxpool_kernel_size: %(pool)d
  maxpool_stride: %(pool)d
  second_stage_batch_size: 64
  second_stage_balance_fraction: 0.25
  second_stage_box_predictor { mask_rcnn_box_predictor {
    fc_hyperparams {
      op: FC
      regularizer { l2_regularizer { weight: 0.0 } }
      initializer { variance_scaling_initializer { factor: 1.0 uniform: true mode: FAN_AVG } } }
    conv_hyperparams {
      op: CONV
      regularizer { l2_regularizer { weight: 0.0 } }
      initializer { truncated_normal_initializer { stddev: 0.01 } } }
    predict_instance_masks: true
    mask_height: 33
    mask_width: 33
    mask_prediction_conv_depth: 0
    mask_prediction_num_conv_layers: 4 } }
  second_stage_post_processing {
    batch_non_max_suppression {
      score_threshold: 0.0
      iou_threshold: 0.6
      max_detections_per_class: 100
      max_total_detections: 100 }
    score_converter: SOFTMAX }
  second_stage_localization_loss_weight: 2.0
  second_stage_classification_loss_weight: 1.0
  second_stage_mask_prediction_loss_weight: 4.0
}
"""

# The papers' form, which torchvision and TF Vision have: with fields of our own.
_FPN = """
faster_rcnn {
  number_of_stages: 3
  num_classes: 90
  image_resizer { identity_resizer {} }
  feature_extractor {
    type: "faster_rcnn_resnet50_fpn_keras"
    fpn { min_level: 2 max_level: 6 additional_layer_depth: 256 }
    conv_hyperparams {
      op: CONV
      activation: RELU
      initializer { truncated_normal_initializer { stddev: 0.03 } }
      batch_norm { scale: true decay: 0.997 epsilon: 0.001 } } }
  first_stage_anchor_generator { multiscale_anchor_generator {
    min_level: 2 max_level: 6 anchor_scale: 8.0 aspect_ratios: [0.5, 1.0, 2.0]
    scales_per_octave: 1 normalize_coordinates: false } }
  first_stage_box_predictor_conv_hyperparams {
    op: CONV
    initializer { truncated_normal_initializer { stddev: 0.01 } } }
  first_stage_box_predictor_depth: 256
  first_stage_nms_score_threshold: 0.0
  first_stage_nms_iou_threshold: 0.7
  first_stage_max_proposals: %(proposals)d
  first_stage_minibatch_size: 256
  clip_anchors_to_image: true
  fpn_paper_levels: true
  fpn_unstretched_crops: true
  initial_crop_size: 7
  maxpool_kernel_size: 1
  maxpool_stride: 1
  second_stage_batch_size: 512
  second_stage_balance_fraction: 0.25
  second_stage_box_predictor { mask_rcnn_box_predictor {
    fc_hyperparams {
      op: FC
      initializer { variance_scaling_initializer { factor: 1.0 uniform: true mode: FAN_AVG } } }
    conv_hyperparams {
      op: CONV
      initializer { variance_scaling_initializer { factor: 2.0 mode: FAN_IN } } }
    predict_instance_masks: true
    spatial_mask_branch: true
    mask_crop_size: 14
    convolve_then_upsample_masks: true
    mask_height: 28
    mask_width: 28
    mask_prediction_conv_depth: 256
    mask_prediction_num_conv_layers: 4 } }
  second_stage_post_processing {
    batch_non_max_suppression {
      score_threshold: 0.0
      iou_threshold: 0.5
      max_detections_per_class: 100
      max_total_detections: 100 }
    score_converter: SOFTMAX }
}
"""


def text_of(name, proposals=None):
    """The text of a `DetectionModel` message, by one of `NAMES`."""
    if name == "resnet50_fpn":
        return _FPN % {"proposals": proposals or 1000}
    extractor, crop, pool = {
        "resnet50_c4": ("faster_rcnn_resnet50_keras", 14, 2),
        "inception_resnet_v2": ("faster_rcnn_inception_resnet_v2_keras", 17, 1),
    }[name]
    fields = {"extractor": extractor, "crop": crop, "pool": pool, "proposals": proposals or 300}
    return _C4 % fields


def image(height, width, seed=0):
    """uint8 [1, height, width, 3]: waves and noise."""
    rows, columns = np.mgrid[:height, :width]
    waves = 128 + 90 * np.sin(columns / 29.0 + rows / 17.0)[..., np.newaxis]
    noise = np.random.default_rng(seed).normal(0, 20, (height, width, 3))
    return np.clip(waves + noise, 0, 255).astype(np.uint8)[np.newaxis]


def objects(height, width, seed=0):
    """Boxes [7, 4] in pixels, classes [7] from 1, and elliptic masks uint8 [7, height, width]."""
    generator = np.random.default_rng(seed)
    centres = generator.uniform(0.2, 0.8, (OBJECTS, 2)) * (height, width)
    radii = generator.uniform(0.05, 0.2, (OBJECTS, 2)) * (height, width)
    boxes = np.concatenate([centres - radii, centres + radii], 1).astype(np.float32)
    rows, columns = np.mgrid[:height, :width]
    masks = [
        ((rows - cy) / ry) ** 2 + ((columns - cx) / rx) ** 2 <= 1
        for (cy, cx), (ry, rx) in zip(centres, radii, strict=True)
    ]
    return boxes, generator.integers(1, CLASSES + 1, OBJECTS), np.array(masks, np.uint8)


def weight_like_a_trained_one(path, value, generator):
    """Random weights whose features neither grow nor vanish, nor are all alike.

    Args:
        path: a variable's name, in TFOD or here.
        value: its initial value.
        generator: numpy's.

    Returns:
        The value to give it, or None for the one that it has.
    """
    if path.endswith("gamma"):
        closes_a_block = any(part in path for part in ("3_bn", "conv3/"))
        return np.full_like(value, 0.2) if closes_a_block else None
    if path.endswith(("beta", "bias", "moving_mean")):
        return value + generator.normal(0, 0.05, value.shape).astype(value.dtype)
    return None
