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
        ("metrics_set: 'lvis_mask_metrics'", "lvis_mask_metrics is not supported here; supported"),
        ("metrics_set: 'coco_metrics'", "Metric not found: coco_metrics; supported: coco_det"),
        ("skip_predictions_for_unlabeled_class: true", "skip_predictions_for_unlabeled_class"),
        ("parameterized_metric {}", "parameterized_metric is not supported"),
        ("super_categories { key: 'farm' value: 'cow' }", "cow"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(ValueError, match=message):
        built(text)
