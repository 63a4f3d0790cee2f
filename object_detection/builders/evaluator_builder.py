"""Builds the evaluation that an `eval_config` asks for."""

from object_detection.metrics.coco_evaluation import CocoEvaluation

SUPPORTED = {"coco_detection_metrics": "boxes", "coco_mask_metrics": "masks"}
_TFOD_ONLY = (
    "coco_keypoint_metrics",
    "coco_panoptic_metrics",
    "lvis_mask_metrics",
    "pascal_voc_detection_metrics",
    "weighted_pascal_voc_detection_metrics",
    "pascal_voc_instance_segmentation_metrics",
    "weighted_pascal_voc_instance_segmentation_metrics",
    "precision_at_recall_detection_metrics",
    "oid_V2_detection_metrics",
    "oid_challenge_detection_metrics",
    "oid_challenge_segmentation_metrics",
)


def build(eval_config, categories):
    """The evaluation of `eval_config.metrics_set`.

    Without a metrics_set boxes are scored, as in TFOD, and masks too where eval_instance_masks is
    set.

    Args:
        eval_config: EvalConfig message.
        categories: {id: name} of the label map.

    Raises:
        ValueError: a metrics_set or an option that this package does not have, by name.
    """
    names = list(eval_config.metrics_set)
    if not names:
        names = ["coco_detection_metrics"]
        names += ["coco_mask_metrics"] if eval_config.eval_instance_masks else []
    faults = [_refusal(name) for name in names if name not in SUPPORTED]
    if eval_config.parameterized_metric:
        faults.append("eval_config.parameterized_metric is not supported; take it out.")
    if eval_config.skip_predictions_for_unlabeled_class:
        faults.append(
            "eval_config.skip_predictions_for_unlabeled_class is not supported: COCO's metrics "
            "count every detection; set it to false."
        )
    if faults:
        raise ValueError("\n".join(faults))
    wanted = {SUPPORTED[name] for name in names}
    return CocoEvaluation(
        categories,
        boxes="boxes" in wanted,
        masks="masks" in wanted,
        per_category=eval_config.include_metrics_per_category or bool(eval_config.super_categories),
        all_per_category=eval_config.all_metrics_per_category,
        super_categories={
            group: [name.strip() for name in names.split(",") if name.strip()]
            for group, names in eval_config.super_categories.items()
        },
    )


def _refusal(name):
    """Why this name of a metrics_set is refused."""
    supported = ", ".join(SUPPORTED)
    if name in _TFOD_ONLY:
        return f"eval_config.metrics_set: {name} is not supported here; supported: {supported}."
    return f"eval_config.metrics_set: Metric not found: {name}; supported: {supported}."
