"""Configs that hold every message a supported config can, and other values for their fields."""

import copy

from google.protobuf import text_format

from object_detection.config import field_checks, field_use
from object_detection.protos import pipeline_pb2

DESCRIPTOR = pipeline_pb2.TrainEvalPipelineConfig.DESCRIPTOR
PYRAMID = """
model { faster_rcnn {
  number_of_stages: 3
  num_classes: 2
  image_resizer { keep_aspect_ratio_resizer { min_dimension: 64 max_dimension: 96 } }
  feature_extractor {
    type: "faster_rcnn_resnet18_fpn_keras"
    conv_hyperparams { initializer { keras_initializer_by_name: "he_normal" } batch_norm { } }
    fpn { min_level: 2 max_level: 6 }
  }
  first_stage_anchor_generator { multiscale_anchor_generator {
    min_level: 2 max_level: 6 aspect_ratios: [0.5, 1.0] } }
  first_stage_box_predictor_conv_hyperparams {
    regularizer { l2_regularizer { } }
    initializer { truncated_normal_initializer { } }
    batch_norm { } }
  initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2
  second_stage_box_predictor { mask_rcnn_box_predictor {
    fc_hyperparams {
      op: FC
      regularizer { l1_regularizer { } }
      initializer { variance_scaling_initializer { } }
      sync_batch_norm { } }
    conv_hyperparams { initializer { random_normal_initializer { } } group_norm { } }
    predict_instance_masks: true
    spatial_mask_branch: true
    use_dropout: true } }
  second_stage_post_processing {
    batch_non_max_suppression { max_detections_per_class: 50 soft_nms_sigma: 0.5 }
    score_converter: SOFTMAX
    calibration_config { function_approximation { x_y_pairs {
      x_y_pair { x: 0.25 y: 0.5 } x_y_pair { x: 1 y: 1 } } } } }
  second_stage_classification_loss { weighted_softmax { } }
  hard_example_miner { }
} }
train_config {
  batch_size: 4
  num_steps: 100
  optimizer { momentum_optimizer { learning_rate { cosine_decay_learning_rate {
    total_steps: 100 warmup_steps: 10 warmup_learning_rate: 0.001 } } } }
  fine_tune_checkpoint: "%(folder)s/weights"
  from_detection_checkpoint: true
  fine_tune_checkpoint_version: V1
}
train_input_reader { label_map_path: "%(folder)s/a.pbtxt"
  load_instance_masks: true mask_type: PNG_MASKS
  tf_record_input_reader { input_path: "%(folder)s/a.record" } }
eval_config {
  metrics_set: ["coco_mask_metrics", "precision_at_recall_detection_metrics"]
  area_range { name: "tiny" max: 256 }
  skip_predictions_for_unlabeled_class: true
  num_examples: 7
}
eval_input_reader { label_map_path: "%(folder)s/a.pbtxt"
  load_instance_masks: true mask_type: PNG_MASKS shuffle: true
  tf_record_input_reader { input_path: "%(folder)s/a.record" } }
"""
_PROCESSING = "model { faster_rcnn { second_stage_post_processing { calibration_config { %s } } } }"
_LOSS = "model { faster_rcnn { second_stage_classification_loss { %s } } }"
_RESIZER = "model { faster_rcnn { image_resizer { %s } } }"
_OPTIMIZER = "train_config { optimizer { %s } }"
# Merged over the config above: the other members of its oneofs.
OTHERS = {
    "grid": """model { faster_rcnn {
        feature_extractor { type: "faster_rcnn_inception_resnet_v2_keras" }
        first_stage_anchor_generator { grid_anchor_generator {
          scales: [0.5, 1.0] aspect_ratios: 1.0 } }
        second_stage_box_predictor { mask_rcnn_box_predictor {
          spatial_mask_branch: false } } } }""",
    "fixed": _RESIZER % "fixed_shape_resizer { }",
    "identity": _RESIZER % "identity_resizer { }",
    "conditional": _RESIZER % "conditional_shape_resizer { }",
    "multiple": _RESIZER % "pad_to_multiple_resizer { }",
    "sigmoid": _LOSS % "weighted_sigmoid { }",
    "focal": _LOSS % "weighted_sigmoid_focal { }",
    "logits": _LOSS % "weighted_logits_softmax { }",
    "classes": _PROCESSING
    % """class_id_function_approximations { class_id_xy_pairs_map {
        key: 1 value { x_y_pair { x: 0.5 y: 1 } } } }""",
    "temperature": _PROCESSING % "temperature_scaling_calibration { scaler: 2 }",
    "rms": _OPTIMIZER
    % """rms_prop_optimizer { learning_rate { exponential_decay_learning_rate {
        decay_steps: 10 burnin_steps: 3 burnin_learning_rate: 0.0001 } } }""",
    "adam": _OPTIMIZER
    % """adam_optimizer { learning_rate { manual_step_learning_rate {
        initial_learning_rate: 0.001 schedule { step: 10 } } } }""",
    "adam_w": _OPTIMIZER % "adam_w_optimizer { learning_rate { constant_learning_rate { } } }",
    "steps": "",  # and every step of augmentation
    "no metrics": "",
}
# What steps need to be sound.
_STEPS = {
    "normalize_image": "original_minval: 0 original_maxval: 255",
    "random_resize_method": "target_height: 8 target_width: 8",
    "resize_image": "new_height: 8 new_width: 8",
    "subtract_channel_mean": "means: [1, 2, 3]",
    "random_pad_image": "min_image_height: 8 min_image_width: 8 "
    "max_image_height: 90 max_image_width: 90",
    "drop_label_probabilistically": "label: 1",
    "remap_labels": "original_labels: 1 new_label: 2",
}
_OPERATION = "operations { min_area: 0.5 max_area: 1 %s }"
_SHAPES = "min_aspect_ratio: 0.5 max_aspect_ratio: 2"
_STEPS |= {
    "ssd_random_crop": _OPERATION % _SHAPES,
    "ssd_random_crop_pad": _OPERATION % _SHAPES,
    "ssd_random_crop_fixed_aspect_ratio": _OPERATION % "",
    "ssd_random_crop_pad_fixed_aspect_ratio": _OPERATION % _SHAPES,
}

