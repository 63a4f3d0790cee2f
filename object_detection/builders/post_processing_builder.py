"""`PostProcessing` messages -> `roi_stage.DetectionSettings`."""

from object_detection.builders import calibration_builder
from object_detection.builders.pick import check_message
from object_detection.errors import ConfigError
from object_detection.modeling.roi_stage import DetectionSettings


def build(config):
    """The settings of a `PostProcessing` message.

    `use_static_shapes`, `use_partitioned_nms`, `use_combined_nms` and `use_cpu_nms` say how TFOD
    computes; the result is the same, so they are not read.

    Raises:
        ConfigError: max_detections_per_class above max_total_detections, or a calibration that is
            not supported.
    """
    check_message(config, "PostProcessing", "post_processing_config")
    nms = config.batch_non_max_suppression
    if nms.max_detections_per_class > nms.max_total_detections:
        raise ConfigError(
            f"max_detections_per_class is {nms.max_detections_per_class}, which is above "
            f"max_total_detections ({nms.max_total_detections}): lower the one or raise the other"
        )
    agnostic = nms.use_class_agnostic_nms
    calibrators = {}
    if config.HasField("calibration_config"):
        kind = config.calibration_config.WhichOneof("calibrator")
        of_logits = kind in calibration_builder.OF_LOGITS
        place = "calibrate_logits" if of_logits else "calibrate"
        calibrators[place] = calibration_builder.build(config.calibration_config)
    return DetectionSettings(
        score_converter=config.ScoreConverter.Name(config.score_converter),
        logit_scale=config.logit_scale,
        score_threshold=nms.score_threshold,
        iou_threshold=nms.iou_threshold,
        max_per_class=nms.max_detections_per_class,
        max_total=nms.max_total_detections,
        soft_nms_sigma=0.0 if nms.use_hard_nms else nms.soft_nms_sigma,
        class_agnostic=agnostic,
        # With a box for each class it has no effect.
        max_classes_per_detection=nms.max_classes_per_detection if agnostic else 1,
        **calibrators,
    )
