"""The table of what becomes of each field is whole, and true of the code."""

import re
from pathlib import Path

import pytest
from findings_of import config_with, only_fault, only_warning, sentences

from object_detection.builders import (
    anchor_generator_builder,
    calibration_builder,
    evaluator_builder,
    hyperparams_builder,
    image_resizer_builder,
    losses_builder,
    optimizer_builder,
    preprocessor_builder,
)
from object_detection.config import data_checks, field_checks, field_use

PACKAGE = Path(field_use.__file__).parents[1]
# Packages that use fields; config/ only checks them.
READERS = ("builders", "training", "export", "prediction", "data", "compat", "checkpoints")


def uses_of(name, field):
    """In how many ways the table speaks of a field."""
    key = f"{name}.{field.name}"
    ways = [
        field.name in field_use.read_fields(name),
        key in field_use.IMPLIED,
        key in field_use.WITHOUT_EFFECT,
        field_checks.is_refused(field, name),
    ]
    return sum(ways)


def test_every_field_that_can_be_reached_has_one_use():
    odd = {
        f"{name}.{field.name}": uses_of(name, field)
        for name, descriptor in field_checks.reached().items()
        for field in descriptor.fields
        if uses_of(name, field) != 1
    }
    assert odd == {}


def test_the_table_speaks_of_no_other_field():
    known = {
        f"{name}.{field.name}" for name, it in field_checks.reached().items() for field in it.fields
    }
    listed = {*field_use.WITHOUT_EFFECT, *field_use.REFUSED, *field_use.IMPLIED}
    listed |= {
        f"{name}.{field}" for name in field_use.READ for field in field_use.read_fields(name)
    }

    assert listed - known == set()
    assert {key for key, _ in field_use.REFUSED_VALUES} - known == set()


def test_what_the_table_calls_read_is_named_in_the_code():
    paths = [path for package in READERS for path in (PACKAGE / package).rglob("*.py")]
    text = "\n".join(path.read_text() for path in [*paths, *PACKAGE.glob("*.py")])
    unread = [
        f"{name}.{field}"
        for name, fields in field_use.READ.items()
        for field in fields.split()
        if not re.search(rf"[.\"]{field}\b", text)
    ]
    assert unread == []


@pytest.mark.parametrize(
    ("message", "oneof", "table"),
    [
        ("AnchorGenerator", None, anchor_generator_builder.ANCHOR_GENERATORS),
        ("ImageResizer", None, image_resizer_builder.IMAGE_RESIZERS),
        ("ClassificationLoss", None, losses_builder.CLASSIFICATION_LOSSES),
        ("CalibrationConfig", None, calibration_builder.CALIBRATORS),
        ("Initializer", None, hyperparams_builder.INITIALIZERS),
        ("Regularizer", None, hyperparams_builder.REGULARIZERS),
        ("Hyperparams", "normalizer_oneof", hyperparams_builder.NORMS),
        ("Optimizer", "optimizer", optimizer_builder.OPTIMIZERS),
        ("LearningRate", None, optimizer_builder.LEARNING_RATES),
        ("PreprocessingStep", None, preprocessor_builder.AUGMENTATIONS),
    ],
)
def test_what_the_table_calls_read_has_a_row_in_its_builder(message, oneof, table):
    fields = field_checks.reached()[message].fields
    members = {
        field.name
        for field in fields
        if field.containing_oneof is not None and oneof in (None, field.containing_oneof.name)
    }

    assert members & set(field_use.read_fields(message)) == set(table)


def test_the_names_of_metrics_are_those_of_the_evaluator():
    assert set(data_checks.METRICS) == set(evaluator_builder.SUPPORTED)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "model.faster_rcnn.use_static_shapes=true",
            "model.faster_rcnn.use_static_shapes is true but has no effect: how TFOD computes on",
        ),
        ("train_config.replicas_to_aggregate=8", "replicas_to_aggregate is 8 but has no effect"),
        (
            "model.faster_rcnn.hard_example_miner={max_negatives_per_positive: 3}",
            "max_negatives_per_positive is 3 but has no effect: TFOD's Faster R-CNN mines without",
        ),
        ("graph_rewriter={quantization {delay: 1}}", "graph_rewriter is set but has no effect"),
        ("eval_input_reader.num_keypoints=17", "eval_input_reader.num_keypoints is 17 but has no"),
    ],
)
def test_a_field_without_effect_is_a_warning_with_the_reason(change, said):
    assert said in only_warning(field_checks.check(config_with(change)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "model.faster_rcnn.second_stage_post_processing.calibration_config="
            "{sigmoid_calibration {}}",
            "calibration_config.sigmoid_calibration is not supported. Supported here: function_app",
        ),
        (
            "model.faster_rcnn.second_stage_classification_loss={bootstrapped_sigmoid {}}",
            "bootstrapped_sigmoid is not supported. Supported here: weighted_sigmoid, weighted_sof",
        ),
        (
            "model.faster_rcnn.second_stage_box_predictor={rfcn_box_predictor {}}",
            "rfcn_box_predictor is not supported. Supported here: mask_rcnn_box_predictor.",
        ),
        (
            "train_config.data_augmentation_options={scale_boxes_to_pixel_coordinates {}}",
            "scale_boxes_to_pixel_coordinates is not supported. Remove it; boxes become pixels",
        ),
        (
            "train_config.data_augmentation_options={convert_class_logits_to_softmax {}}",
            "convert_class_logits_to_softmax is not supported. Remove it; an object has one",
        ),
        ("train_config.use_multiclass_scores=true", "use_multiclass_scores is true, which is not"),
        (
            "train_input_reader.input_type=TF_SEQUENCE_EXAMPLE",
            "input_type is TF_SEQUENCE_EXAMPLE, which is not supported. Write the images as",
        ),
        (
            "train_input_reader.external_input_reader={}",
            "external_input_reader is not supported. Supported here: tf_record_input_reader.",
        ),
    ],
)
def test_a_field_that_would_change_results_is_a_fault(change, said):
    assert said in only_fault(field_checks.check(config_with(change)))


@pytest.mark.parametrize(
    "change",
    [
        "train_config.use_multiclass_scores=false",
        "train_config.startup_delay_steps=15",
        "train_input_reader.input_type=TF_EXAMPLE",
        "train_config.fine_tune_checkpoint_version=V2",
    ],
)
def test_a_field_that_says_what_holds_anyway_passes(change):
    assert sentences(field_checks.check(config_with(change))) == ([], [])


def test_a_place_in_a_list_is_reported():
    steps = "[{random_horizontal_flip {}}, {convert_class_logits_to_softmax {}}]"
    found = field_checks.check(config_with(f"train_config.data_augmentation_options={steps}"))

    where = "train_config.data_augmentation_options[1].convert_class_logits_to_softmax"
    assert found.faults[0].where == where


def test_fields_may_be_left_out():
    found = field_checks.check(config_with("graph_rewriter={}"), skip=("graph_rewriter",))

    assert sentences(found) == ([], [])