# Other values of fields that have no obvious one.
VALUES = {
    "FasterRcnn.number_of_stages": [1],
    "FasterRcnnFeatureExtractor.type": [
        "faster_rcnn_resnet50_keras",
        "faster_rcnn_resnet50_fpn_keras",
    ],
    "FasterRcnnFeatureExtractor.first_stage_features_stride": [8],
    "Initializer.keras_initializer_by_name": ["glorot_normal"],
    "KeepAspectRatioResizer.per_channel_pad_value": [[1, 2, 3]],
    "EvalConfig.metrics_set": [["lvis_mask_metrics"]],
    "EvalConfig.iou_threshold": [[0.3]],
    "EvalConfig.max_detections": [[7]],
    "EvalConfig.groundtruth_box_visualization_color": ["red"],
    "AreaRange.name": ["small"],
    "InputReader.name": ["night"],
    "InputReader.ignore_class": [["bush"]],
    "InputReader.label_map_path": ["%(folder)s/b.pbtxt"],
    "InputReader.sample_from_datasets_weights": [[0.5]],
    "InputReader.filenames_shuffle_buffer_size": [1],
    "TFRecordInputReader.input_path": [["%(folder)s/b.record"]],
    "TrainConfig.fine_tune_checkpoint": ["%(folder)s/other_weights"],
    "TrainConfig.fine_tune_checkpoint_type": ["full"],
    "TrainConfig.freeze_variables": [["backbone"]],
    "TrainConfig.update_trainable_variables": [["rpn"]],
    "AutoAugmentImage.policy_name": ["v1"],
    "SubtractChannelMean.means": [[1, 2, 4]],
    "RandomAbsolutePadImage.max_height_padding": [5],
    "RandomAbsolutePadImage.max_width_padding": [5],
    "pad_color": [[1, 2, 3]],
    "min_padded_size_ratio": [[1.5, 1.5]],
    "max_padded_size_ratio": [[3, 3]],
    "EvalConfig.super_categories": [{"animal": "cat,dog"}],
    "ClassIdFunctionApproximations.class_id_xy_pairs_map": [{2: [(0.25, 0.5)]}],
}


