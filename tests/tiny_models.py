"""Small detectors and batches for tests."""

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import model_builder
from object_detection.protos import model_pb2
from object_detection.structures.batch import CroppedMasks, GroundTruth, Images

PYRAMID = """
faster_rcnn {
  number_of_stages: 3
  num_classes: 3
  image_resizer { keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 96 } }
  feature_extractor {
    type: "faster_rcnn_resnet18_fpn_keras"
    fpn { min_level: 2 max_level: 5 additional_layer_depth: 16 }
  }
  first_stage_anchor_generator { multiscale_anchor_generator {
    min_level: 2 max_level: 5 anchor_scale: 4 scales_per_octave: 1
    aspect_ratios: [0.5, 1.0, 2.0] } }
  first_stage_box_predictor_conv_hyperparams {
    initializer { random_normal_initializer { stddev: 0.1 } } }
  first_stage_box_predictor_depth: 16
  first_stage_minibatch_size: 32
  first_stage_max_proposals: 20
  fpn_paper_levels: true
  initial_crop_size: 7 maxpool_kernel_size: 1 maxpool_stride: 1
  second_stage_batch_size: 16
  second_stage_box_predictor { mask_rcnn_box_predictor {
    fc_hyperparams { op: FC initializer { random_normal_initializer { stddev: 3e-4 } } }
    conv_hyperparams { initializer { variance_scaling_initializer { } } }
    predict_instance_masks: true
    spatial_mask_branch: true
    mask_crop_size: 7
    mask_height: 14 mask_width: 14
    mask_prediction_conv_depth: 8
  } }
  second_stage_post_processing {
    batch_non_max_suppression { iou_threshold: 0.6 max_detections_per_class: 10
                                max_total_detections: 12 }
    score_converter: SOFTMAX }
}
"""


def network_of(overrides="", *, is_training=True):
    """The small pyramid detector, with a text config merged over it."""
    config = text_format.Parse(PYRAMID, model_pb2.DetectionModel())
    text_format.Merge(overrides, config)
    tf.keras.utils.set_random_seed(1)
    network = model_builder.build_network(config, is_training)
    for variable in network.variables:
        # With constant norms the residual blocks of random weights would double their input.
        if variable.path.endswith("conv2/gamma"):
            variable.assign(0.1 * tf.ones_like(variable))
    return network


def images_of_shapes(shapes, *, seed=0):
    """`Images` of random pixels with these (height, width), padded to the largest."""
    height, width = np.max(shapes, axis=0)
    pixels = np.zeros((len(shapes), height, width, 3), np.float32)
    for image, (h, w) in enumerate(shapes):
        generator = np.random.default_rng(seed + image)
        pixels[image, :h, :w] = generator.uniform(0, 255, (h, w, 3))
    return Images(tf.constant(pixels), tf.constant(shapes, tf.int32))


def truth_of(boxes, *, valid=None, mask_size=(32, 32)):
    """`GroundTruth` of boxes [B, G, 4] with classes 1, 2, 3, 1, ... and masks full of ones."""
    boxes = np.asarray(boxes, np.float32).reshape(len(boxes), -1, 4)
    batch, count = boxes.shape[:2]
    valid = np.ones((batch, count), bool) if valid is None else np.asarray(valid)
    classes = np.where(valid, np.arange(count) % 3 + 1, 0).astype(np.int32)
    return GroundTruth(
        boxes=tf.constant(boxes),
        classes=tf.constant(classes),
        valid=tf.constant(valid),
        weights=tf.cast(valid, tf.float32),
        crowd=tf.zeros([batch, count], tf.bool),
        difficult=tf.zeros([batch, count], tf.bool),
        area=tf.zeros([batch, count]),
        masks=CroppedMasks(
            tf.ones([batch, count, *mask_size], tf.uint8),
            tf.constant([mask_size] * batch, tf.int32),
        ),
    )
