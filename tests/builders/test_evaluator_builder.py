"""The evaluation an eval_config asks for, and what is refused."""

import pytest
from google.protobuf import text_format

from object_detection.builders import evaluator_builder
from object_detection.protos import eval_pb2

NAMES = {1: "cat", 2: "dog"}


def built(text):
    return evaluator_builder.build(text_format.Parse(text, eval_pb2.EvalConfig()), NAMES)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", ("boxes",)),
        ("eval_instance_masks: true", ("boxes", "masks")),
        ("metrics_set: 'coco_mask_metrics'", ("masks",)),
        (
            "metrics_set: 'coco_mask_metrics' metrics_set: 'coco_detection_metrics'",
            ("boxes", "masks"),
        ),
    ],
)
def test_metrics_set(text, kinds):
    assert built(text).kinds == kinds


def test_classes_and_groups():
    evaluation = built("super_categories { key: 'pet' value: 'cat, dog' }")

    assert evaluation.super_categories == {"pet": ["cat", "dog"]}
    assert evaluation.per_category
    assert built("all_metrics_per_category: true").all_per_category


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics_set: 'coco_keypoint_metrics'", "coco_keypoint_metrics is not supported here; s"),
        ("metrics_set: 'coco_metrics'", "Metric not found: coco_metrics; supported: coco_det"),
        ("iou_threshold: 1.5", "iou_threshold holds 1.5; each must be above 0 and at most 1"),
        ("max_detections: [10, 0]", "max_detections holds 0"),
        ("area_range { name: 'tiny' min: 9 max: 4 }", '"tiny" is 9 to 4 pixels'),
        ("area_range { max: 4 }", 'area_range holds the name ""'),
        ("recall_lower_bound: 0.5 recall_upper_bound: 0.2", "is above recall_upper_bound"),
        ("parameterized_metric {}", "parameterized_metric is not supported"),
        ("super_categories { key: 'farm' value: 'cow' }", "cow"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(ValueError, match=message):
        built(text)