def whole_configs(folder):
    """{name: TrainEvalPipelineConfig} that together hold every message; paths lie in `folder`."""
    configs = {}
    for name, text in {**OTHERS, "pyramid": ""}.items():
        config = pipeline_pb2.TrainEvalPipelineConfig()
        text_format.Parse(PYRAMID % {"folder": folder}, config)
        if name == "grid":  # what only a pyramid has
            extractor = config.model.faster_rcnn.feature_extractor
            extractor.ClearField("fpn")
            extractor.ClearField("conv_hyperparams")
        text_format.Merge(text, config)
        if name == "no metrics":
            config.eval_config.ClearField("metrics_set")
        if name == "steps":
            _add_all_steps(config.train_config.data_augmentation_options)
        configs[name] = config
    return configs


def _add_all_steps(steps):
    read = field_use.read_fields("PreprocessingStep")
    for step in read:
        text_format.Parse(f"{step} {{ {_STEPS.get(step, '')} }}", steps.add())


def messages_of(config, path=()):
    """(path, message, its name in the schema) of a message and all that it holds.

    A path is a tuple of field names, and numbers behind those of lists.
    """
    name = field_checks.message_name(config.DESCRIPTOR)
    yield path, config, name
    for field, value in config.ListFields():
        read = field.name in field_use.read_fields(name)
        if field.message_type is None or not read or field.message_type.GetOptions().map_entry:
            continue
        several = enumerate(value) if field.is_repeated else [(None, value)]
        for number, item in several:
            here = (*path, field.name) if number is None else (*path, field.name, number)
            yield from messages_of(item, here)


def message_at(config, path):
    """The message at a path of `messages_of`."""
    for step in path:
        config = config[step] if isinstance(step, int) else getattr(config, step)
    return config


def other_values(name, message, field, folder=""):
    """Values that a scalar or repeated field does not hold, the likeliest to be allowed first."""
    known = VALUES.get(f"{name}.{field.name}", VALUES.get(field.name))
    value = getattr(message, field.name)
    if known is not None:
        return [_with_folder(one, folder) for one in known]
    if field.enum_type is not None:
        return [number for number in field.enum_type.values_by_number if number != value]
    if isinstance(value, bool):
        return [not value]
    if field.is_repeated:
        return [[*value, 2 * value[-1]] if len(value) else [1]]
    if isinstance(value, int):
        return [value + 1, max(value - 1, 0), value // 2, 2 * value]
    if isinstance(value, float):
        return [value / 2, value * 1.5, value + 0.25]
    return ["text"]


def _with_folder(value, folder):
    if isinstance(value, str):
        return value.replace("%(folder)s", str(folder))
    return [_with_folder(one, folder) for one in value] if isinstance(value, list) else value


def assign(message, field, value):
    """Gives a field a value of `other_values`."""
    target = getattr(message, field.name)
    if isinstance(value, dict):
        for key, content in value.items():
            if isinstance(content, str):
                target[key] = content
            else:
                for x, y in content:
                    target[key].x_y_pair.add(x=x, y=y)
    elif field.is_repeated:
        target[:] = value
    else:
        setattr(message, field.name, value)


def with_another(config, path, field, folder=""):
    """The config with one field set to another value, or merely set where it is a message."""
    changed = copy.deepcopy(config)
    message = message_at(changed, path)
    if field.message_type is None:
        name = field_checks.message_name(message.DESCRIPTOR)
        assign(message, field, other_values(name, message, field, folder)[0])
    elif field.is_repeated:
        getattr(message, field.name).add()
    else:
        getattr(message, field.name).SetInParent()
    return changed


def places_of_fields(folder):
    """(Message.field, config, path of the message, field) of every field, at its first place."""
    seen = set()
    for config in whole_configs(folder).values():
        for path, message, name in messages_of(config):
            if name not in seen:
                for field in message.DESCRIPTOR.fields:
                    yield f"{name}.{field.name}", config, path, field
            seen.add(name)
