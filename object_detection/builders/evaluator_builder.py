"""Builds the evaluation of an `eval_config`."""

from object_detection.builders.pick import check_message
from object_detection.config import data_checks
from object_detection.errors import ConfigError
from object_detection.metrics import coco_engine
from object_detection.metrics.coco_evaluation import CocoEvaluation
from object_detection.metrics.evaluation import CombinedEvaluation
from object_detection.metrics.lvis_evaluation import LvisEvaluation
from object_detection.metrics.pascal_evaluation import VARIANTS, PascalEvaluation

_COCO = {"coco_detection_metrics": "boxes", "coco_mask_metrics": "masks"}
_LVIS = "lvis_mask_metrics"
SUPPORTED = (*_COCO, _LVIS, *VARIANTS)
_TFOD_ONLY = ("coco_keypoint_metrics", "coco_panoptic_metrics")
_DEFAULTS = coco_engine.Settings()


def metric_names(eval_config):
    """The metrics_set, each name once; without one boxes, and masks by eval_instance_masks."""
    names = [data_checks.OLD_METRICS.get(name, name) for name in eval_config.metrics_set]
    if not names:
        names = ["coco_detection_metrics"]
        names += ["coco_mask_metrics"] if eval_config.eval_instance_masks else []
    return list(dict.fromkeys(names))


def needs_image_labels(eval_config):
    """Whether a metric reads what records say of whole images."""
    by_image = [_LVIS, *(name for name, v in VARIANTS.items() if v.verified)]
    return eval_config.skip_predictions_for_unlabeled_class or any(
        name in by_image for name in metric_names(eval_config)
    )


def build(eval_config, categories, frequencies=None):
    """The evaluation of `eval_config.metrics_set`.

    Without a metrics_set boxes are scored, as in TFOD, and masks too where eval_instance_masks is
    set.

    Args:
        eval_config: EvalConfig message.
        categories: {id: name} of the label map.
        frequencies: {id: "r", "c" or "f"} of the label map, for LVIS.

    Returns:
        Something with `add`, `evaluate`, `table`, `categories` and `kinds`.

    Raises:
        ConfigError: a metrics_set or an option that this package does not have, by name.
    """
    check_message(eval_config, "EvalConfig", "eval_config")
    names = metric_names(eval_config)
    faults = [fault for name in names if (fault := _refusal(name))]
    if eval_config.parameterized_metric:
        faults.append("eval_config.parameterized_metric is not supported; take it out.")
    faults += [str(finding) for finding in data_checks.evaluation_settings(eval_config)]
    if faults:
        raise ConfigError("\n".join(faults))
    evaluations = []
    if any(name in _COCO for name in names):
        evaluations.append(_coco(eval_config, categories, {_COCO.get(name) for name in names}))
    if _LVIS in names:
        evaluations.append(
            LvisEvaluation(
                categories,
                frequencies=frequencies,
                per_category=eval_config.include_metrics_per_category,
            )
        )
    evaluations += [_pascal(eval_config, categories, name) for name in names if name in VARIANTS]
    return evaluations[0] if len(evaluations) == 1 else CombinedEvaluation(evaluations)


def _refusal(name):
    """Why this name of a metrics_set is refused; None where it is not."""
    if name in SUPPORTED:
        return None
    supported = ", ".join(SUPPORTED)
    if name in _TFOD_ONLY:
        return f"eval_config.metrics_set: {name} is not supported here; supported: {supported}."
    return f"eval_config.metrics_set: Metric not found: {name}; supported: {supported}."


def _coco(eval_config, categories, kinds):
    groups = eval_config.super_categories
    return CocoEvaluation(
        categories,
        boxes="boxes" in kinds,
        masks="masks" in kinds,
        per_category=eval_config.include_metrics_per_category or bool(groups),
        all_per_category=eval_config.all_metrics_per_category,
        super_categories={
            group: [name.strip() for name in names.split(",") if name.strip()]
            for group, names in groups.items()
        },
        settings=_settings(eval_config),
        verified_only=_verified_only(eval_config),
    )


def _settings(eval_config):
    areas = _DEFAULTS.areas
    if eval_config.area_range:
        named = [coco_engine.AreaRange(a.name, a.min, a.max) for a in eval_config.area_range]
        areas = (areas[0], *named)
    return coco_engine.Settings(
        iou_thresholds=_thresholds(eval_config) or _DEFAULTS.iou_thresholds,
        areas=areas,
        limits=tuple(sorted(set(eval_config.max_detections))) or _DEFAULTS.limits,
    )


def _thresholds(eval_config):
    """The IoU thresholds as they were written: the message holds them in 32 bit."""
    return tuple(sorted({round(value, 6) for value in eval_config.iou_threshold}))


def _verified_only(eval_config):
    if not eval_config.skip_predictions_for_unlabeled_class:
        return None
    return eval_config.image_classes_field_map_empty_to_ones


def _pascal(eval_config, categories, name):
    options = {"iou_thresholds": _thresholds(eval_config) or (0.5,)}
    if VARIANTS[name].recall_bounds:
        options["recall_low"] = eval_config.recall_lower_bound
        options["recall_high"] = eval_config.recall_upper_bound
        options["verified_only"] = _verified_only(eval_config)
    return PascalEvaluation(categories, name, **options)
