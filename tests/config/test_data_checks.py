"""Faults of readers and evaluation that the config itself shows."""

import pytest
from findings_of import config_with, only_fault, only_warning, sentences

from object_detection.config import data_checks

BOTH = ("train_input_reader", "eval_input_reader")


def check(*changes):
    config = config_with(*changes)
    return data_checks.check_readers(config, BOTH).merge(data_checks.check_evaluation(config))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_epochs", 3),
        ("sample_from_datasets_weights", 2),
        ("drop_remainder", "true"),
        ("data_service", "grpc://first:5050"),
    ],
)
def test_what_only_training_reads_is_reported_of_an_evaluation(field, value):
    assert sentences(check(f"train_input_reader.{field}={value}")) == ([], [])
    assert f"eval_input_reader.{field} has no effect on an evaluation" in only_warning(
        check(f"eval_input_reader.{field}={value}")
    )


def test_an_evaluation_over_one_epoch_is_nothing_to_tell_of():
    changes = ("eval_input_reader.num_epochs=1", "eval_input_reader.drop_remainder=false")
    assert sentences(check(*changes)) == ([], [])


def test_sound_readers_pass():
    assert sentences(check()) == ([], [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("-train_input_reader", "train_input_reader is not set. Add train_input_reader {"),
        ("-eval_input_reader", "eval_input_reader is not set"),
        ("-train_input_reader.tf_record_input_reader", "train_input_reader has no input. Add tf_"),
        (
            "train_input_reader.tf_record_input_reader.input_path=[]",
            "tf_record_input_reader.input_path is not set. Give the path of the record files",
        ),
        ("train_input_reader.label_map_path=", "label_map_path is not set. Give the label map"),
        ("train_input_reader.max_number_of_boxes=0", "max_number_of_boxes is 0; at least 1"),
        (
            "train_input_reader.sample_from_datasets_weights=[1, 2]",
            "sample_from_datasets_weights has 2 value(s), but there are 1 input_path",
        ),
        (
            "train_input_reader.sample_from_datasets_weights=0",
            "must be 0 or more, and not all of them 0",
        ),
        (
            "train_input_reader.load_instance_masks=false",
            "is not set, but the model predicts masks: it cannot learn them. Set it to true",
        ),
        (
            "eval_input_reader.load_instance_masks=false",
            "is not set, but coco_mask_metrics compares with the masks of the records",
        ),
        (
            "eval_config.metrics_set=coco_mask_metric",
            '"coco_mask_metric", which is not supported; supported: coco_detection_metrics, '
            "coco_mask_metrics, lvis_mask_metrics, pascal_voc",
        ),
        ("eval_config.metrics_set=coco_mask_metric", "Did you mean coco_mask_metrics?"),
        ("eval_config.metrics_set=coco_keypoint_metrics", '"coco_keypoint_metrics", which is not'),
        ("eval_config.recall_upper_bound=2", "recall_upper_bound is 2; allowed: 0 to 1"),
        ("eval_config.iou_threshold=0", "iou_threshold holds 0; each must be above 0"),
        ("eval_config.min_score_threshold=50", "min_score_threshold is 50; allowed: 0 to 1"),
        ("eval_config.batch_size=0", "eval_config.batch_size is 0; at least 1"),
    ],
)
def test_a_fault_is_reported(change, said):
    found = check(change)

    assert said in str(found.faults[0])
    assert len(found.faults) == 1


def test_masks_without_a_model_for_them_are_reported():
    no_masks = (
        "model.faster_rcnn.number_of_stages=2",
        "model.faster_rcnn.second_stage_box_predictor="
        "{mask_rcnn_box_predictor {predict_instance_masks: false}}",
    )
    found = check(*no_masks)

    assert "requests coco_mask_metrics, but the model predicts no masks" in only_fault(found)
    assert [item.where for item in found.warnings] == [
        "train_input_reader.load_instance_masks",
        "eval_input_reader.load_instance_masks",
    ]


def test_masks_that_nothing_scores_are_a_warning():
    said = only_warning(check("eval_config.metrics_set=coco_detection_metrics"))

    assert "does not name coco_mask_metrics: the model's masks will not be scored" in said


def test_masks_may_be_asked_for_the_old_way():
    changes = ("eval_config.metrics_set=[]", "eval_config.eval_instance_masks=true")

    assert sentences(check(*changes)) == ([], [])


def test_several_readers_are_distinguished():
    faults, _ = sentences(check("eval_input_reader[1]={load_instance_masks: true}"))

    assert all(fault.startswith("eval_input_reader[1]") for fault in faults)
    assert len(faults) == 2
