"""Small configs to break, and findings as plain sentences; for the tests of checks."""

from object_detection.config import overrides, pipeline_file

SUPPORTED = ("faster_rcnn_resnet50_keras", "faster_rcnn_resnet50_fpn_keras")

MASK_RCNN = """
model {
  faster_rcnn {
    number_of_stages: 3
    num_classes: 3
    image_resizer { fixed_shape_resizer { height: 64 width: 64 } }
    feature_extractor { type: "faster_rcnn_resnet50_keras" batch_norm_trainable: true }
    first_stage_anchor_generator {
      grid_anchor_generator { scales: [0.5, 1.0] aspect_ratios: 1.0 }
    }
    initial_crop_size: 14
    maxpool_kernel_size: 2
    maxpool_stride: 2
    second_stage_box_predictor {
      mask_rcnn_box_predictor {
        predict_instance_masks: true
        conv_hyperparams { op: CONV }
      }
    }
    second_stage_post_processing { score_converter: SOFTMAX }
  }
}
train_config {
  batch_size: 1
  num_steps: 100
  optimizer {
    momentum_optimizer {
      learning_rate { constant_learning_rate { learning_rate: 0.01 } }
    }
  }
}
train_input_reader {
  label_map_path: "map.pbtxt"
  load_instance_masks: true
  mask_type: PNG_MASKS
  tf_record_input_reader { input_path: "train.record" }
}
eval_config { metrics_set: "coco_mask_metrics" }
eval_input_reader {
  label_map_path: "map.pbtxt"
  load_instance_masks: true
  mask_type: PNG_MASKS
  tf_record_input_reader { input_path: "val.record" }
}
"""

FPN = (
    "model.faster_rcnn.feature_extractor.type=faster_rcnn_resnet50_fpn_keras",
    "model.faster_rcnn.feature_extractor.fpn={min_level: 2 max_level: 6}",
    "model.faster_rcnn.first_stage_anchor_generator="
    "{multiscale_anchor_generator {min_level: 2 max_level: 6 aspect_ratios: 1.0}}",
    "model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor.spatial_mask_branch=true",
)
PREDICTOR = "model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor"


def config_with(*changes):
    """The Mask R-CNN above with dotted overrides; "-path" clears a field."""
    config = pipeline_file.parse(MASK_RCNN)
    for change in changes:
        if not change.startswith("-"):
            overrides.apply(config, change)
            continue
        *path, last = change[1:].split(".")
        message = config
        for step in path:
            message = getattr(message, step)
        message.ClearField(last)
    return config


def sentences(findings):
    """(faults, warnings) as lists of texts."""
    return [str(fault) for fault in findings.faults], [str(item) for item in findings.warnings]


def only_fault(findings):
    """The text of the one fault there is."""
    faults, _ = sentences(findings)
    assert len(faults) == 1, faults
    return faults[0]


def only_warning(findings):
    """The text of the one warning there is, no fault beside it."""
    faults, found = sentences(findings)
    assert not faults, faults
    assert len(found) == 1, found
    return found[0]
